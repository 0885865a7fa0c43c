"""END TO END: elman.train beside a plain PyTorch loop with the same tagger, from reading to the final score.

    python benchmarks/end_to_end.py --data FOLDER [--epochs 2] [--repeats 3] [--threads N]

FOLDER holds ud_english_ewt as published. Each run is a process of its own, and the two take turns, so that a
busy machine hurts both; the imports are not counted. Printed: the median of each, their ratio, the scores
(the models are the same, so these agree but for chance), and where the time goes. `--data made-up` (the
default) needs no files.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain_tagger
import torch
from sets import SETS, prepare

SIDES = ("elman", "plain")


def watch(clock: plain_tagger.Stopwatch, owner: Any, name: str, part: str) -> None:
    """Count the time inside a function or method of elman as a part."""
    inner: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **named: Any) -> Any:
        with clock.part(part):
            return inner(*arguments, **named)

    setattr(owner, name, timed)


def run_elman(
    files: dict[str, str], options: argparse.Namespace, clock: plain_tagger.Stopwatch
) -> dict[str, Any]:
    """Train through elman.train as a user would, run folder, checkpoints and report included."""
    import elman
    from elman import run_train
    from elman.tasks.tag import Tag
    from elman.training.bptt import FullBPTT
    from elman.training.loop import _Training
    from elman.training.optim import Optimizer
    from elman.training.store import Store

    watch(clock, run_train, "read_dataset", "reading")
    watch(clock, Tag, "batches", "vocabulary, ids")
    watch(clock, _Training, "batch", "batches")
    watch(clock, FullBPTT, "backward", "forward and backward")
    for name in ("gradient_norm", "scale_gradients", "step", "zero_grad"):
        watch(clock, Optimizer, name, "optimiser")
    watch(clock, Tag, "evaluate", "evaluation")
    watch(clock, Tag, "fit_baseline", "baseline")
    watch(clock, Tag, "evaluate_baseline", "baseline")
    for name in ("save", "save_best"):
        watch(clock, Store, name, "checkpoints")
    watch(clock, run_train, "write_report", "report")
    with tempfile.TemporaryDirectory() as folder:
        run = elman.train(
            task="tag",
            target="upos",
            train=files["train"],
            valid=files["valid"],
            test=files["test"],
            epochs=options.epochs,
            seed=options.seed,
            threads=options.threads,
            out=str(Path(folder) / "run"),
        )
    return {
        "valid": run.result["valid"]["accuracy"],
        "test": run.result["test"]["accuracy"],
        "parameters": run.result["parameters"],
    }


def run_one(files: dict[str, str], options: argparse.Namespace) -> None:
    """Run one side in this process and print its figures as a line of JSON."""
    torch.set_num_threads(options.threads)
    clock = plain_tagger.Stopwatch()
    began = time.perf_counter()
    if options.one == "elman":
        figures = run_elman(files, options, clock)
    else:
        figures = plain_tagger.train(
            files, epochs=options.epochs, seed=options.seed, adam="fused", clock=clock
        )
    seconds = time.perf_counter() - began
    print(json.dumps({**figures, "seconds": seconds, "parts": clock.seconds}))


def make_up(folder: Path) -> dict[str, str]:
    """Write treebank files of random words, each with the tag that its last letter stands for."""
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefghij", k=generator.randint(2, 8))) for _ in range(3000)]
    files = {}
    for part, count in {"train": 1500, "valid": 200, "test": 200}.items():
        lines = []
        for _ in range(count):
            for number in range(1, generator.randint(3, 30)):
                word = generator.choice(words)
                lines.append("\t".join([str(number), word, word, f"T{word[-1]}", *["_"] * 6]))
            lines.append("")
        files[part] = str(folder / f"{part}.conllu")
        Path(files[part]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files


def compare(files: dict[str, str], options: argparse.Namespace) -> None:
    """Let the two sides take turns, and print medians, ratio, scores and parts."""
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for repeat in range(options.repeats):
        for side in SIDES if repeat % 2 == 0 else reversed(SIDES):
            call = [sys.executable, __file__, "--one", side, "--files", json.dumps(files)]
            for name in ("epochs", "seed", "threads"):
                call += [f"--{name}", str(getattr(options, name))]
            done = subprocess.run(call, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                sys.exit(done.stderr)
            results[side].append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(f"{side}: {results[side][-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
    sizes = {side: rows[0]["parameters"] for side, rows in results.items()}
    if len(set(sizes.values())) > 1:
        sys.exit(f"the two models differ in size, {sizes}: plain_tagger.py must follow elman's recipe")
    medians = {side: statistics.median(row["seconds"] for row in rows) for side, rows in results.items()}
    print(
        f"{options.epochs} epochs, {options.threads} threads, {options.repeats} runs each, "
        f"{platform.machine()}, torch {torch.__version__}; both models have {sizes['elman']:,} parameters.\n"
    )
    print("| | elman.train | plain PyTorch | ratio |\n|---|---|---|---|")
    print(row_of("reading to final score, s", medians, 1))
    for figure in ("valid", "test"):
        scores = {s: 100 * statistics.median(row[figure] for row in rows) for s, rows in results.items()}
        print(f"| {figure} accuracy, % | {scores['elman']:.2f} | {scores['plain']:.2f} | |")
    names = list(dict.fromkeys(name for rows in results.values() for row in rows for name in row["parts"]))
    for name in names:
        parts = {
            s: statistics.median(row["parts"].get(name, 0.0) for row in rows) for s, rows in results.items()
        }
        print(row_of(f"{name}, s", parts, 2))
    rest = {
        s: medians[s] - sum(statistics.median(row["parts"].get(n, 0.0) for row in results[s]) for n in names)
        for s in SIDES
    }
    print(f"| the rest, s | {rest['elman']:.2f} | {rest['plain']:.2f} | |")


def row_of(name: str, values: dict[str, float], digits: int) -> str:
    """Return a line of the table, with elman's time over the plain loop's."""
    ratio = f"{values['elman'] / values['plain']:.2f}" if values["plain"] > 0.005 else ""
    return f"| {name} | {values['elman']:.{digits}f} | {values['plain']:.{digits}f} | {ratio} |"


def main() -> None:
    """Compare the two, or (in a process of its own) run one of them."""
    parser = argparse.ArgumentParser(description="Time elman.train beside a plain PyTorch loop.")
    parser.add_argument("--data", default="made-up", help="folder of published sets, or made-up")
    parser.add_argument("--set", default="ud_english_ewt", help="a treebank of sets.py")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.files, options)
        return
    with tempfile.TemporaryDirectory() as work:
        if options.data == "made-up":
            files = make_up(Path(work))
        else:
            assert options.set in SETS
            problem = prepare(options.set, Path(options.data), Path(work))
            files = {part: problem[part] for part in ("train", "valid", "test")}
        compare(files, options)


if __name__ == "__main__":
    main()
