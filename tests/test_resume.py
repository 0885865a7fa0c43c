"""Kill -9 at any moment, resume, and nothing tells the difference: real processes, compared byte by byte."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_training import run, start, wait_for_step

from elman.training.checkpoint import list_checkpoints, load

KILLS = 50 if os.environ.get("ELMAN_PROFILE") == "deep" else 6

# Optimiser, and seconds between two checkpoints: 0 saves after each step, so that many kills hit a save.
KINDS = [
    ["--optimizer", "adam", "--checkpoint-seconds", "0"],
    ["--optimizer", "sgd", "--sparse", "--checkpoint-seconds", "0"],
    ["--optimizer", "rmsprop", "--checkpoint-seconds", "0.1", "--pause", "0.02"],
    ["--optimizer", "adamw", "--sparse", "--checkpoint-seconds", "60", "--pause", "0.01"],
]

pytestmark = pytest.mark.slow


def assert_same_run(one: Path, other: Path) -> None:
    """Compare everything that training made, the clock apart."""
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    last, other_last = (list_checkpoints(folder / "checkpoints")[-1] for folder in (one, other))
    assert last.name == other_last.name
    tensors, other_tensors = load(last)[0], load(other_last)[0]
    assert tensors.keys() == other_tensors.keys()
    assert all(torch.equal(value, other_tensors[name]) for name, value in tensors.items())


def test_killed_at_random_moments_and_resumed_is_uninterrupted(tmp_path: Path) -> None:
    rng, kills, inside_a_save, runs = random.Random(7), 0, 0, 0
    wholes: dict[int, Path] = {}
    while kills < KILLS:
        kind = runs % len(KINDS)
        if kind not in wholes:
            wholes[kind] = tmp_path / f"whole{kind}"
            run(wholes[kind], *KINDS[kind], "--pause", "0")
        folder = tmp_path / f"killed{runs}"
        runs += 1
        reached, finished = 0, False
        while not finished and kills < KILLS:
            process = start(folder, *KINDS[kind], *(["--resume"] if reached else []))
            if wait_for_step(process, reached + rng.randint(1, 12)):
                time.sleep(rng.uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
            finished = process.returncode == 0
            kills += not finished
            places = list_checkpoints(folder / "checkpoints")
            reached = int(places[-1].name) if places else 1
            inside_a_save += any(path.name.startswith(".") for path in (folder / "checkpoints").glob(".*"))
        if not finished:
            run(folder, *KINDS[kind], "--resume")
        assert_same_run(folder, wholes[kind])
        assert not list((folder / "checkpoints").glob(".*"))
    print(f"{kills} kills in {runs} runs, {inside_a_save} inside a save, 0 mismatches")
    if KILLS > 6:  # of few kills, chance may send none into a save
        assert inside_a_save > 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("resume") / "whole"
    run(folder)
    return folder


def test_the_same_seed_gives_the_same_bytes_in_two_processes(tmp_path: Path, whole: Path) -> None:
    run(tmp_path / "again", "--checkpoint-seconds", "0")
    assert_same_run(tmp_path / "again", whole)


def stop_early(folder: Path) -> None:
    process = start(folder, "--pause", "0.05")
    assert wait_for_step(process, 8)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143


def test_a_file_that_may_not_grow_ends_training_with_a_message_and_resuming_goes_on(
    tmp_path: Path, whole: Path
) -> None:
    stop_early(tmp_path / "run")
    err = run(tmp_path / "run", "--resume", "--file-size-limit", "10000", code=1)
    assert "cannot be written (File too large)" in err and "earlier checkpoints still stand" in err
    run(tmp_path / "run", "--resume")
    assert_same_run(tmp_path / "run", whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=84k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted without the right to (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_training_with_a_message_and_resuming_with_room_goes_on(
    small_disk: Path, whole: Path
) -> None:
    err = run(small_disk / "run", "--checkpoint-seconds", "0", code=1)
    assert "No space left on device" in err and "resume" in err
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    run(small_disk / "run", "--resume", "--checkpoint-seconds", "0")
    assert_same_run(small_disk / "run", whole)


def test_two_trainings_in_one_folder_are_refused_and_a_kill_frees_it(tmp_path: Path) -> None:
    process = start(tmp_path / "run", "--pause", "60")
    assert wait_for_step(process, 1)
    err = run(tmp_path / "run", "--resume", code=1)
    assert f"another training is at work here (process {process.pid})" in err
    process.kill()
    process.communicate(timeout=60)
    run(tmp_path / "run", "--resume", "--epochs", "1")
