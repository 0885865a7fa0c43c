"""CHECKPOINTS: files that are either whole or refused.

A checkpoint is a folder: `tensors.safetensors`, `state.json`, and `manifest.json` with the sizes and SHA-256
of both and its own. It is written to a temporary folder beside its place, synced to the disk, and renamed: a
kill, a full disk or a power cut leaves the old ones or the new one, never half of one. Loading checks every
byte before it gives anything. Nothing is pickled, so opening a stranger's file runs none of their code.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from elman.errors import CheckpointError, RunError

FORMAT = 1
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"

SAVING, REPLACED, DAMAGED = ".saving-", ".replaced-", ".damaged"
"""Marks in the names of folders: being written; the older of two of one step; set aside on resuming."""

NO_DIGEST = "0" * 64
"""Stands in the place of a file's own digest while that is computed."""

OWN_DIGEST = re.compile(rb'(\\?"sha256_of_this_file\\?": \\?")([0-9a-f]{64})')
"""The digest a file carries of itself; in the header of a safetensors file the quotes are escaped."""


def save(folder: str | Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; an older one in the same place is replaced.

    Args:
        folder: its place; the name is the step's number. Parent folders are made.
        tensors: any names; tensors that share memory are stored one by one.
        state: anything JSON can hold; floats survive exactly, NaN and infinity are not allowed.

    Raises:
        RunError: disk full, no permission, or another trouble with the disk; what was there still stands.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "00000010"
        >>> save(place, {"weights/w": Tensor([1.0, 2.0])}, {"epoch": 3})
        >>> load(place)[1]
        {'epoch': 3}
    """
    folder = Path(folder)
    temporary, replaced = folder.parent / (SAVING + folder.name), folder.parent / (REPLACED + folder.name)
    files = {
        TENSORS: _tensor_bytes(tensors),
        STATE: json.dumps(state, indent=1, allow_nan=False).encode(),
    }
    files[MANIFEST] = _manifest_bytes(files)
    try:
        if not folder.parent.exists():
            folder.parent.mkdir(parents=True)
            sync_folder(folder.parent.parent)
        restore_replaced(folder.parent)
        temporary.mkdir()
        for name, content in files.items():
            _write(temporary / name, content)
        sync_folder(temporary)
        if folder.exists():  # a folder cannot be renamed onto another one
            os.rename(folder, replaced)
        os.rename(temporary, folder)
        sync_folder(folder.parent)
        if replaced.exists():
            shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced.exists() and not folder.exists():
            os.rename(replaced, folder)
        raise RunError(
            f"{folder}: the checkpoint cannot be written ({error.strerror or error}); "
            "make room or give write permission, then resume: earlier checkpoints still stand."
        ) from error


def load(folder: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the state of a checkpoint, after checking every byte of it.

    Raises:
        CheckpointError: something is missing, added or changed, and what.
    """
    folder = Path(folder)
    manifest = _load_manifest(folder)
    contents = {}
    for name, entry in manifest["files"].items():
        content = _read(folder / name)
        if len(content) != entry["size"]:
            raise CheckpointError(
                f"{folder / name} is damaged: it has {len(content)} bytes and should have {entry['size']}."
            )
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise CheckpointError(f"{folder / name} is damaged: its bytes do not match their checksum.")
        contents[name] = content
    unknown = sorted({path.name for path in folder.iterdir()} - contents.keys() - {MANIFEST})
    if unknown:
        raise CheckpointError(f"{folder / unknown[0]} does not belong to this checkpoint; remove it.")
    try:
        return safetensors.torch.load(contents[TENSORS]), json.loads(contents[STATE])
    except (KeyError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is no checkpoint of elman: {error}.") from error


def _load_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no checkpoint.")
    content = _read(folder / MANIFEST)
    _check_own_digest(content, folder / MANIFEST)
    manifest: dict[str, Any] = json.loads(content)
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / MANIFEST} has format {manifest.get('format')!r}; this elman reads format {FORMAT}. "
            "Use the version of elman that wrote it."
        )
    if manifest.get("files", {}).keys() != {TENSORS, STATE}:
        raise CheckpointError(
            f"{folder / MANIFEST} does not list the files of a checkpoint; use another one."
        )
    return manifest


