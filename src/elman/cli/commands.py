"""COMMANDS: what `elman train`, `evaluate`, `predict`, `info`, `demo` and `bench` do.

Results go to standard output, everything that is said on the way to standard error; with `--json`, standard
output holds one JSON object and nothing else. Modules that import torch or rich are imported inside the
commands, so that each command's help does without.
"""

import csv
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elman.cli.command_flags import Bench, Demo, Evaluate, Info, Predict
from elman.cli.flags import read_command, read_train
from elman.cli.output import JSON_LINES, check_output
from elman.config import unknown_name
from elman.errors import ConfigError, DataError, RunError

if TYPE_CHECKING:
    from elman.tasks.prediction import Prediction


def train(arguments: Sequence[str]) -> int:
    """Train a model, or go on with a run; show its scores, a few predictions and where the report is."""
    settings = read_train(arguments)
    from elman import progress, terminal
    from elman.run_train import train_run

    with progress.display() as shown:
        if settings.out is None and settings.resume is None:
            progress.announce("no --out FOLDER is named: the model is not kept")
        run = train_run(settings, observers=[shown], announce=progress.announce)
    print(terminal.outcome(run))
    return 0


def evaluate(arguments: Sequence[str]) -> int:
    """Score a model on a labelled file."""
    wanted = read_command(Evaluate, arguments, "evaluate")
    from elman import tables
    from elman.run import load

    run = load(wanted.run)
    metrics = run.evaluate(wanted.data).metrics
    if wanted.json:
        print_json(metrics)
        return 0
    print(tables.scores_table(metrics, Path(wanted.data).name))
    classes = tables.per_class_table(metrics) or tables.per_target_table(metrics)
    if classes:
        print(f"\n{classes}")
    metric = str(run.result.get("metric", run.task.metric))
    said = tables.verdict(metrics, metric, Path(wanted.data).name)
    print(f"\n{tables.wrapped(said, tables.columns())}")
    return 0


def predict(arguments: Sequence[str]) -> int:
    """Label texts, standard input or a file; show the labels, or write them."""
    wanted = read_command(Predict, arguments, "predict")
    if bool(wanted.text) == bool(wanted.data):
        raise ConfigError(
            'name either texts or a file: elman predict RUN "a text", or elman predict RUN --data FILE.'
        )
    from elman import terminal
    from elman.run import load

    run = load(wanted.run)
    suffixes = (*JSON_LINES, ".csv") if run.task.name == "forecast" else JSON_LINES
    written = f"what {run.task.name} predicts is written as a JSON object a line"
    check_output(wanted.output, written, suffixes)
    if wanted.data:
        predictions = run.predict_file(wanted.data, beam_size=wanted.beam_size, n_best=wanted.n_best)
    else:
        inputs = inputs_of(wanted.text, run.task.inputs.kind, terminal.input_like(run))
        predictions = run.predict(inputs, beam_size=wanted.beam_size, n_best=wanted.n_best)
    if wanted.output:
        write_lines(Path(wanted.output), predictions)
        what = "prediction" if len(predictions) == 1 else "predictions"
        print(f"{len(predictions):,} {what} written to {wanted.output}", file=sys.stderr)
    if wanted.json:
        print_json({"predictions": [prediction.to_json() for prediction in predictions]})
    elif not wanted.output:
        show = terminal.prediction_line if wanted.data else terminal.one_prediction
        print("\n".join(show(prediction) for prediction in predictions))
    return 0


def info(arguments: Sequence[str]) -> int:
    """Show what a run is, or the words nearest to one."""
    wanted = read_command(Info, arguments, "info")
    from elman import tables, terminal
    from elman.run import load

    run = load(wanted.run)
    if wanted.neighbours:
        near = run.neighbours(wanted.neighbours)
        if wanted.json:
            print_json({"word": wanted.neighbours, "neighbours": [list(pair) for pair in near]})
            return 0
        rows = [[word, f"{similarity:.3f}"] for word, similarity in near]
        print(tables.text_table([f"nearest to {wanted.neighbours}", "cosine"], rows))
        return 0
    if wanted.json:
        print_json(run.info())
        return 0
    print(terminal.described(run))
    return 0


def demo(arguments: Sequence[str]) -> int:
    """Run a worked example, or list them."""
    wanted = read_command(Demo, arguments, "demo")
    from elman.demos import DEMOS

    if not wanted.name:
        print(demo_list())
        return 0
    if wanted.name not in DEMOS:
        raise ConfigError(unknown_name("demo", wanted.name, list(DEMOS)))
    folder = Path(wanted.out or f"runs/demo-{wanted.name}")
    DEMOS[wanted.name].run(folder, wanted.seed, is_numbered=not wanted.out)
    return 0


def demo_list() -> str:
    """Return the worked examples, what each does and how long it takes."""
    from elman import tables
    from elman.demos import DEMOS

    width = max(len(name) for name in DEMOS)
    heads = {name: f"  {name:<{width}}  {demo.time:>10}  " for name, demo in DEMOS.items()}
    lines = [
        tables.wrapped(DEMOS[name].about, tables.columns(), first=head, later=" " * len(head))
        for name, head in heads.items()
    ]
    return "\n".join(["worked examples, on data that comes with an installed package:", "", *lines, "",
                      "run one with: elman demo NAME"])  # fmt: skip


