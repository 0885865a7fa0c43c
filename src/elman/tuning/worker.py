"""WORKER: one of several processes of a search; `python -m elman.tuning.worker FOLDER COUNT DEADLINE`.

It reads the search and the data by itself, and runs trials until so many were begun by all workers together.
It ends when the process that started it does.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from elman.errors import ElmanError, Interrupted, RunError
from elman.training.signals import StopOnSignal
from elman.tuning.search import Search
from elman.tuning.trial import OutOfTime, Workbench, deadline_watch, prepare_torch, work

LOOK_SECONDS = 0.2
"""Time between two looks at what the workers have done."""


def main(arguments: Sequence[str]) -> int:
    """Run trials of a search; return the exit code.

    Args:
        arguments: the folder, how many trials are wanted, and the end as `time.time()` gives it, or "-".
    """
    parent = os.getppid()
    folder, wanted = Path(arguments[0]), int(arguments[1])
    deadline = None if arguments[2] == "-" else float(arguments[2])
    prepare_torch()
    try:
        search = Search.read(folder)
        study = search.study()
        bench = Workbench.read(search.settings_of_trials(), {})
        watch = deadline_watch(deadline, study, parent)
        work(bench, study, wanted=wanted, watch=watch, tell=lambda: None)
    except OutOfTime:
        return 0
    except ElmanError as error:
        if not isinstance(error, Interrupted):
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def supervise(
    search: Search, deadline: float | None, tell: Callable[[], None], *, wanted: int | None = None
) -> int | None:
    """Start the workers of a search and wait for them; return the signal that stopped it, or None.

    Args:
        search: the search; its `search.json` is written.
        deadline: when it is to end, as `time.time()` gives it; None: when all trials are over.
        tell: called again and again while they work.
        wanted: trials to begin in all (default: those of the search).

    Raises:
        RunError: a worker ended by an error, which it has said itself.
    """
    count, end = str(search.trials if wanted is None else wanted), "-" if deadline is None else repr(deadline)
    command = [sys.executable, "-m", "elman.tuning.worker", str(search.folder), count, end]
    with StopOnSignal("\nelman: stopping the trials (once more: stop at once)\n") as stop:
        # In a session of their own, so that a Ctrl-C reaches them once: from here.
        workers = [
            subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
            for _ in range(search.processes)
        ]
        is_told = False
        while any(worker.poll() is None for worker in workers):
            if stop.received is not None and not is_told:
                is_told = True
                for worker in workers:
                    worker.terminate()
            tell()
            time.sleep(LOOK_SECONDS)
        tell()
    if stop.received is not None:
        return stop.received
    codes = [worker.returncode for worker in workers]
    failed = [code for code in codes if code > 0]  # below zero: killed, which its trial tells
    if failed or all(codes):
        raise RunError(
            f"{search.folder}: a process of the search ended with code {(failed or codes)[0]}; mend what it "
            f"said above, and go on with: elman tune --resume {search.folder}"
        )
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
