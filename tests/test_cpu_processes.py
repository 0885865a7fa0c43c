"""The C++ kernels and the processes and threads that a program may have around them."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import elman.nn
from elman.kernels import cpu, use

pytestmark = [
    pytest.mark.skipif(cpu.native is None, reason="the C++ kernels were not built"),
    # Python 3.12 warns of every fork of a process with threads, which is what is tried here.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
PATIENCE = 60  # seconds after which a process hangs


class Job:
    """A layer and a batch whose work is worth two threads."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.layer, self.input = elman.nn.GRU(48, 64, batch_first=True), torch.randn(10, 12, 48)

    def results(self) -> list[torch.Tensor]:
        """Give output and gradients."""
        output, _ = self.layer(self.input)
        return [output.detach(), *torch.autograd.grad(output.square().sum(), self.layer.parameters())]


@pytest.fixture(autouse=True)
def on_these_kernels():
    with use("cpu"):
        yield


def are_same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def run_in_child(connection) -> None:
    torch.set_num_threads(2)
    connection.send([part.numpy() for part in Job(0).results()])


class Outputs(Dataset):
    """Items that a layer computes, in the process that asks for them."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return Job(index).results()[0]


def test_a_forked_process_computes_the_same():
    torch.set_num_threads(2)
    expected = Job(0).results()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=run_in_child, args=(sender,))
    child.start()
    try:
        assert receiver.poll(PATIENCE), "the child hangs"
        found = [torch.from_numpy(part) for part in receiver.recv()]
    finally:
        child.kill()
        child.join()
    assert are_same(found, expected)
    assert are_same(Job(0).results(), expected)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with one core
@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_of_a_data_loader_compute_the_same(start):
    torch.set_num_threads(2)
    expected = [Job(index).results()[0] for index in range(4)]
    loader = DataLoader(
        Outputs(), batch_size=None, num_workers=2, multiprocessing_context=start, timeout=PATIENCE
    )
    assert are_same(list(loader), expected)


def test_two_python_threads_at_once_compute_what_one_does():
    jobs = [Job(seed) for seed in range(6)]
    expected = [job.results() for job in jobs]
    torch.set_num_threads(2)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(Job.results, jobs))
    assert all(are_same(a, b) for a, b in zip(found, expected, strict=True))


def test_the_number_of_threads_may_change_between_calls_and_during_them():
    mine, other = Job(0), Job(1)
    expected, other_expected = mine.results(), other.results()
    with ThreadPoolExecutor(1) as pool:
        running = [pool.submit(other.results) for _ in range(10)]
        for threads in (2, 1, 4, 3, 2, 1):
            torch.set_num_threads(threads)
            assert are_same(mine.results(), expected)
        assert all(are_same(each.result(), other_expected) for each in running)


@pytest.mark.slow
def test_a_short_stress_run_finds_nothing():
    script = Path(__file__).parent.parent / "scripts" / "stress_kernels.py"
    done = subprocess.run(
        [sys.executable, str(script), "2"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "same bytes" in done.stdout
