"""Checkpoints are whole or refused: after any damage, any kill inside a save, and on a full disk."""

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from elman.errors import CheckpointError, RunError
from elman.training import checkpoint
from elman.training.checkpoint import latest_good, load, load_weights, prune, save, save_weights

DAMAGES = 2_000 if os.environ.get("ELMAN_PROFILE") == "deep" else 200


def tensors_of(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {
        "weights/w": torch.randn(5, 7, generator=generator),
        "random/cpu": torch.arange(9, dtype=torch.uint8),
    }


def state_of(step: int) -> dict[str, Any]:
    return {"step": step, "loss": 0.1 + step / 3, "name": "é"}


def save_step(folder: Path, step: int) -> Path:
    path = folder / f"{step:08d}"
    save(path, tensors_of(step), state_of(step))
    return path


def check(path: Path) -> int:
    """Load a checkpoint and hold it equal to what was saved; return its step."""
    tensors, state = load(path)
    step: int = state["step"]
    assert state == state_of(step)
    assert tensors.keys() == tensors_of(step).keys()
    assert all(torch.equal(tensors[name], value) for name, value in tensors_of(step).items())
    return step


def test_saved_is_loaded(tmp_path: Path) -> None:
    assert check(save_step(tmp_path / "checkpoints", 12)) == 12
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000012"]


def test_tensors_of_every_kind_survive_to_the_last_bit(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    tensors = {
        "view": base[1:3],
        "transposed": base.t(),
        "tied": base,
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "special": torch.tensor([float("nan"), float("inf"), -0.0]),
        "whole": torch.tensor([2**62], dtype=torch.int64),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    save(tmp_path / "1", tensors, {"float": 0.1 + 0.2, "tiny": 5e-324})
    loaded, state = load(tmp_path / "1")
    assert state == {"float": 0.1 + 0.2, "tiny": 5e-324}
    for name, value in tensors.items():
        assert loaded[name].dtype == value.dtype
        torch.testing.assert_close(loaded[name], value.detach(), rtol=0, atol=0, equal_nan=True)


def test_a_state_with_nan_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save(tmp_path / "1", {}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def replace_byte(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    content[place] = (content[place] + rng.randrange(1, 256)) % 256
    path.write_bytes(content)


def cut(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def append(path: Path, rng: random.Random) -> None:
    with open(path, "ab") as file:
        file.write(rng.randbytes(rng.randrange(1, 20)))


def insert(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    place = rng.randrange(len(content))
    path.write_bytes(content[:place] + rng.randbytes(1) + content[place:])


def zero_block(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    place = rng.randrange(len(content))
    block = content[place : place + 64]
    path.write_bytes(content[:place] + bytes(255 - b for b in block) + content[place + 64 :])


def remove(path: Path, rng: random.Random) -> None:
    path.unlink()


DAMAGE = [flip, flip, flip, replace_byte, cut, append, insert, zero_block, remove]


def test_every_damage_is_caught_and_the_checkpoint_before_is_used_and_named(tmp_path: Path) -> None:
    folder, rng = tmp_path / "checkpoints", random.Random(0)
    old, new = save_step(folder, 1), save_step(folder, 2)
    whole = tmp_path / "whole"
    shutil.copytree(new, whole)
    for _ in range(DAMAGES):
        victim = rng.choice(sorted(new.iterdir()))
        rng.choice(DAMAGE)(victim, rng)
        with pytest.raises(CheckpointError, match=r"00000002"):
            load(new)
        path, refused = latest_good(folder)
        assert path == old and len(refused) == 1 and str(new) in refused[0]
        shutil.rmtree(new)
        shutil.copytree(whole, new)
    assert check(new) == 2


def test_every_damage_of_a_model_file_is_caught(tmp_path: Path) -> None:
    path, rng = tmp_path / "model.safetensors", random.Random(1)
    save_weights(path, tensors_of(3), {"step": 3, "metric": 0.1})
    whole = path.read_bytes()
    for _ in range(DAMAGES):
        rng.choice(DAMAGE)(path, rng)
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            load_weights(path)
        path.write_bytes(whole)
    tensors, metadata = load_weights(path)
    assert metadata == {"step": 3, "metric": 0.1}
    assert torch.equal(tensors["weights/w"], tensors_of(3)["weights/w"])


def test_every_single_byte_of_a_checkpoint_counts(tmp_path: Path) -> None:
    path = save_step(tmp_path, 1)
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        for place in range(len(whole)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
            with pytest.raises(CheckpointError):
                load(path)
        file.write_bytes(whole)
    assert check(path) == 1


def test_a_model_file_is_read_by_any_safetensors_reader_and_has_the_same_bytes_each_time(
    tmp_path: Path,
) -> None:
    import safetensors.torch

    for name in ("a", "b"):
        save_weights(tmp_path / name, tensors_of(3), {"step": 3, "epoch": 1, "metric": 0.25})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    tensors = safetensors.torch.load_file(tmp_path / "a")
    assert torch.equal(tensors["weights/w"], tensors_of(3)["weights/w"])


def test_a_stranger_among_the_files_and_mixed_checkpoints_are_refused(tmp_path: Path) -> None:
    one, two = save_step(tmp_path, 1), save_step(tmp_path, 2)
    (two / "extra").write_text("?")
    with pytest.raises(CheckpointError, match=r"extra does not belong"):
        load(two)
    (two / "extra").unlink()
    shutil.copy(one / "state.json", two / "state.json")
    with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
        load(two)


def test_files_of_others_are_refused_with_a_reason(tmp_path: Path) -> None:
    import safetensors.torch

    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"cannot be read \(No such file"):
        load_weights(tmp_path / "none")
    (tmp_path / "pickle").write_bytes(b"\x80\x04not ours")
    with pytest.raises(CheckpointError, match="no file of elman"):
        load_weights(tmp_path / "pickle")
    safetensors.torch.save_file(tensors_of(1), tmp_path / "plain")
    with pytest.raises(CheckpointError, match="carries no checksum"):
        load_weights(tmp_path / "plain")


def test_a_newer_format_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_step(tmp_path, 1)
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(CheckpointError, match="format 1; this elman reads format 2"):
        load(path)


def test_latest_good_looks_past_temporary_and_foreign_names(tmp_path: Path) -> None:
    assert latest_good(tmp_path / "none") == (None, [])
    assert latest_good(tmp_path) == (None, [])
    save_step(tmp_path, 9)
    save_step(tmp_path, 10)
    (tmp_path / ".saving-00000011").mkdir()
    (tmp_path / "notes").mkdir()
    assert latest_good(tmp_path) == (tmp_path / "00000010", [])


def test_pruning_keeps_the_last_two_and_the_best(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        save_step(tmp_path, step)
    prune(tmp_path, keep=[2])
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [2, 4, 5]


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    path = save_step(tmp_path, 3)
    save(path, {}, {"second": True})
    assert load(path) == ({}, {"second": True})
    assert [each.name for each in tmp_path.iterdir()] == ["00000003"]


class Killed(BaseException):
    """Stands for kill -9: nothing that saves may catch it."""


def interrupting(
    monkeypatch: pytest.MonkeyPatch, at: int, error: Callable[[], BaseException]
) -> Iterator[int]:
    """Let the `at`-th operation on the disk fail, half done if it is a write; count them."""
    count = 0

    def wrap(real: Callable[..., Any], halfway: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def operation(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                if halfway is not None:
                    halfway(*arguments)
                raise error()
            return real(*arguments, **options)

        return operation

    def half(path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2])

    def half_tree(path: Path, **options: Any) -> None:
        for each in sorted(Path(path).iterdir())[:1]:
            each.unlink()

    monkeypatch.setattr(checkpoint, "_write", wrap(checkpoint._write, half))
    monkeypatch.setattr(checkpoint, "sync_folder", wrap(checkpoint.sync_folder))
    monkeypatch.setattr(checkpoint.os, "rename", wrap(os.rename))
    monkeypatch.setattr(checkpoint.os, "replace", wrap(os.replace))
    if error is Killed:  # deleting does not fill a disk
        monkeypatch.setattr(checkpoint.shutil, "rmtree", wrap(shutil.rmtree, half_tree))
    yield count


@pytest.mark.parametrize("again", [False, True])
def test_a_kill_at_any_point_of_a_save_leaves_the_old_or_the_new(tmp_path: Path, again: bool) -> None:
    """`again`: the step that is saved is there already, the only one, and must be replaced."""
    reached = 0
    for at in range(1, 30):
        folder = tmp_path / str(at)
        before = 7 if again else 6
        save_step(folder, before)
        with pytest.MonkeyPatch.context() as patch:
            next(interrupting(patch, at, Killed))
            try:
                save_step(folder, 7)
                prune(folder, last=1)
                killed = False
            except Killed:
                killed = True
                reached += 1
        checkpoint.restore_replaced(folder)
        path, refused = latest_good(folder)
        assert path is not None and not refused
        assert check(path) in (before, 7)
        assert not [each for each in folder.iterdir() if each.name.startswith(".")]
        assert check(save_step(folder, 8)) == 8
        if not killed:
            break
    assert reached >= 7 and not killed


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_full_disk_at_any_point_of_a_save_is_one_message_and_loses_nothing(
    tmp_path: Path, number: int
) -> None:
    for at in range(1, 30):
        folder = tmp_path / str(at)
        save_step(folder, 6)
        with pytest.MonkeyPatch.context() as patch:
            next(interrupting(patch, at, lambda: OSError(number, os.strerror(number))))
            try:
                save_step(folder, 7)
                break
            except RunError as error:
                assert os.strerror(number) in str(error) and "earlier checkpoints still stand" in str(error)
        path, refused = latest_good(folder)
        assert path is not None and not refused
        assert check(path) in (6, 7)
    assert at >= 6


def test_a_full_disk_while_writing_the_model_keeps_the_former(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(path, tensors_of(1), {"step": 1})
    for at in (1, 2):
        with pytest.MonkeyPatch.context() as patch:
            next(interrupting(patch, at, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
            with pytest.raises(RunError, match="No space left"):
                save_weights(path, tensors_of(2), {"step": 2})
        assert load_weights(path)[1] == {"step": 1}
        assert [each.name for each in tmp_path.iterdir()] == ["model.safetensors"]


def test_no_permission_is_one_clear_message(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write anywhere; a file where the folder should be stops it too.
        (tmp_path / "checkpoints").write_text("")
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="cannot be written"):
        save_step(tmp_path / "checkpoints", 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted without the right to (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_keeps_the_checkpoints_that_fitted(small_disk: Path) -> None:
    big = {"weights/w": torch.randn(15_000)}  # 60 kB of 256
    with pytest.raises(RunError, match="No space left on device"):
        for step in range(1, 9):
            save(small_disk / "checkpoints" / f"{step:08d}", big, {"step": step})
    path, refused = latest_good(small_disk / "checkpoints")
    assert path is not None and not refused and int(path.name) == step - 1
    with pytest.raises(RunError, match="No space left on device"):
        save_weights(small_disk / "model.safetensors", big, {})
    prune(small_disk / "checkpoints", last=1)
    save_weights(small_disk / "model.safetensors", big, {})
