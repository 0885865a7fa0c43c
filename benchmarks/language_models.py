"""LANGUAGE MODELS: text and music, each beside what counting gives, and the speed of training.

    python benchmarks/language_models.py shakespeare --data FOLDER [--seeds 0,1,2]
    python benchmarks/language_models.py shakespeare-90 --data FOLDER [--seeds 0,1,2]
    python benchmarks/language_models.py chorales --data FOLDER [--seeds 0,1,2] [--cells rnn,gru,lstm]
    python benchmarks/language_models.py speed --data FOLDER [--rounds 7]
    python benchmarks/language_models.py table                 what was measured, as Markdown

FOLDER holds one folder for each set as it is published: tinyshakespeare/input.txt, and
jsb_chorales/jsb-chorales-quarter.json. What was measured is not measured again (`--again`
measures it anew), so the work can be done in pieces. Figures go to results/language_models.jsonl, with seed,
threads, seconds and versions; the table to results/language_models.md.

- shakespeare: characters; trained on the first 85 %, weights picked on the next 5 %, reported on the last
  10 %, with the default recipe and `--max-minutes` (default 20); and the time to write 1,000 characters.
- shakespeare-90: the published split: trained on the first 90 %, nothing picked (`--valid 0`), reported on
  the last 10 %. Published figures are of this split, and the 5 % make a great difference: the play that the
  last part continues begins in them. A Kneser-Ney 5-gram has 1.753 on it without them, and 1.579 with them.
- chorales: frames of 88 keys at quarter notes, the split of Boulanger-Lewandowski et al. 2012. The figure is
  the NLL of a frame given those before it, summed over keys, averaged over all frames but the first of each
  piece, as Bai et al. 2018 count it (RNN 8.91, LSTM 8.45, GRU 8.43, TCN 8.10).
- speed: steps of training on tinyshakespeare by elman, on its own kernels and on torch's, and by a plain
  PyTorch loop with the same model, in turns in one process; medians, their ratio, and where the time goes.

Nothing is chosen by a test part: it is scored once, when the training is over.
"""

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from records import add_row, read_rows

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "language_models.jsonl"
TABLE = HERE / "results" / "language_models.md"

VALIDATION_SHARES = {"shakespeare": 0.05, "shakespeare-90": 0.0}

LOWEST_KEY, NUM_KEYS = 21, 88
PUBLISHED = {"rnn": 8.91, "gru": 8.43, "lstm": 8.45}

Key = tuple[str, str, int | None]


def read_records() -> dict[Key, dict[str, Any]]:
    """Return every measurement so far, the last one for each (kind, cell, seed)."""
    return {(row["kind"], row["cell"], row.get("seed")): row for row in read_rows(RECORDS)}


def write_record(row: dict[str, Any]) -> None:
    """Add a measurement to the file, and show it."""
    add_row(RECORDS, row)
    print(json.dumps(row), flush=True)


def measure(kind: str, cell: str, seed: int, settings: dict[str, Any], options: argparse.Namespace) -> Any:
    """Train through `elman.train` as a user would, record the figures, and return the run."""
    import elman

    out = options.work / f"{kind}-{cell}-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    given = {"task": "generate", "cell": cell, "seed": seed, "out": str(out), **settings}
    if options.threads is not None:
        given["threads"] = options.threads
    began = time.perf_counter()
    run = elman.train(**given)
    seconds = time.perf_counter() - began
    row = {
        "kind": kind,
        "cell": cell,
        "seed": seed,
        "threads": options.threads,
        "seconds": round(seconds, 1),
        "test": run.result["test"],
        "valid": {name: value for name, value in run.result.get("valid", {}).items() if name != "baseline"},
        "parameters": run.result["parameters"],
        "best": run.result["best"],
        "stopped": run.result["stopped"],
        "epochs": len(run.history),
        "chosen": {name: run.info()["chosen"].get(name) for name in ("hidden_size", "dropout", "batch_size")},
        "versions": run.versions,
    }
    if kind in VALIDATION_SHARES:
        row["seconds_for_1000_characters"] = writing_seconds(run)
    write_record(row)
    return run


