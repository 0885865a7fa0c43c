"""X-RAY OVERHEAD: what `--xray-every` costs, beside the same training without it.

    python benchmarks/xray_overhead.py                   both networks, a record every 100 steps
    python benchmarks/xray_overhead.py --every 20 --pairs 10

A tagger on drawn sentences as long as those of the English Web Treebank (16 words on average, a few of more
than 60), and a language model on a drawn running text, both as `elman train` chooses them. Blocks of
`--every` steps without and with a record come in turn, in one process and on the same network; what is told
is the median of each and the ratio of the medians. Figures go to results/xray_overhead.jsonl. No data are
needed.
"""

import argparse
import datetime
import json
import os
import platform
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import elman
from elman.config import make_settings
from elman.dataset import read_dataset
from elman.tasks import TASKS
from elman.training.bptt import FullBPTT, GradientRule, StreamBPTT
from elman.training.optim import Optimizer
from elman.training.plan import Plan, Progress
from elman.xray_records import XrayRecords

RECORDS = Path(__file__).parent / "results" / "xray_overhead.jsonl"
WORDS, TAGS, SENTENCES, TEXT_WORDS = 5000, 17, 2000, 100_000
MEAN_LENGTH, LONGEST = 16, 80
ALLOWED = 1.03
"""Ratio of the times that `--xray-every 100` may have at most."""


def sentences(draw: random.Random) -> list[tuple[list[str], list[str]]]:
    """Return drawn sentences with tags; lengths fall off exponentially."""
    rows = []
    for _ in range(SENTENCES):
        length = min(LONGEST, 1 + int(draw.expovariate(1 / MEAN_LENGTH)))
        ids = [min(WORDS - 1, int(draw.paretovariate(1.0))) for _ in range(length)]
        rows.append(([f"w{number}" for number in ids], [f"T{number % TAGS}" for number in ids]))
    return rows


def prepared(name: str, folder: Path) -> tuple[Any, Any, GradientRule]:
    """Return a fresh network, its batches and how far its gradient flows."""
    draw = random.Random(0)
    if name == "tag":
        settings = make_settings({"task": "tag", "valid": 0.0, "crf": False})
        dataset = read_dataset(settings, {"train": sentences(draw)})
    else:
        path = folder / "text.txt"
        words = (f"w{min(WORDS - 1, int(draw.paretovariate(1.0)))}" for _ in range(TEXT_WORDS))
        path.write_text(" ".join(words), encoding="utf-8")
        settings = make_settings({"task": "generate", "train": str(path), "valid": 0.0, "tokens": "words"})
        dataset = read_dataset(settings, {})
    task = TASKS[name].prepare(dataset.name_columns(settings), dataset.train, dataset.kind)
    torch.manual_seed(0)
    gradient = StreamBPTT() if task.is_stream else FullBPTT()
    return task.build_fresh(), task.batches(dataset.train), gradient


class Training:
    """A training that can be timed a block at a time."""

    def __init__(self, name: str, every: int, folder: Path) -> None:
        self.model, self.batches, self.gradient = prepared(name, folder)
        self.optimizer = Optimizer(self.model, rule="adam", weight_decay=0.0)
        self.progress = Progress()
        self.every = every
        self.records = XrayRecords(folder / f"{name}.jsonl", every, self.model, self.batches)
        plan = Plan(epochs=1, learning_rate=1e-3, metric="loss", larger_is_better=False)
        self.records.on_start(self.progress, plan, self.batches.num_batches)
        self.order = self.batches.order(0)

    def block(self, *, seen: bool) -> float:
        """Make `every` steps, with a record of the last or without; return the seconds."""
        began = time.perf_counter()
        for _ in range(self.every):
            self.model.train()
            if self.progress.position == len(self.order):
                self.progress.epoch, self.progress.position = self.progress.epoch + 1, 0
                self.order = self.batches.order(self.progress.epoch)
            batch = self.batches.batch(self.order[self.progress.position])
            loss = self.gradient.backward(self.model, batch, step=self.progress.step)
            norm = self.optimizer.gradient_norm()
            self.optimizer.step(1e-3)
            self.optimizer.zero_grad()
            self.progress.step += 1
            self.progress.position += 1
            if seen:
                self.records.on_step(self.progress, loss.item(), norm.item(), len(batch))
        return time.perf_counter() - began


def measure(name: str, every: int, pairs: int) -> dict[str, Any]:
    """Time blocks in turn."""
    with tempfile.TemporaryDirectory() as folder:
        training = Training(name, every, Path(folder))
        training.block(seen=True)  # the first calls of everything
        times: dict[bool, list[float]] = {False: [], True: []}
        for pair in range(pairs):
            for seen in (False, True) if pair % 2 == 0 else (True, False):
                times[seen].append(training.block(seen=seen))
            plain, with_records = times[False][-1], times[True][-1]
            print(f"{name} {pair + 1}/{pairs}: {plain:.2f} s, with records {with_records:.2f} s", flush=True)
    plain, with_records = (statistics.median(times[seen]) for seen in (False, True))
    return {
        "network": name,
        "every": every,
        "pairs": pairs,
        "seed": 0,
        "seconds": round(sum(times[False]) + sum(times[True]), 1),
        "without": plain,
        "with": with_records,
        "ratio": with_records / plain,
        "ratios": [b / a for a, b in zip(times[False], times[True], strict=True)],
        "allowed": ALLOWED if every >= 100 else None,
    }


def main() -> None:
    """Measure both networks and write the figures down."""
    parser = argparse.ArgumentParser(description="Measure what --xray-every costs.")
    parser.add_argument("--networks", default="tag,generate")
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=9, help="blocks of each kind (default: 9)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.networks.split(","):
        row = measure(name, options.every, options.pairs)
        print(f"{name}: {100 * (row['ratio'] - 1):+.1f} % (medians of {options.pairs} blocks)")
        stamp = {
            "threads": options.threads,
            "date": datetime.date.today().isoformat(),
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "versions": {"elman": elman.__version__, "torch": torch.__version__},
        }
        RECORDS.parent.mkdir(exist_ok=True)
        with open(RECORDS, "a", encoding="utf-8") as file:
            file.write(json.dumps(row | stamp) + "\n")


if __name__ == "__main__":
    main()
