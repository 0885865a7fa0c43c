"""SIGNALS: a first Ctrl-C (or `kill`) asks training to finish its step and save; a second one kills."""

import os
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal:
    """Note SIGINT and SIGTERM instead of dying of them, while inside the `with` block.

    Python delivers signals to the main thread only; elsewhere nothing is installed and `received` stays None.

    Args:
        notice: a line for the terminal when the signal comes, so that nobody thinks it was not heard.

    Attributes:
        received: the signal's number, or None.

    Example:
        >>> with StopOnSignal(notice="") as stop:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     stop.received
        15
    """

    def __init__(
        self, notice: str = "\nelman: finishing this step, then saving (once more: stop at once)\n"
    ) -> None:
        self.received: int | None = None
        self._notice = notice.encode()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopOnSignal":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and & want it ignored
                    self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for each in self._before:  # from now on the system itself ends the process, even inside a long kernel
            signal.signal(each, signal.SIG_DFL)
        if self._notice:
            try:
                os.write(2, self._notice)  # not print(): the signal may have come inside one
            except OSError:
                pass  # nobody reads stderr any more

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # None: the handler was not installed from Python and cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}
