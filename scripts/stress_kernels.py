"""Run the C++ kernels as hard as a program may: from two Python threads, on changing threads, in forks.

    python scripts/stress_kernels.py [SECONDS]

Every result must be the bytes that one thread gives. Sizes are drawn anew all the time; memory may not grow.
"""

import os
import random
import resource
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

import elman.nn
from elman.kernels import use

LAYERS = (elman.nn.RNN, elman.nn.GRU, elman.nn.LSTM)
SECONDS = 600.0
AT_ONCE = 2
MOST_THREADS = 4
LARGEST, LARGEST_IN_A_FORK = 40, 10  # torch's own operators on larger tensors hang in a fork of threads
PATIENCE = 60  # seconds after which a fork hangs
MEGABYTES_OF_GROWTH = 200  # what the allocators of the threads may keep


class Job:
    """One training step of a random layer; `results()` gives its output and gradients."""

    def __init__(self, seed: int, most: int) -> None:
        draw = random.Random(seed)
        batch, steps = draw.randint(1, most), draw.randint(1, most)
        sizes = draw.randint(1, 70), draw.randint(1, 70)
        torch.manual_seed(seed)
        self.layer = draw.choice(LAYERS)(*sizes, bidirectional=draw.random() < 0.5, batch_first=True)
        self.input = torch.randn(batch, steps, sizes[0])
        lengths = [steps, *(draw.randint(0, steps) for _ in range(batch - 1))]
        self.lengths = lengths if draw.random() < 0.5 else None

    def results(self) -> list[Tensor]:
        output, _ = self.layer(self.input, lengths=self.lengths)
        return [output.detach(), *torch.autograd.grad(output.square().sum(), self.layer.parameters())]


def check(found: list[Tensor], expected: list[Tensor], where: str, seed: int) -> None:
    if not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)):
        raise SystemExit(f"job {seed} gives other bytes {where}")


def in_a_fork(job: Job, expected: list[Tensor], seed: int) -> None:
    """Run a job in a forked child, whose copy of the pool of threads is dead."""
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        same = all(torch.equal(a, b) for a, b in zip(job.results(), expected, strict=True))
        os._exit(0 if same else 1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit(f"job {seed} fails or gives other bytes in a forked process")


def round_of_jobs(seed: int, pool: ThreadPoolExecutor) -> None:
    """Run some jobs alone on one thread, then all at once on many, then one of them in a fork."""
    seeds = range(seed, seed + 2 * AT_ONCE)
    jobs = [Job(each, LARGEST if each > seed else LARGEST_IN_A_FORK) for each in seeds]
    torch.set_num_threads(1)
    expected = [job.results() for job in jobs]
    torch.set_num_threads(2 + seed % (MOST_THREADS - 1))
    running = [pool.submit(job.results) for job in jobs]
    for each, job, right in zip(seeds, running, expected, strict=True):
        check(job.result(), right, f"on {torch.get_num_threads()} threads", each)
    in_a_fork(jobs[0], expected[0], seed)


def main(seconds: float) -> None:
    end, rounds, begin = time.monotonic() + seconds, 0, 0
    with use("cpu"), ThreadPoolExecutor(AT_ONCE) as pool:
        while time.monotonic() < end:
            round_of_jobs(rounds * 2 * AT_ONCE, pool)
            rounds += 1
            if rounds == 20:
                begin = peak_megabytes()
    grown = peak_megabytes() - (begin or peak_megabytes())
    if grown > MEGABYTES_OF_GROWTH:
        raise SystemExit(f"{rounds} rounds, and memory grew by {grown} MB")
    jobs = rounds * 2 * AT_ONCE
    print(f"{jobs} jobs, each on one thread, on many and beside another, {rounds} in a fork: same bytes")


def peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
