"""TIMING: our layers and torch.nn's, in turns, in one process.

Shape legend: B batch, T time, I input features, H hidden, L layers, D directions.

Both layers have the same weights and get the same batch. A training step is the forward and the backward
pass, with gradients of weights and input; inference is the forward pass alone. The two take turns, so that a
busy machine hurts both, and the medians are compared.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.bench.cases import Case
from elman.bench.machine import Watch, machine, peak
from elman.nn import GRU, LSTM, RNN

Runs = dict[str, Callable[[], object]]

OURS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
THEIRS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
MODES = ("train", "inference")

SHORTEST_SAMPLE = 0.002
"""Seconds; a call that is shorter is timed many at a time."""

MOST_CALLS = 200
MOST_ROUNDS = 100


class Result(NamedTuple):
    """One case, measured.

    Args:
        case, mode, threads: what was measured.
        seconds: who ran -> median time of one call; "elman" is among them.
        rounds: how often each had its turn.
        peak: flop/s of the processor with that many threads; None: not known.
    """

    case: Case
    mode: str
    threads: int
    seconds: dict[str, float]
    rounds: int
    peak: float | None

    def ratio(self, rival: str) -> float:
        """How many times faster elman is than a rival."""
        return self.seconds[rival] / self.seconds["elman"]

    @property
    def rivals(self) -> list[str]:
        """Who else ran."""
        return [name for name in self.seconds if name != "elman"]

    @property
    def speed(self) -> float:
        """Floating-point operations per second, ours."""
        return self.case.flops(self.mode) / self.seconds["elman"]

    @property
    def share(self) -> float | None:
        """Part of the processor's peak that ours reaches."""
        return None if not self.peak else self.speed / self.peak

    def to_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        case = self.case
        return {
            **case._asdict(),
            "lengths": list(case.lengths) or None,
            "mode": self.mode,
            "threads": self.threads,
            "rounds": self.rounds,
            "milliseconds": {name: 1000 * seconds for name, seconds in self.seconds.items()},
            "ratio": {rival: self.ratio(rival) for rival in self.rivals},
            "gflops": self.speed / 1e9,
            "share_of_peak": self.share,
        }