def writing_seconds(run: Any) -> float:
    """Return the median time to write 1,000 characters, one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        run.generate("ROMEO:", length=1000)
        times.append(time.perf_counter() - began)
    torch.set_num_threads(before)
    return round(statistics.median(times), 4)


def shakespeare(options: argparse.Namespace, done: set[Key]) -> None:
    """Train on the plays, in the one split or the other."""
    kind = options.what
    settings: dict[str, Any] = {
        "train": str(options.data / "tinyshakespeare" / "input.txt"),
        "valid": VALIDATION_SHARES[kind],
        "test": 0.1,
        "max_minutes": options.max_minutes,
    }
    for seed in options.seeds:
        if options.again or (kind, "lstm", seed) not in done:
            run = measure(kind, "lstm", seed, settings, options)
            print(run.generate("ROMEO:", length=400, seed=1)[0].prediction, flush=True)


def chorales(options: argparse.Namespace, done: set[Key]) -> None:
    """Train on the chorales, with each cell."""
    files = write_chorales(options.data / "jsb_chorales" / "jsb-chorales-quarter.json", options.work)
    for cell in options.cells:
        for seed in options.seeds:
            if options.again or ("chorales", cell, seed) not in done:
                measure("chorales", cell, seed, {**files, "input": "frames"}, options)


def write_chorales(source: Path, work: Path) -> dict[str, str]:
    """Write each part as rows of frames of 88 zeros and ones, and return the files."""
    pieces = json.loads(source.read_text(encoding="utf-8"))
    files = {}
    for part in ("train", "valid", "test"):
        files[part] = str(work / f"chorales-{part}.jsonl")
        with open(files[part], "w", encoding="utf-8") as file:
            for piece in pieces[part]:
                frames = [[0] * NUM_KEYS for _ in piece]
                for frame, notes in zip(frames, piece, strict=True):
                    for note in notes:
                        if note >= LOWEST_KEY:  # -1 is a rest
                            frame[int(note) - LOWEST_KEY] = 1
                file.write(json.dumps({"frames": frames}) + "\n")
    return files


def speed(options: argparse.Namespace, done: set[Key]) -> None:
    """Time steps of training: elman's kernels, torch's under elman, and a plain loop, in turns."""
    import torch

    from elman.config import make_settings
    from elman.dataset import read_dataset
    from elman.kernels import use
    from elman.tasks import TASKS
    from elman.tasks.generate import Generate

    if ("speed", "lstm", None) in done and not options.again:
        return
    torch.set_num_threads(options.threads or torch.get_num_threads())
    text = str(options.data / "tinyshakespeare" / "input.txt")
    settings = make_settings({"task": "generate", "train": text, "valid": 0.05, "test": 0.1})
    dataset = read_dataset(settings, {})
    task = TASKS["generate"].prepare(settings, dataset.train, dataset.kind)
    assert isinstance(task, Generate)
    batches = task.batches(dataset.train)
    rows = batches.order(0)
    steps: dict[str, Callable[[Any], dict[str, float]]] = {
        "elman": elman_step(task),
        "elman on torch": elman_step(task),
        "plain": plain_step(task),
    }
    times: dict[str, list[dict[str, float]]] = {side: [] for side in steps}
    for turn in range(options.rounds + 1):
        batch = batches.batch(rows[1 + turn % (len(rows) - 2)])
        for side in steps if turn % 2 == 0 else reversed(steps):
            with use("torch" if side == "elman on torch" else "cpu"):
                parts = steps[side](batch)
            if turn:  # the first warms up
                times[side].append(parts)
        print(
            f"round {turn} of {options.rounds}: { ({s: v[-1] for s, v in times.items() if v}) }", flush=True
        )
    medians = {
        side: {name: statistics.median(row[name] for row in found) for name in found[0]}
        for side, found in times.items()
    }
    ratios = {side: medians["plain"]["all"] / medians[side]["all"] for side in medians}
    write_record({
        "kind": "speed", "cell": "lstm", "seed": None, "threads": torch.get_num_threads(),
        "rounds": options.rounds, "seconds": medians, "times_as_fast_as_plain": ratios,
        "versions": {"torch": torch.__version__},
    })  # fmt: skip


def elman_step(task: Any) -> Callable[[Any], dict[str, float]]:
    """Return a step of elman's training, and how long its parts took."""
    import torch

    from elman.training.bptt import StreamBPTT
    from elman.training.optim import Optimizer

    torch.manual_seed(0)
    model = task.build_fresh().train()
    rule, optimizer = StreamBPTT(), Optimizer(model)

    def step(batch: Any) -> dict[str, float]:
        began = time.perf_counter()
        rule.backward(model, batch)
        between = time.perf_counter()
        norm = float(optimizer.gradient_norm())
        if norm > task.chosen.clip_norm:
            optimizer.scale_gradients(task.chosen.clip_norm / norm)
        optimizer.step(task.chosen.learning_rate)
        optimizer.zero_grad()
        ended = time.perf_counter()
        return {"all": ended - began, "forward and backward": between - began, "optimiser": ended - between}

    return step


