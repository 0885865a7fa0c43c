"""REPORT CARD: what a cell can learn, problem by problem, beside chance, with its size and cost.

Shape legend: B batch, T time, K classes.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from elman.config import unknown_name
from elman.errors import ConfigError
from elman.nn.encoder import LAYERS, Encoder
from elman.padded import Padded
from elman.xray.problems import NOT_ASKED, PROBLEMS, Problem

HIDDEN_SIZE, BATCH_SIZE, CLIP_NORM = 64, 32, 1.0

LEARNING_RATES = {"rnn": 1e-3}
"""Without gates, larger steps leave the narrow way where the state neither fades nor grows."""
LEARNING_RATE = 5e-3
"""Of all other cells."""

LOOK_EVERY = 100
"""Updates between two looks at the test data."""

SOLVED = 0.99
"""The score at which training ends: a hundredth of the error of chance is left."""

SECONDS = 40.0
"""Processor time that one network may take for one problem."""

T_QUANTILES = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
]  # fmt: skip
"""The 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom; beyond, `NORMAL_QUANTILE` is near."""
NORMAL_QUANTILE = 1.960


@dataclass(frozen=True)
class Mark:
    """How one network did on one problem.

    Args:
        cell, problem, seed: what was tried.
        measured: mean squared error or accuracy on fresh data, at the last look.
        chance: the same without reading the input.
        score: 0 is chance, 1 no error at all.
        updates: made until it was solved, the updates or the time were over.
        parameters: of the whole network.
        milliseconds: of one update, 32 rows of T steps, forward, backward and Adam, the median; with as many
            threads as torch had.
        seconds: of the processor, in all.
        ended: "solved", "updates", "time" or "not finite".
        curve: [updates, score] at each look.
    """

    cell: str
    problem: str
    seed: int
    measured: float
    chance: float
    score: float
    updates: int
    parameters: int
    milliseconds: float
    seconds: float
    ended: str
    curve: list[list[float]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the mark as a JSON-able object."""
        return asdict(self)


@dataclass
class ReportCard:
    """The marks of one cell.

    Args:
        cell: its name in `LAYERS`.
        marks: one for each problem and seed.
    """

    cell: str
    marks: list[Mark]

    def scores(self, problem: str) -> list[float]:
        """Return the scores of a problem, a seed each."""
        return [mark.score for mark in self.marks if mark.problem == problem]

    def __str__(self) -> str:
        lines = [f"{self.cell}: 0 is chance, 1 is no error"]
        for problem in dict.fromkeys(mark.problem for mark in self.marks):
            own = [mark for mark in self.marks if mark.problem == problem]
            middle, half = interval([mark.score for mark in own])
            cost = statistics.median(mark.milliseconds for mark in own)
            spread = f" ± {half:.3f}" if math.isfinite(half) else ""
            lines.append(
                f"  {problem:<16} {middle:6.3f}{spread}  {own[0].parameters:,} parameters, "
                f"{cost:.1f} ms an update"
            )
        return "\n".join(lines)


