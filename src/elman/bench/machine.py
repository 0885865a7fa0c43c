"""MACHINE: what figures depend on: the processor, what it can do at most, who else uses it, and versions."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from elman.kernels.call import native

BUSY = 0.1
"""Share of the processor that others may use before the figures say little."""


PEAK_ROUNDS = 3


def peak(threads: int) -> float | None:
    """Measure what the processor can do with so many threads: float32 flop/s of multiply-adds in registers.

    Returns:
        None where the C++ kernels are not there to measure it.
    """
    measure_peak: Callable[[int], float] | None = getattr(native, "peak", None)
    return None if measure_peak is None else 1e9 * max(measure_peak(threads) for _ in range(PEAK_ROUNDS))


def machine() -> dict[str, Any]:
    """Give processor, cores, the kernels' instruction set (None: they were not built) and versions."""
    return {
        "processor": processor(),
        "cores": cores(),
        "instructions": None if native is None else native.variant(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Give the processor's name as the system knows it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            facts: Mapping[str, str] = {
                name.strip(): value.strip() for name, _, value in (line.partition(":") for line in file)
            }
    except OSError:
        facts = {}
    return facts.get("model name") or platform.processor() or platform.machine()


class Watch:
    """Tell how much of the processor others used since this was made.

    Example:
        >>> share = Watch().others()
        >>> share is None or 0 <= share <= 1
        True
    """

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.busy, self.own = _busy_seconds(), _own_seconds()

    def others(self) -> float | None:
        """Give the share of all cores, 0..1, that other processes used; None: the system does not tell."""
        busy = _busy_seconds()
        if busy is None or self.busy is None:
            return None
        there_was = (time.perf_counter() - self.began) * (os.cpu_count() or 1)
        used = busy - self.busy - (_own_seconds() - self.own)
        return min(1.0, max(0.0, used / max(there_was, 1e-9)))


def _busy_seconds() -> float | None:
    """Give the seconds that all cores together were at work, or taken away by a virtual machine's host."""
    try:
        with open("/proc/stat", encoding="utf-8") as file:
            ticks = [int(number) for number in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _, _, interrupts, soft_interrupts, stolen = ticks
    return (user + nice + system + interrupts + soft_interrupts + stolen) / float(os.sysconf("SC_CLK_TCK"))


def _own_seconds() -> float:
    """Give the seconds of processor that this process and the processes it has waited for have used."""
    return sum(os.times()[:4])
