"""RUN FOLDER: the files that a run consists of, written so that none is ever half there.

config.json        settings as given and as chosen, versions, the data's counts and fingerprints
vocab.json         vocabularies and scales
baseline.safetensors   the fitted baseline
result.json        the scores
(model.safetensors, checkpoints/, metrics.jsonl, timing.jsonl: see training/)
"""

import errno
import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elman.config import Settings, nearest_name
from elman.data.example import Example
from elman.errors import CheckpointError, RunError

FORMAT = 1
"""Number of the layout of a run folder; a run of a later format is refused."""

_OURS = ("config.json", "vocab.json", "model.safetensors", "checkpoints", "result.json")


def make_folder(path: str | Path) -> Path:
    """Return a new or empty folder for a run.

    Raises:
        RunError: something is in it already, or it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(entry.name for entry in folder.iterdir() if entry.name != "lock")
    except OSError as error:
        raise _cannot("make", folder, error) from None
    if any(name in _OURS for name in names):
        raise RunError(
            f"{folder}: holds a run already; name another folder with --out, delete this one, "
            f"or go on with it: elman train --resume {folder}"
        )
    if names:
        raise RunError(
            f"{folder}: is not empty (it holds {names[0]!r}); name a new or empty folder with --out."
        )
    return folder


def absent_folders(path: str | Path) -> list[Path]:
    """Return the folders that `make_folder` would have to make, the innermost first."""
    return [folder for folder in (Path(path), *Path(path).parents) if not folder.exists()]


def give_back(folder: Path, made: Sequence[Path] = ()) -> None:
    """Delete what a run wrote before its first step, so that its folder can be named again.

    For a run that a setting or its data ended, and that holds the folder's lock; a folder with weights or
    checkpoints stays as it is.

    Args:
        folder: the run folder.
        made: the folders that were made for the run, the innermost first; those left empty go too.
    """
    if any((folder / name).exists() for name in ("model.safetensors", "checkpoints")):
        return
    for name in ("config.json", "vocab.json", "baseline.safetensors", "lock"):
        (folder / name).unlink(missing_ok=True)
    for each in made:
        try:
            each.rmdir()
        except OSError:
            return  # something else stands in it


def settings_to_store(settings: Settings, *, chosen: bool = False) -> dict[str, Any]:
    """Return settings as `config.json` holds them, with paths that stay true from any other folder.

    Args:
        settings: as given by the user, or as chosen.
        chosen: whether to store what the user did not give, too.
    """
    values = settings.model_dump(exclude_none=True, exclude_unset=not chosen)
    for name in ("train", "valid", "test", "vectors", "out", "start_from"):
        if isinstance(values.get(name), str):
            values[name] = str(Path(values[name]).absolute())
    return values


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file beside its place, flush it to the disk, and move it there in one step.

    Raises:
        RunError: the disk is full or the folder cannot be written; what stood there before still stands.
    """
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place, flush it to the disk, and move it there in one step."""
    aside = path.with_name(f".{path.name}.new")
    try:
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _cannot("write", path, error) from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a run folder.

    Raises:
        RunError: there is no such file (the folder holds no run).
        CheckpointError: it is damaged.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        best = path.parent / "best"  # where a search keeps its run
        if (best / path.name).exists():
            raise RunError(f"{path.parent}: holds a search; name its best run: {best}") from None
        raise RunError(
            f"{path.parent}: holds no {path.name}; name the folder that `elman train --out` wrote."
        ) from None
    except OSError as error:
        raise _cannot("read", path, error) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: is damaged ({error}); restore it from a copy, or train again."
        ) from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: is damaged (not an object); restore it from a copy, or train again.")
    return value


def read_config(folder: Path) -> dict[str, Any]:
    """Return a run's `config.json`, having checked its format.

    Raises:
        RunError, CheckpointError: as `read_json`, or the run was written by a later version.
    """
    if not folder.is_dir():
        raise RunError(_no_run(folder))
    config = read_json(folder / "config.json")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder}: has run format {config.get('format')!r}, this version reads format {FORMAT}; "
            "use the version of elman that wrote it (config.json names it)."
        )
    return config


def _no_run(folder: Path) -> str:
    """Return the message for what is no folder: a file, or nothing."""
    what = "the folder of a run was expected, which `elman train --out` writes"
    if folder.exists():
        return f"{folder}: is a file; {what} (data to label are named with --data)."
    beside = [entry for entry in folder.parent.iterdir() if entry.is_dir()] if folder.parent.is_dir() else []
    near = nearest_name(folder.name, sorted(entry.name for entry in beside))
    hint = f"; did you mean {str(folder.with_name(near))!r}?" if near else f"; {what}."
    return f"{folder}: there is no such folder{hint}"


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a .jsonl journal; a last line that was cut by a kill is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def versions() -> dict[str, str]:
    """Return the versions that decide the bytes of a run."""
    try:
        own = version("elman")
    except PackageNotFoundError:
        own = "unknown"
    return {
        "elman": own,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def fingerprint(examples: Sequence[Example]) -> str:
    """Return a SHA-256 of the content of examples, in their order."""
    digest = hashlib.sha256()
    for example in examples:
        for part in (example.input, example.target, *example.categories):
            if isinstance(part, np.ndarray):
                digest.update(f"{part.dtype}{part.shape}".encode())
                digest.update(np.ascontiguousarray(part).tobytes())
            else:  # text or tuples of it, for which repr is quick and never the same for two
                digest.update(repr(part).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _cannot(verb: str, path: Path, error: OSError) -> RunError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(f"{path}: cannot {verb} it, the disk is full; free some space and resume the run.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RunError(f"{path}: no permission to {verb} it; choose a folder that you may write to.")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return RunError(f"{path}: cannot {verb} it, a file is in the way; name another folder.")
    return RunError(f"{path}: cannot {verb} it ({error.strerror}).")
