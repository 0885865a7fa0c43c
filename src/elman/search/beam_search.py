"""BEAM SEARCH: the best sequences that a step function can write, several candidates at a time.

Shape legend: R rows (sentences), K beams of a row, N = R*K, V vocabulary, U steps written so far.

    step(tokens [N], state) -> (log-probabilities [N, V], state)

Nothing here knows a network: a state is anything with `select(rows)`, which gives the state of these rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from elman.errors import ConfigError

PENALTY_OFFSET = 5
"""The 5 of the length penalty of Wu et al. 2016, eq. 14."""


class SearchState(Protocol):
    """What a step function carries from step to step, one row a beam."""

    def select(self, rows: Tensor) -> "SearchState":
        """Return the state of these rows, int64 [M], in this order; a row may stand there twice."""
        ...


StateType = TypeVar("StateType", bound=SearchState)
Step = Callable[[Tensor, StateType], tuple[Tensor, StateType]]


@dataclass(frozen=True)
class Hypothesis:
    """One sequence that search found.

    Args:
        tokens: ids, without start and stop.
        log_probability: of all its tokens, the stop token among them, in nats.
        score: the log-probability divided by the length penalty; the higher the better.
        is_complete: it ended with the stop token; False: it was cut at the maximum length.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    is_complete: bool


def penalty(length: int, alpha: float) -> float:
    """Return what the log-probability of a sequence is divided by: ``((5 + length) / 6) ** alpha``.

    Args:
        length: tokens, the stop token among them.
        alpha: 0: no penalty; 1: nearly the mean over tokens.

    Source: Wu et al. 2016, Google's neural machine translation system, eq. 14, without its coverage penalty.

    Example:
        >>> penalty(7, 0.0), penalty(7, 1.0)
        (1.0, 2.0)
    """
    return float(((PENALTY_OFFSET + length) / (PENALTY_OFFSET + 1)) ** alpha)


