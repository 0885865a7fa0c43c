"""A real but tiny training, for the tests of `training/`; also a program, so that tests can kill it.

    python tests/tiny_training.py FOLDER [--resume] [--epochs N] [--checkpoint-seconds S] [--pause S] ...

It prints one line a step ("step 12"), so that a test can choose its moment.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import ElmanError
from elman.training.lock import RunLock
from elman.training.loop import fit
from elman.training.plan import Observer, Plan, Progress
from elman.training.store import Store

NUM_ROWS, NUM_TOKENS, NUM_LABELS = 60, 12, 3


class TinyPattern(nn.Module):
    """Embedding, dropout, LSTM, label: enough to have a state, sparse rows and randomness in each step."""

    def __init__(self, *, sparse: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(NUM_TOKENS, 6, sparse=sparse)
        self.dropout = nn.Dropout(0.3)
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.output = nn.Linear(8, NUM_LABELS)

    def scores(self, tokens: Tensor, window: int | None = None) -> Tensor:
        x, state = self.dropout(self.embedding(tokens)), None
        for piece in x.split(window or x.shape[1], dim=1):
            hidden, state = self.lstm(piece, state)
            if window is not None:
                state = (state[0].detach(), state[1].detach())
        return self.output(hidden[:, -1])

    def loss(self, batch: tuple[Tensor, Tensor], *, window: int | None = None) -> Tensor:
        return nn.functional.cross_entropy(self.scores(batch[0], window), batch[1])


class TinyBatches:
    """Rows whose label is the number of zeros in them, at most two."""

    def __init__(self, batch_size: int = 10) -> None:
        generator = torch.Generator().manual_seed(5)
        self.tokens = torch.randint(0, NUM_TOKENS, (NUM_ROWS, 7), generator=generator)
        self.labels = (self.tokens == 0).sum(1).clamp(max=NUM_LABELS - 1)
        self.batch_size = batch_size

    @property
    def num_batches(self) -> int:
        return -(-NUM_ROWS // self.batch_size)

    def order(self, epoch: int) -> list[list[int]]:
        rows = list(range(NUM_ROWS))
        random.Random(epoch).shuffle(rows)
        return [rows[i : i + self.batch_size] for i in range(0, NUM_ROWS, self.batch_size)]

    def batch(self, rows: list[int]) -> Any:
        return self.tokens[rows], self.labels[rows]


def evaluate_with(pattern: TinyPattern, batches: TinyBatches) -> dict[str, Any]:
    scores = pattern.scores(batches.tokens)
    right = (scores.argmax(1) == batches.labels).double().mean().item()
    return {"accuracy": right, "loss": nn.functional.cross_entropy(scores, batches.labels).item()}


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
    pattern, batches = TinyPattern(sparse=given.sparse), TinyBatches()
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
