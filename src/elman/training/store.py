"""STORE: the run folder as training sees it: checkpoints, the best weights, and two journals."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from elman.errors import CheckpointError, RunError
from elman.training import checkpoint
from elman.training.snapshot import with_prefix

logger = logging.getLogger("elman")


class Journal:
    """A file of JSON lines that only grows, but for `cut`.

    Args:
        path: the file; made with its first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: dict[str, Any]) -> None:
        """Add one line.

        Raises:
            RunError: the disk is full, or the file cannot be written.
        """
        try:
            is_new = not self.path.exists()
            with open(self.path, "ab") as file:
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
                file.flush()
                # A checkpoint will name the length of this file, so the file must be on the disk before it.
                os.fsync(file.fileno())
            if is_new:
                checkpoint.sync_folder(self.path.parent)
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); make room or give write permission, "
                "then resume: the checkpoints still stand."
            ) from error

    def length(self) -> int:
        """Return the size of the file: *bytes*, 0 if there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, length: int) -> None:
        """Drop what was written after the file was `length` bytes long (those steps are made again)."""
        missing = length - self.length()
        if missing > 0:
            logger.warning(
                "%s: %d bytes are missing that were there when the checkpoint was made; "
                "training goes on, the curves lack those epochs",
                self.path,
                missing,
            )
        elif missing < 0:
            try:
                os.truncate(self.path, length)
            except OSError as error:
                raise RunError(f"{self.path}: cannot be written ({error.strerror}).") from error


class Store:
    """Where a training keeps what must outlive it.

    Args:
        folder: the run folder; it exists. Hold its `RunLock` while training.

    Attributes:
        checkpoints: the folder of checkpoints, each named by its step.
        model: the file of the best weights so far.
        metrics: one line an epoch, without any clock: the same training writes the same bytes.
        timing: one line an epoch, the clock.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"
        self.model = self.folder / "model.safetensors"
        self.metrics = Journal(self.folder / "metrics.jsonl")
        self.timing = Journal(self.folder / "timing.jsonl")

    def has_checkpoints(self) -> bool:
        """Say whether there is any checkpoint, whole or not."""
        return bool(checkpoint.list_checkpoints(self.checkpoints))

    def save(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any], *, best_step: int) -> Path:
        """Write a checkpoint and delete old ones: the last two and the best stay.

        Raises:
            RunError: disk full or no permission; earlier checkpoints still stand.
        """
        path = self.checkpoints / f"{step:08d}"
        lengths = {journal.path.name: journal.length() for journal in (self.metrics, self.timing)}
        checkpoint.save(path, tensors, {**state, "journals": lengths})
        checkpoint.prune(self.checkpoints, keep=[best_step])
        return path

    def resume(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the newest good checkpoint and cut the journals to it; None if no checkpoint was made yet.

        Damaged newer ones are named in a warning and set aside as STEP.damaged.

        Raises:
            CheckpointError: there are checkpoints, and all are damaged.
        """
        try:
            checkpoint.restore_replaced(self.checkpoints)
        except OSError as error:
            raise RunError(f"{self.checkpoints}: cannot be written ({error.strerror}).") from error
        path, refused = checkpoint.latest_good(self.checkpoints)
        if path is None and refused:
            raise CheckpointError(
                f"{self.checkpoints}: every checkpoint is damaged. {' '.join(refused)} "
                "Restore one from a copy, or train anew."
            )
        for message in refused:
            logger.warning("%s", message)
        if path is None:
            found, lengths = None, {}
        else:
            if refused:
                logger.warning("going on from the checkpoint before, %s", path)
                self._set_aside_newer(path)
            found = checkpoint.load(path)
            lengths = found[1]["journals"]
        for journal in (self.metrics, self.timing):
            journal.cut(lengths.get(journal.path.name, 0))
        return found

    def _set_aside_newer(self, good: Path) -> None:
        for path in checkpoint.list_checkpoints(self.checkpoints):
            if int(path.name) > int(good.name):
                aside, number = path.with_name(path.name + checkpoint.DAMAGED), 1
                while aside.exists():
                    number += 1
                    aside = path.with_name(f"{path.name}{checkpoint.DAMAGED}-{number}")
                try:
                    os.rename(path, aside)
                except OSError as error:
                    raise RunError(f"{path}: cannot be set aside ({error.strerror}).") from error

    def save_best(self, tensors: dict[str, Tensor], *, step: int, epoch: int) -> None:
        """Write `model.safetensors`.

        Raises:
            RunError: disk full or no permission; the former file still stands.
        """
        checkpoint.save_weights(self.model, tensors, {"step": step, "epoch": epoch})

    def load_best(self, step: int) -> dict[str, Tensor] | None:
        """Return the weights after `step` from the model file, or else its checkpoint; None if both fail."""
        try:
            tensors, metadata = checkpoint.load_weights(self.model)
            if metadata["step"] == step:
                return tensors
        except CheckpointError as error:
            logger.warning("%s", error)
        try:
            tensors, _ = checkpoint.load(self.checkpoints / f"{step:08d}")
        except CheckpointError as error:
            logger.warning("%s", error)
            return None
        return with_prefix(tensors, "weights/")
