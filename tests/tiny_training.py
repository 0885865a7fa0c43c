"""A real but tiny training, for the tests of `training/`; also a program, so that tests can kill it.

    python tests/tiny_training.py FOLDER [--resume] [--epochs N] [--checkpoint-seconds S] [--pause S] ...

It prints one line a step ("step 12"), so that a test can choose its moment.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from elman.data.batches import Batches, Encoded
from elman.errors import ElmanError
from elman.nn.embedding import TokenEmbedding, WordEmbedding
from elman.nn.encoder import Encoder
from elman.patterns.classify import Classifier
from elman.training.lock import RunLock
from elman.training.loop import fit
from elman.training.plan import Observer, Outcome, Plan, Progress
from elman.training.store import Store

NUM_ROWS, NUM_TOKENS, NUM_LABELS = 60, 12, 3

ACCURACY = {"metric": "accuracy", "larger_is_better": True}
"""The part of a plan that picks the best weights by `evaluate_with`."""


class TinyPattern(Classifier):
    """A classifier of token sequences with everything that draws at random: dropout and hidden tokens."""

    def __init__(self, *, sparse: bool = False) -> None:
        tokens = TokenEmbedding(
            NUM_TOKENS,
            6,
            kind="sparse" if sparse else "trainable",
            counts=torch.full((NUM_TOKENS,), 5),
            unknown_rate=0.25,
        )
        encoder = Encoder(6, 8, cell="lstm")
        super().__init__(WordEmbedding(tokens), encoder, num_labels=NUM_LABELS, pooling="last", dropout=0.3)


def tiny_batches(batch_size: int = 10) -> Batches:
    """Return rows whose label is the number of 2s in them, at most two."""
    generator = np.random.default_rng(5)
    rows = [generator.integers(2, NUM_TOKENS // 2, length) for length in generator.integers(3, 9, NUM_ROWS)]
    encoded = [
        Encoded(len(row), tokens=row, target=min(int((row == 2).sum()), NUM_LABELS - 1)) for row in rows
    ]
    return Batches(encoded, batch_size, seed=0)


def evaluate_with(pattern: TinyPattern, batches: Batches) -> dict[str, Any]:
    batch = batches.batch(range(NUM_ROWS))
    right = (pattern.scores(batch).argmax(1) == batch.target).double().mean().item()
    return {"accuracy": right, "loss": pattern.loss(batch).item()}


def make(seed: int = 0) -> tuple[TinyPattern, Batches]:
    """Return the network and the batches of a training."""
    torch.manual_seed(seed)
    return TinyPattern(), tiny_batches()


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a journal."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def same_weights(one: nn.Module, other: nn.Module | dict[str, torch.Tensor]) -> bool:
    """Say whether two networks are equal to the last bit."""
    theirs = other.state_dict() if isinstance(other, nn.Module) else other
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


class Recorder(Observer):
    """Keep every turn of a training, in words, and the losses."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.losses: list[float] = []
        self.outcome: Outcome | None = None

    def on_start(self, progress: Progress, plan: Plan, num_batches: int) -> None:
        self.calls.append(f"start {progress.step} {num_batches}")

    def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
        self.losses.append(loss)
        self.calls.append(f"step {progress.step}")
        assert norm > 0 or not math.isfinite(norm)
        assert sequences == 10

    def on_skip(self, message: str) -> None:
        self.calls.append("skip")

    def on_evaluate(self, progress: Progress) -> None:
        self.calls.append("evaluate")

    def on_epoch(self, row: dict[str, Any], timing: dict[str, Any], is_best: bool) -> None:
        self.calls.append(f"epoch {row['epoch']} {is_best}")

    def on_save(self, path: Path) -> None:
        self.calls.append(f"save {path.name}")

    def on_end(self, outcome: Outcome) -> None:
        self.calls.append("end")
        self.outcome = outcome


class Steps(Observer):
    """Say each step, slowly if asked, so that a test can aim."""

    def __init__(self, pause: float) -> None:
        self.pause = pause

    def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
        print("step", progress.step, flush=True)
        time.sleep(self.pause)


def start(folder: Path, *options: str) -> "subprocess.Popen[str]":
    """Start this program."""
    root = Path(__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, __file__, str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
    )


def run(folder: Path, *options: str, code: int = 0) -> str:
    """Run this program to its end: that exit code, no traceback; return what it complains of."""
    process = start(folder, *options)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return err


def wait_for_step(process: "subprocess.Popen[str]", step: int) -> bool:
    """Read the program's lines until that step or a later one; say whether it came before the end."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step") and int(line.split()[1]) >= step:
            return True
    return False


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--sparse", action="store_true")
    parser.add_argument("--file-size-limit", type=int)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whatever started the tests
    if given.file_size_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_size_limit, given.file_size_limit))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pattern, batches = TinyPattern(sparse=given.sparse), tiny_batches()
    plan = Plan(
        epochs=given.epochs,
        learning_rate=0.02,
        optimizer=given.optimizer,
        warmup=5,
        decay="linear",
        clip_norm=0.5,
        metric="accuracy",
        larger_is_better=True,
        checkpoint_seconds=given.checkpoint_seconds,
    )
    try:
        given.folder.mkdir(exist_ok=True)
        with RunLock(given.folder):
            outcome = fit(
                pattern,
                batches,
                plan,
                evaluate=lambda: evaluate_with(pattern, batches),
                store=Store(given.folder),
                observers=[Steps(given.pause)],
                resume=given.resume,
            )
    except ElmanError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("ended", outcome.reason, outcome.best_step, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
