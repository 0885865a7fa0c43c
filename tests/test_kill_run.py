"""A run that is killed at any moment ends in the same bytes when it is resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tiny import mood_rows, write_csv

IS_DEEP = os.environ.get("ELMAN_PROFILE") == "deep"
KILLS = 50 if IS_DEEP else 4
EPOCHS = 120


def elman(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "elman", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def start(data: Path, out: Path) -> subprocess.Popen[bytes]:
    flags = ["--task", "classify", "--train", str(data), "--out", str(out)]
    return elman("train", *flags, "--epochs", str(EPOCHS), "--hidden-size", "8", "--threads", "1")


def finish(process: subprocess.Popen[bytes]) -> None:
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()


def test_killed_at_random_moments_and_resumed_a_run_ends_in_the_same_bytes(tmp_path):
    data = write_csv(tmp_path / "train.csv", mood_rows(60))
    began = time.perf_counter()
    finish(start(data, tmp_path / "whole"))
    seconds = time.perf_counter() - began
    draw = random.Random(0)
    kills, round_number, mismatches = 0, 0, 0
    while kills < KILLS:
        out = tmp_path / f"killed{round_number}"
        process = start(data, out)
        for _ in range(4):  # then let it end, so that a slow machine ends too
            # From before the folder is made to just before the end, many of them inside a save.
            time.sleep(draw.uniform(0.2, 1.0) * seconds * draw.choice([0.5, 0.8]))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            process = (
                elman("train", "--resume", str(out)) if (out / "config.json").exists() else start(data, out)
            )
        finish(process)
        for name in ("model.safetensors", "metrics.jsonl"):
            mismatches += (out / name).read_bytes() != (tmp_path / "whole" / name).read_bytes()
        round_number += 1
    print(f"{kills} kills, {round_number} runs, {mismatches} mismatches")
    assert mismatches == 0


def test_two_processes_with_the_same_seed_write_the_same_bytes(tmp_path):
    data = write_csv(tmp_path / "train.csv", mood_rows(60))
    for name in ("one", "two"):
        finish(start(data, tmp_path / name))
    for name in ("model.safetensors", "metrics.jsonl", "vocab.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