def report_card(
    cell: str,
    *,
    problems: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    seconds: float = SECONDS,
    updates: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> ReportCard:
    """Return how a cell does on small problems that test one ability each.

    Each network has one layer of 64 units, and learns from 32 fresh rows at each update by Adam.

    Args:
        cell: one of `elman.nn.encoder.LAYERS`.
        problems: names in `PROBLEMS`; None: all.
        seeds: one network for each.
        seconds: of processor time that a network may take for a problem.
        updates: at most; None: as the problem says.
        tell: takes a line at each look.

    Raises:
        ConfigError: an unknown cell or problem, no seed, or no time.
        MissingExtraError: scikit-learn is not installed, which ships the digits.

    Example:
        >>> card = report_card("gru", problems=["parity"], seeds=[0], updates=1)
        >>> [(mark.problem, mark.updates, mark.chance) for mark in card.marks]
        [('parity', 1, 0.5)]
    """
    names = list(PROBLEMS if problems is None else problems)
    if not names or not seeds:
        raise ConfigError("a report card needs a problem and a seed at least.")
    marks = [
        sit(cell, name, seed, seconds=seconds, updates=updates, tell=tell) for name in names for seed in seeds
    ]
    return ReportCard(cell, marks)


def sit(
    cell: str,
    problem: str,
    seed: int,
    *,
    seconds: float = SECONDS,
    updates: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Mark:
    """Return how one network does on one problem; see `report_card`.

    Torch's random state is left as it was. The same seed gives the same score, unless time ends it.
    """
    if cell not in LAYERS:
        raise ConfigError(unknown_name("cell", cell, list(LAYERS)))
    if problem not in PROBLEMS:
        raise ConfigError(unknown_name("problem", problem, list(PROBLEMS)))
    task = PROBLEMS[problem]
    most = task.updates if updates is None else updates
    if not seconds > 0 or most < 1:
        raise ConfigError(f"{seconds:g} seconds and {most} updates; expected more than none of both.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Sitter(task, cell)
        return _train(network, seed, seconds, most, tell)


class Sitter(nn.Module):
    """One recurrent layer, and what reads every step of it.

    Args:
        problem: what it is to learn.
        cell: one of `LAYERS`.

    Example:
        >>> network = Sitter(PROBLEMS["parity"], "gru")
        >>> network(torch.zeros(2, 50, 1)).shape
        torch.Size([2, 50, 2])
    """

    def __init__(self, problem: Problem, cell: str) -> None:
        super().__init__()
        self.problem, self.cell = problem, cell
        self.encoder = Encoder(problem.inputs, HIDDEN_SIZE, cell=cell)
        self.linear = nn.Linear(self.encoder.output_size, problem.outputs or 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the scores of each class at each step [B, T, K], or a number for each step [B, T, 1]."""
        steps, _ = self.encoder(Padded(inputs, torch.full((len(inputs),), inputs.size(1))))
        scores: Tensor = self.linear(steps.data)
        return scores

    def loss(self, inputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error of the last step's number, or the mean cross entropy where asked."""
        said = self(inputs)
        if not self.problem.outputs:
            return mse_loss(said[:, -1, 0], target)
        return cross_entropy(said.flatten(0, 1), target.flatten(), ignore_index=NOT_ASKED)

    @torch.no_grad()
    def measure(self, inputs: Tensor, target: Tensor) -> float:
        """Return the mean squared error, or the accuracy where a class is asked."""
        said = self(inputs)
        if not self.problem.outputs:
            return float(mse_loss(said[:, -1, 0], target))
        asked = target != NOT_ASKED
        return float((said.argmax(-1)[asked] == target[asked]).float().mean())


def _train(network: Sitter, seed: int, seconds: float, most: int, tell: Callable[[str], None]) -> Mark:
    """Train until the problem is solved, or updates or time are over."""
    problem, cell, random = network.problem, network.cell, torch.Generator().manual_seed(seed)
    test = problem.test_data()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATES.get(cell, LEARNING_RATE))
    began, update, ended, curve, times = time.process_time(), 0, "", [], []
    while not ended:
        if update % LOOK_EVERY == 0 or update == most:
            measured = network.measure(*test)
            score, used = problem.score(measured), time.process_time() - began
            curve.append([update, round(score, 4)])
            tell(f"{cell} {problem.name} seed {seed}: {update:,} updates, score {score:.3f}, {used:.0f} s")
            ended = _end(score, used, update, seconds, most)
            if ended:
                break
        rows = problem.draw(BATCH_SIZE, random)
        started = time.perf_counter()
        optimizer.zero_grad()
        network.loss(*rows).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        times.append(time.perf_counter() - started)
        update += 1
    return Mark(
        cell=cell,
        problem=problem.name,
        seed=seed,
        measured=measured,
        chance=problem.chance,
        score=score,
        updates=update,
        parameters=sum(value.numel() for value in network.parameters()),
        milliseconds=1000 * statistics.median(times) if times else 0.0,
        seconds=round(used, 1),
        ended=ended,
        curve=curve,
    )


def _end(score: float, used: float, update: int, seconds: float, most: int) -> str:
    """Return why training ends here; "" where it goes on."""
    if not math.isfinite(score):
        return "not finite"
    if score >= SOLVED:
        return "solved"
    return "updates" if update >= most else "time" if used > seconds else ""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and half the width of its 95 % interval by Student's t; infinite for a single value.

    Source: Student 1908, The probable error of a mean.

    Example:
        >>> middle, half = interval([1.0, 2.0, 3.0])
        >>> middle, round(half, 3)
        (2.0, 2.484)
    """
    middle = statistics.fmean(values)
    free = len(values) - 1
    if free < 1:
        return middle, math.inf
    quantile = T_QUANTILES[free - 1] if free <= len(T_QUANTILES) else NORMAL_QUANTILE
    return middle, quantile * statistics.stdev(values) / math.sqrt(len(values))