def plain_step(task: Any) -> Callable[[Any], dict[str, float]]:
    """Return a step of a loop as it is commonly written, over the same sizes."""
    import torch
    from torch import nn

    chosen, vocabulary = task.chosen, task.sizes()["vocabulary"]
    torch.manual_seed(0)
    embedding = nn.Embedding(vocabulary, chosen.embedding_size, padding_idx=0)
    layers = nn.LSTM(chosen.embedding_size, chosen.hidden_size, batch_first=True)
    input_dropout, dropout = nn.Dropout(chosen.input_dropout), nn.Dropout(chosen.dropout)
    linear = nn.Linear(chosen.hidden_size, vocabulary)
    modules = nn.ModuleList([embedding, input_dropout, layers, dropout, linear]).train()
    optimizer = torch.optim.Adam(modules.parameters(), lr=chosen.learning_rate)
    carried: dict[str, Any] = {"state": None}

    def step(batch: Any) -> dict[str, float]:
        began = time.perf_counter()
        steps = input_dropout(embedding(batch.features["tokens"].data))
        output, state = layers(steps, carried["state"])
        scores = linear(dropout(output)).flatten(0, 1)
        loss = nn.functional.cross_entropy(scores, batch.target.data.flatten())
        loss.backward()
        carried["state"] = tuple(part.detach() for part in state)
        between = time.perf_counter()
        nn.utils.clip_grad_norm_(modules.parameters(), chosen.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        ended = time.perf_counter()
        return {"all": ended - began, "forward and backward": between - began, "optimiser": ended - between}

    return step


PUBLISHED_PLAYS = {"shakespeare-90": "1.548 (minGRU)"}
"""Feng et al. 2024, Were RNNs all we needed; their Transformer has 1.547."""


def write_table() -> None:
    """Write what was measured as Markdown."""
    rows = list(read_records().values())
    lines = ["| set | cell | seed | figure | test | by counting | published | seconds |", "|" + "---|" * 8]
    for row in sorted((row for row in rows if row["kind"] != "speed"), key=lambda row: str(row)):
        figure = "nats_per_token" if row["kind"] in VALIDATION_SHARES else "nll_per_step"
        published = (
            PUBLISHED[row["cell"]] if row["kind"] == "chorales" else PUBLISHED_PLAYS.get(row["kind"], "-")
        )
        baseline = row["test"]["baseline"][figure]
        lines.append(
            f"| {row['kind']} | {row['cell']} | {row['seed']} | {figure.replace('_', ' ')} | "
            f"**{row['test'][figure]:.3f}** | {baseline:.3f} | {published} | {row['seconds']:.0f} |"
        )
    for row in (row for row in rows if row["kind"] == "speed"):
        ratios = row["times_as_fast_as_plain"]
        milliseconds = 1000 * row["seconds"]["elman"]["all"]
        lines += [
            "",
            f"A training step took {milliseconds:.0f} ms on {row['threads']} threads, "
            f"{ratios['elman']:.2f} times as fast as a plain PyTorch loop (on torch's kernels: "
            f"{ratios['elman on torch']:.2f}).",
        ]
    if rows:
        last = rows[-1]
        where = f"{last['date']}, {last['cores']} CPU cores ({last['machine']})"
        lines += ["", f"Made by `benchmarks/language_models.py` on {where}."]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


def main() -> None:
    """Measure what is asked for and was not measured yet, then write the table."""
    parser = argparse.ArgumentParser(description="Measure language models and models of music.")
    parser.add_argument("what", choices=[*VALIDATION_SHARES, "chorales", "speed", "table"])
    parser.add_argument("--data", type=Path, help="folder that holds one folder for each published set")
    parser.add_argument("--seeds", default="0", help="0,1,2 (default: 0)")
    parser.add_argument("--cells", default="rnn,gru,lstm", help="of the chorales (default: all three)")
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--max-minutes", type=float, default=20.0, help="of a run on the plays (default: 20)")
    parser.add_argument("--rounds", type=int, default=7, help="of the speed (default: 7)")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "language_models")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    options = parser.parse_args()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.cells = options.cells.split(",")
    if options.what != "table":
        if options.data is None:
            parser.error("--data FOLDER is needed to measure anything")
        options.work.mkdir(parents=True, exist_ok=True)
        parts = {"chorales": chorales, "speed": speed}
        parts.get(options.what, shakespeare)(options, set(read_records()))
    write_table()


if __name__ == "__main__":
    main()