def search(
    step: "Step[StateType]",
    state: StateType,
    *,
    num_rows: int,
    start: int,
    stop: int,
    width: int,
    max_length: int,
    length_penalty: float = 0.0,
    n_best: int = 1,
    forbidden: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """Return the best sequences of each row, the best first.

    A beam that ends gives up its place, so width 1 is greedy search. A row is done when all its beams have
    ended, or when none that is open could still beat the n-th best that has ended. What is open at the
    maximum length is cut there, and stands behind everything that ended by itself.

    Args:
        step: the log-probabilities of the next token, given the last ones.
        state: before the first token, one row for each sequence that is wanted.
        num_rows: how many that is, R.
        start, stop: the tokens before the first one and after the last.
        width: beams, K.
        max_length: tokens at most, the stop token among them.
        length_penalty: alpha of `penalty`.
        n_best: how many to return; fewer where the beams found fewer.
        forbidden: tokens that are never chosen.

    Raises:
        ConfigError: width, max_length or n_best below 1, n_best above width, or a negative penalty.

    Source: Sutskever et al. 2014, section 3.2 (a beam that ends gives up its place); the end as Huang et al.
    2017, When to finish?, whose bound is widened by the penalty of the longest sequence.

    Example:
        >>> class Nothing:
        ...     def select(self, rows):
        ...         return self
        >>> table = torch.tensor([[0.1, 0.3, 0.6], [0.7, 0.2, 0.1], [0.9, 0.05, 0.05]]).log()
        >>> best, = search(lambda tokens, state: (table[tokens], state), Nothing(), num_rows=1, start=0,
        ...                stop=0, width=3, max_length=4)[0]
        >>> best.tokens, round(best.log_probability, 3) == round(float((table[0, 2] + table[2, 0])), 3)
        ((2,), True)
    """
    _check(width, max_length, n_best, length_penalty)
    if num_rows == 0:
        return []
    found = _Finished(num_rows, n_best, length_penalty)
    rows = torch.arange(num_rows)  # which row each block of K beams belongs to
    state = state.select(rows.repeat_interleave(width))  # type: ignore[assignment]
    tokens_N = torch.full((num_rows * width,), start)
    written_RKU = torch.zeros(num_rows, width, 0, dtype=torch.int64)
    # All beams begin alike: only the first of each row may be continued, or all would be the same.
    scores_RK = torch.full((num_rows, width), -torch.inf)
    scores_RK[:, 0] = 0.0
    for length in range(1, max_length + 1):
        log_probs_NV, state = step(tokens_N, state)
        scores_RK, tokens_RK, parents_RK = _extend(scores_RK, log_probs_NV, forbidden)
        written_RKU = torch.cat((_follow(written_RKU, parents_RK), tokens_RK.unsqueeze(2)), 2)
        ended_RK = (tokens_RK == stop) & scores_RK.isfinite()
        found.take(rows, written_RKU, scores_RK, ended_RK, length)
        scores_RK = scores_RK.masked_fill(tokens_RK == stop, -torch.inf)
        if length == max_length:
            found.cut(rows, written_RKU, scores_RK, length)
            break
        open_R = found.are_open(rows, scores_RK.amax(1), max_length)
        if not open_R.any():
            break
        first_N = torch.arange(len(rows)).unsqueeze(1) * width
        chosen_N = (first_N + parents_RK)[open_R].flatten()
        state = state.select(chosen_N)  # type: ignore[assignment]
        rows, scores_RK, written_RKU = rows[open_R], scores_RK[open_R], written_RKU[open_R]
        tokens_N = tokens_RK[open_R].flatten()
    return found.best()


def _extend(
    scores_RK: Tensor, log_probs_NV: Tensor, forbidden: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return score, token and parent of the best K continuations of each row's beams, [R, K] each."""
    num_rows, width = scores_RK.shape
    total_RKV = scores_RK.unsqueeze(2) + log_probs_NV.cpu().view(num_rows, width, -1)
    if forbidden:
        total_RKV[:, :, list(forbidden)] = -torch.inf
    values_RK, places_RK = total_RKV.flatten(1).topk(width, 1)
    size = total_RKV.size(2)
    return values_RK, places_RK % size, places_RK.div(size, rounding_mode="floor")


def _follow(written_RKU: Tensor, parents_RK: Tensor) -> Tensor:
    return written_RKU.gather(1, parents_RK.unsqueeze(2).expand(-1, -1, written_RKU.size(2)))


class _Finished:
    """What has ended so far, for each row."""

    def __init__(self, num_rows: int, n_best: int, alpha: float) -> None:
        self.n_best, self.alpha = n_best, alpha
        self.complete: list[list[Hypothesis]] = [[] for _ in range(num_rows)]
        self.unfinished: list[list[Hypothesis]] = [[] for _ in range(num_rows)]

    def take(self, rows: Tensor, written: Tensor, scores: Tensor, ended: Tensor, length: int) -> None:
        """Add what ended in this step, without its stop token."""
        self._add(self.complete, rows, written[:, :, :-1], scores, ended, length)

    def cut(self, rows: Tensor, written: Tensor, scores: Tensor, length: int) -> None:
        """Add what is open at the maximum length."""
        self._add(self.unfinished, rows, written, scores, scores.isfinite(), length)

    def are_open(self, rows: Tensor, best_open: Tensor, max_length: int) -> Tensor:
        """Say for each row [R] whether an open beam could still be among the n best."""
        # A log-probability only falls, and nothing divides it by more than the longest sequence's penalty.
        bounds = (best_open / penalty(max_length, self.alpha)).tolist()
        return torch.tensor(
            [bound > self._worst_kept(row) for row, bound in zip(rows.tolist(), bounds, strict=True)]
        )

    def best(self) -> list[list[Hypothesis]]:
        """Return the n best of each row."""
        return [
            [*_ranked(complete), *_ranked(unfinished)][: self.n_best]
            for complete, unfinished in zip(self.complete, self.unfinished, strict=True)
        ]

    def _worst_kept(self, row: int) -> float:
        kept = _ranked(self.complete[row])[: self.n_best]
        return kept[-1].score if len(kept) == self.n_best else -float("inf")

    def _add(
        self,
        where: list[list[Hypothesis]],
        rows: Tensor,
        written: Tensor,
        scores: Tensor,
        which: Tensor,
        length: int,
    ) -> None:
        for place, beam in which.nonzero().tolist():
            total = float(scores[place, beam])
            made = Hypothesis(
                tuple(written[place, beam].tolist()),
                total,
                total / penalty(length, self.alpha),
                where is self.complete,
            )
            where[int(rows[place])].append(made)


def _ranked(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda one: -one.score)


def _check(width: int, max_length: int, n_best: int, alpha: float) -> None:
    for name, value in (("beam_size", width), ("max_length", max_length), ("n_best", n_best)):
        if value < 1:
            raise ConfigError(f"{name} = {value}: search needs 1 or more.")
    if n_best > width:
        raise ConfigError(
            f"n_best = {n_best} but beam_size = {width}: a beam ends once, so ask for {width} at most, "
            "or raise beam_size."
        )
    if alpha < 0:
        raise ConfigError(f"length_penalty = {alpha:g}: expected 0 (none) or more.")