def bench(arguments: Sequence[str]) -> int:
    """Time our layers beside torch.nn's; show how many times faster they are."""
    wanted = read_command(Bench, arguments, "bench")
    counts = whole_numbers("--threads", wanted.threads)
    shape = whole_numbers("--shape", wanted.shape, names="B,T,I,H")
    if wanted.seconds is not None and not 0 <= wanted.seconds < math.inf:
        raise ConfigError(f"--seconds is {wanted.seconds:g}; expected: zero or more.")
    cells = [cell.strip() for cell in wanted.cells.split(",")] if wanted.cells else None
    from elman import progress
    from elman.bench import CELLS, Case, all_cases, compare, table

    for cell in cells or ():
        if cell not in CELLS:
            raise ConfigError(unknown_name("cell", cell, list(CELLS)))
    cases = all_cases(cells or CELLS, quick=wanted.quick)
    if shape:
        batch, steps, input_size, hidden_size = shape
        cases = [Case(cell, batch, steps, input_size, hidden_size) for cell in cells or CELLS]
    cores = os.cpu_count() or 1
    counts = counts or sorted({cores} if wanted.quick else {1, min(2, cores)})
    seconds = wanted.seconds if wanted.seconds is not None else 0.3 if wanted.quick else 1.0
    report = compare(cases, counts, seconds=seconds, fewest=3, tell=progress.say)
    if wanted.json:
        print_json(report.to_json())
    else:
        table.show(report, progress.SteadyConsole(highlight=False))
    return 0


def whole_numbers(flag: str, text: str, names: str = "") -> list[int]:
    """Return the numbers of "1,2"; none of "".

    Args:
        flag: what was given, for the message.
        text: its value.
        names: what each number is; "": any number of them.

    Raises:
        ConfigError: it is no list of whole numbers above zero, or of another length.

    Example:
        >>> whole_numbers("--threads", "1,2")
        [1, 2]
    """
    try:
        numbers = [int(number) for number in text.split(",")] if text else []
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers) or (numbers and names and len(numbers) != len(names.split(","))):
        expected = f"{names} in whole numbers" if names else "whole numbers"
        raise ConfigError(f"{flag}: {text!r} is not what was expected: {expected} above zero, with commas.")
    return numbers


def inputs_of(texts: Sequence[str], kind: str, like: str) -> list[Any]:
    """Return the inputs that were typed: lines of standard input for "-", arrays of numbers for series.

    Args:
        texts: what was typed.
        kind: of the model's inputs.
        like: what an input of this model looks like, for the message.

    Raises:
        DataError: an input for a model of numbers is no JSON array.
    """
    if list(texts) == ["-"]:
        texts = [line.rstrip("\r\n") for line in sys.stdin]
    if kind != "series":
        return list(texts)
    from elman import tables

    inputs = []
    for row, text in enumerate(texts, 1):
        try:
            read = json.loads(text)
            if not isinstance(read, list | dict):
                raise ValueError("it has no brackets")
            inputs.append(read)
        except ValueError as error:
            raise DataError(
                f"text {row}: {tables.fit(text, 40)!r} is no JSON array ({error}); this model reads numbers: "
                f'give each input as "{like}", or a file with --data.'
            ) from None
    return inputs


def print_json(value: Any) -> None:
    """Print one JSON object to standard output; what is not a finite number becomes null."""
    print(json.dumps(finite(value), ensure_ascii=False, allow_nan=False))


def finite(value: Any) -> Any:
    """Return the value with null for numbers that JSON cannot hold (nan and the infinities)."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def forecast_rows(predictions: Sequence["Prediction"]) -> Iterator[list[Any]]:
    """Yield the rows of a table of forecasts: series, timestamp, forecast and each quantile."""
    levels = list((predictions[0].quantiles or {}) if predictions else {})
    yield ["series", "timestamp", "forecast", *(f"q{level}" for level in levels)]
    for number, said in enumerate(predictions, 1):
        name = said.input if isinstance(said.input, str) else f"row {number}"
        for step, time in enumerate(said.timestamps or []):
            yield [
                name,
                time,
                said.prediction[step],
                *((said.quantiles or {})[level][step] for level in levels),
            ]


def write_lines(path: Path, predictions: Sequence["Prediction"]) -> None:
    """Write one JSON object a prediction, or to a .csv a row for each step of a forecast.

    It is written beside its place first, so that the file is whole or not there.

    Raises:
        RunError: the file cannot be written.
    """
    aside = path.with_name(f".{path.name}.new")
    is_table = path.suffix == ".csv"
    try:
        with open(aside, "w", encoding="utf-8", newline="") as file:
            if is_table:
                csv.writer(file, lineterminator="\n").writerows(forecast_rows(predictions))
                predictions = ()
            for prediction in predictions:
                file.write(json.dumps(finite(prediction.to_json()), ensure_ascii=False) + "\n")
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); name another file with --output."
        ) from None