def list_checkpoints(folder: str | Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest step first, unchecked."""
    try:
        found = [path for path in Path(folder).iterdir() if path.name.isdigit() and path.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{folder}: cannot be read ({error.strerror}).") from error
    return sorted(found, key=lambda path: int(path.name))


def latest_good(folder: str | Path) -> tuple[Path | None, list[str]]:
    """Return the newest checkpoint that is whole, and a message for each newer one that is not.

    Only reads, so it may be called while a training saves into the folder.

    Args:
        folder: where the checkpoints are (`checkpoints` of a run).

    Returns:
        Its path, None if there is none; and why newer ones are refused.
    """
    refused = []
    for path in reversed(list_checkpoints(folder)):
        try:
            load(path)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            return path, refused
    return None, refused


def prune(folder: str | Path, *, keep: Iterable[int] = (), last: int = 2) -> None:
    """Delete all checkpoints but the `last` newest and those of the steps in `keep`.

    Raises:
        RunError: one of them cannot be deleted.
    """
    kept = set(keep)
    for path in list_checkpoints(folder)[:-last]:
        if int(path.name) not in kept:
            try:
                # Under another name first: a kill halfway must not leave half a checkpoint under its own.
                doomed = path.with_name(SAVING + path.name)
                os.rename(path, doomed)
                shutil.rmtree(doomed)
            except OSError as error:
                raise RunError(f"{path}: an old checkpoint cannot be deleted ({error.strerror}).") from error


def restore_replaced(folder: str | Path) -> None:
    """Clean up after killed saves: delete what was being written, put back what was about to be replaced."""
    try:
        leftovers = [path for path in Path(folder).iterdir() if path.name.startswith((SAVING, REPLACED))]
    except FileNotFoundError:
        return
    for path in leftovers:
        place = path.with_name(path.name.removeprefix(REPLACED))
        if path.name.startswith(REPLACED) and not place.exists():
            os.rename(path, place)
        else:
            shutil.rmtree(path)


def save_weights(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write a safetensors file, whole or not at all, with a checksum of itself in its metadata.

    Args:
        path: the file, by custom `model.safetensors`; any safetensors reader opens it.
        tensors: a pattern's `state_dict()`.
        metadata: anything JSON can hold; floats survive exactly.

    Raises:
        RunError: disk full, no permission, or another trouble with the disk; what was there still stands.
    """
    path = Path(path)
    # One key, because safetensors writes several in another order in each process.
    text = json.dumps({**metadata, "sha256_of_this_file": NO_DIGEST}, allow_nan=False)
    write_whole(path, _with_own_digest(_tensor_bytes(tensors, {"elman": text})))


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of a file of `save_weights`, after checking every byte of it.

    Raises:
        CheckpointError: it is missing, damaged, or was made by something else.
    """
    content = _read(Path(path))
    _check_own_digest(content, Path(path))
    try:
        size = int.from_bytes(content[:8], "little")
        metadata: dict[str, Any] = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["elman"])
        tensors = safetensors.torch.load(content)
    except (KeyError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no model file of elman: {error}.") from error
    del metadata["sha256_of_this_file"]
    return tensors, metadata


def write_whole(path: Path, content: bytes) -> None:
    """Write a file aside, sync it to the disk and rename it to its place.

    Raises:
        RunError: disk full, no permission, or another trouble with the disk; what was there still stands.
    """
    temporary = path.with_name(SAVING + path.name)
    try:
        _write(temporary, content)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "make room or give write permission; what was there still stands."
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}).") from error


def _tensor_bytes(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Serialise tensors; safetensors refuses shared memory (tied weights), so each gets its own."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(storage.data_ptr())
        separate[name] = tensor
    return safetensors.torch.save(separate, metadata)


def _manifest_bytes(files: dict[str, bytes]) -> bytes:
    manifest = {
        "format": FORMAT,
        "files": {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
        "sha256_of_this_file": NO_DIGEST,
    }
    return _with_own_digest(json.dumps(manifest, indent=1).encode())


def _with_own_digest(content: bytes) -> bytes:
    """Put the digest of the content, computed with zeros in its own place, into that place."""
    digest = hashlib.sha256(content).hexdigest().encode()
    return OWN_DIGEST.sub(lambda match: match[1] + digest, content, count=1)


def _check_own_digest(content: bytes, path: Path) -> None:
    found = OWN_DIGEST.search(content)
    if found is None:
        raise CheckpointError(f"{path} is damaged, or no file of elman: it carries no checksum of itself.")
    zeroed = content[: found.start(2)] + NO_DIGEST.encode() + content[found.end(2) :]
    if hashlib.sha256(zeroed).hexdigest().encode() != found[2]:
        raise CheckpointError(f"{path} is damaged: its bytes do not match their checksum.")