def runs_of(case: Case, mode: str) -> Runs:
    """Give what is timed: name -> a call that runs the layer once, forward or forward and backward.

    "elman" and, for full rows, "torch". For rows of unequal length "packed", torch with the rows packed
    before and padded after, and "padded", torch over the padding as if it were data: other results.

    Args:
        case: the layer and its batch.
        mode: "train" or "inference".

    Example:
        >>> output = runs_of(Case("gru", 2, 5, 3, 4), "inference")["elman"]()
        >>> output.shape
        torch.Size([5, 2, 4])
    """
    options = {"num_layers": case.num_layers, "bidirectional": case.bidirectional}
    ours: Any = OURS[case.cell](case.input_size, case.hidden_size, **options)
    theirs: Any = THEIRS[case.cell](case.input_size, case.hidden_size, **options)
    theirs.load_state_dict(ours.state_dict())
    is_training = mode == "train"
    x = torch.randn(case.steps, case.batch, case.input_size, requires_grad=is_training)
    upstream = torch.randn(case.steps, case.batch, (2 if case.bidirectional else 1) * case.hidden_size)
    lengths = torch.tensor(case.lengths, dtype=torch.int64)

    def packed() -> Tensor:
        rows = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(theirs(rows)[0], total_length=case.steps)[0]

    def as_step(layer: Any, forward: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with nullcontext() if is_training else torch.no_grad():
                output = forward()
            if is_training:
                for tensor in (x, *layer.parameters()):
                    tensor.grad = None
                output.backward(upstream)
            return output.detach()

        return run

    if not case.lengths:
        return {"elman": as_step(ours, lambda: ours(x)[0]), "torch": as_step(theirs, lambda: theirs(x)[0])}
    return {
        "elman": as_step(ours, lambda: ours(x, lengths=lengths)[0]),
        "packed": as_step(theirs, packed),
        "padded": as_step(theirs, lambda: theirs(x)[0]),
    }


def take_turns(runs: Runs, seconds: float, fewest: int = 5) -> dict[str, list[float]]:
    """Time some calls, one after the other and again, each next round in the opposite order.

    Args:
        runs: name -> what is called.
        seconds: for how long, warming up left out.
        fewest: rounds, however long they take.

    Returns:
        name -> seconds of one call, a number for each round.

    Example:
        >>> samples = take_turns({"a": lambda: 1, "b": lambda: 2}, 0.01)
        >>> len(samples["a"]) == len(samples["b"]) >= 5
        True
    """
    calls = {}
    for name, run in runs.items():
        run()
        began = time.perf_counter()
        run()
        least = max(time.perf_counter() - began, 1e-7)
        calls[name] = min(MOST_CALLS, math.ceil(SHORTEST_SAMPLE / least))
    samples: dict[str, list[float]] = {name: [] for name in runs}
    order, rounds, end = list(runs), 0, time.perf_counter() + seconds
    with _without_collector():
        while rounds < fewest or (rounds < MOST_ROUNDS and time.perf_counter() < end):
            for name in order:
                run, times = runs[name], calls[name]
                began = time.perf_counter()
                for _ in range(times):
                    run()
                samples[name].append((time.perf_counter() - began) / times)
            order.reverse()
            rounds += 1
    return samples


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep Python's garbage collector from running inside."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def with_threads(threads: int) -> Iterator[None]:
    """Let torch, and so elman, use so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(
    case: Case, mode: str, threads: int, *, seconds: float = 1.0, fewest: int = 5, peak: float | None = None
) -> Result:
    """Time one case.

    Args:
        case, mode, threads: what, "train" or "inference", and on how many threads.
        seconds, fewest: for how long and how many rounds at least, as in `take_turns`.
        peak: the processor's with these threads, to be remembered.

    Example:
        >>> measure(Case("rnn", 2, 3, 4, 4), "train", 1, seconds=0.0, fewest=1).rivals
        ['torch']
    """
    torch.manual_seed(0)
    with with_threads(threads):
        samples = take_turns(runs_of(case, mode), seconds, fewest)
    medians = {name: statistics.median(times) for name, times in samples.items()}
    return Result(case, mode, threads, medians, len(samples["elman"]), peak)


class Report(NamedTuple):
    """All that was measured.

    Args:
        results: of every case, mode and number of threads.
        peaks: threads -> the processor's flop/s; None: not known.
        others: share of the processor that other processes used meanwhile; None: not known.
    """

    results: list[Result]
    peaks: dict[int, float | None]
    others: float | None

    def means(self) -> list[dict[str, Any]]:
        """Give geometric means of ratios, for each cell, mode, threads and rival; "padded" is left out."""
        groups: dict[tuple[str, str, int, str], list[float]] = {}
        for result in self.results:
            for rival in result.rivals:
                if rival != "padded":
                    key = (result.case.cell, result.mode, result.threads, rival)
                    groups.setdefault(key, []).append(result.ratio(rival))
        names = ("cell", "mode", "threads", "against")
        return [
            dict(zip(names, key, strict=True))
            | {"ratio": statistics.geometric_mean(ratios), "cases": len(ratios)}
            for key, ratios in groups.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Give everything as plain values, machine and versions included."""
        peaks = {str(threads): value and value / 1e9 for threads, value in self.peaks.items()}
        results = [result.to_json() for result in self.results]
        facts = {**machine(), "peak_gflops": peaks, "used_by_others": self.others}
        return {**facts, "geometric_means": self.means(), "results": results}


def compare(
    cases: Sequence[Case],
    threads: Sequence[int],
    *,
    seconds: float = 1.0,
    fewest: int = 5,
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Time all cases, for training and inference.

    Args:
        cases: see `all_cases`.
        threads: on how many threads; every case on each.
        seconds, fewest: for each figure, as in `take_turns`.
        tell: called with a line when a case is done.

    Example:
        >>> report = compare([Case("gru", 1, 2, 3, 4)], [1], seconds=0.0, fewest=1)
        >>> [mean["mode"] for mean in report.means()]
        ['train', 'inference']
    """
    watch = Watch()
    peaks = {count: peak(count) for count in threads}
    results, width = [], len(str(len(cases) * len(threads)))
    for number, (count, case) in enumerate(((count, case) for count in threads for case in cases), 1):
        said = []
        for mode in MODES:
            result = measure(case, mode, count, seconds=seconds, fewest=fewest, peak=peaks[count])
            results.append(result)
            said += [f"{mode} {result.ratio(rival):.2f}x {rival}" for rival in result.rivals]
        where = f"{number:{width}}/{len(cases) * len(threads)}  {case.cell:<4}  {case.title}"
        tell(f"{where}  {plural(count)}: {', '.join(said)}")
    return Report(results, peaks, watch.others())


def plural(threads: int) -> str:
    """Give "1 thread" or "2 threads"."""
    return f"{threads} thread{'s' if threads > 1 else ''}"
