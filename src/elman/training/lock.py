"""LOCK: one training at a time in a run folder."""

import fcntl
import os
from pathlib import Path

from elman.errors import RunError


class RunLock:
    """Hold the file `lock` of a run folder while training; the system frees it however the process ends.

    Args:
        folder: the run folder; it exists.

    Raises:
        RunError: on entering, if another process trains there, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, RunLock(folder):
        ...     sorted(os.listdir(folder))
        ['lock']
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "lock"
        self._file: int | None = None

    def __enter__(self) -> "RunLock":
        file = self._locked()
        while not self._is_in_place(file):
            os.close(file)  # another run held it and was given back, lock and all
            file = self._locked()
        self._file = file
        try:
            os.ftruncate(file, 0)
            os.write(file, str(os.getpid()).encode())
        except OSError:
            pass  # a full disk: the lock holds all the same, only the message above names no process
        return self

    def _locked(self) -> int:
        """Return the file, opened and locked."""
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RunError(
                f"{self.path}: the run cannot be locked ({error.strerror}); "
                "training needs a folder that exists and that you may write to."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 64).decode("ascii", "replace").strip()
            os.close(file)
            raise RunError(
                f"{self.path.parent}: another training is at work here"
                f"{f' (process {holder})' if holder else ''}; wait for it, stop it, or use another folder."
            ) from None
        except OSError as error:
            os.close(file)
            raise RunError(
                f"{self.path}: this file system gives no locks ({error.strerror}); "
                "put the run on a local disk, so that two trainings cannot damage each other."
            ) from error
        return file

    def _is_in_place(self, file: int) -> bool:
        """Say whether this is still the file at the path: a deleted one would keep nobody out."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self.path))
        except FileNotFoundError:
            return False

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
