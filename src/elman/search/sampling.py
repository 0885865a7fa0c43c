"""SAMPLING: a sequence drawn token by token from what a step function says of the next one.

Shape legend: B batch, V vocabulary, I columns of a frame.

A step function takes the tokens that were just written, ids [B], and gives the scores of the next ones,
[B, V]; it keeps its own state. Each way of changing scores before the draw is a small function of its own:
they take scores and give scores, and a token that is ruled out has the score minus infinity.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elman.errors import ConfigError

Step = Callable[[Tensor], Tensor]
"""From the tokens just written, [B], to the scores of the next, [B, V]."""

ENDED = -1
"""Stands in the place of a token where a row has ended."""


def with_temperature(scores: Tensor, temperature: float) -> Tensor:
    """Return scores whose softmax is sharper (below 1) or flatter (above 1); the highest of a row becomes 0.

    Example:
        >>> with_temperature(torch.tensor([[0.0, 2.0]]), 0.5)
        tensor([[-4., 0.]], dtype=torch.float64)
    """
    # In double precision and below zero: a tiny temperature then gives minus infinity, never NaN.
    return (scores - scores.amax(1, keepdim=True)).double() / temperature


def keep_top_k(scores: Tensor, count: int) -> Tensor:
    """Return scores with all but the `count` highest ruled out; of equal ones the lower id stays.

    Source: Fan et al. 2018, Hierarchical neural story generation, section 5.4.

    Example:
        >>> keep_top_k(torch.tensor([[3.0, 1.0, 2.0]]), 2)
        tensor([[3., -inf, 2.]])
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    return scores.scatter(1, order[:, count:], -math.inf)


def keep_nucleus(scores: Tensor, mass: float) -> Tensor:
    """Return scores with all ruled out but the smallest set of tokens whose probability is `mass` or more.

    Args:
        scores: [B, V].
        mass: above 0, at most 1.

    Source: Holtzman et al. 2020, The curious case of neural text degeneration, section 3.1.

    Example:
        >>> keep_nucleus(torch.tensor([[0.5, 0.3, 0.2]]).log(), 0.7).exp()
        tensor([[0.5000, 0.3000, 0.0000]])
    """
    if mass >= 1:
        return scores
    ranked, order = scores.sort(dim=1, descending=True, stable=True)
    # In double precision: a sum of many thousand probabilities decides.
    probabilities = ranked.double().softmax(1)
    before = probabilities.cumsum(1) - probabilities
    outside = before >= mass
    outside[:, 0] = False
    return scores.masked_fill(torch.zeros_like(outside).scatter(1, order, outside), -math.inf)


def penalise_repetition(scores: Tensor, written: Tensor, penalty: float) -> Tensor:
    """Return scores in which tokens that were written already are less likely.

    A positive score is divided by the penalty, a negative one multiplied with it.

    Args:
        scores: [B, V].
        written: whether each row holds each token, bool *[B, V]*.
        penalty: 1 changes nothing.

    Source: Keskar et al. 2019, CTRL, section 4.1; the case of negative scores is that of the code, where the
    formula of the paper would make such tokens likelier.

    Example:
        >>> penalise_repetition(torch.tensor([[2.0, -1.0, 1.0]]), torch.tensor([[True, True, False]]), 2.0)
        tensor([[ 1., -2.,  1.]])
    """
    lowered = torch.where(scores > 0, scores / penalty, scores * penalty)
    return torch.where(written, lowered, scores)


def rule_out(scores: Tensor, tokens: Sequence[int]) -> Tensor:
    """Return scores with these tokens ruled out.

    Example:
        >>> rule_out(torch.tensor([[2.0, 1.0]]), [0])
        tensor([[-inf, 1.]])
    """
    return scores.index_fill(
        1, torch.tensor(list(tokens), dtype=torch.int64, device=scores.device), -math.inf
    )


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: in this order, a penalty, a temperature, the top k, the nucleus.

    Args:
        temperature: what scores are divided by; 0 is greedy.
        top_k: draw among so many tokens; None: all.
        top_p: draw among the most probable tokens that have this mass together; None: all.
        repetition_penalty: see `penalise_repetition`; 1: none.
        greedy: take the most probable token.

    Raises:
        ConfigError: a value is out of its range.

    Example:
        >>> Sampling(top_k=1).draw(torch.tensor([[1.0, 3.0, 2.0]]), [torch.Generator().manual_seed(0)])
        tensor([1])
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    greedy: bool = False

    def __post_init__(self) -> None:
        for name, is_right, expected in (
            ("temperature", 0 <= self.temperature < math.inf, "0 (greedy) or more"),
            (
                "top_k",
                self.top_k is None or (self.top_k == int(self.top_k) and self.top_k >= 1),
                "a whole number, 1 or more",
            ),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "above 0, at most 1"),
            ("repetition_penalty", 1 <= self.repetition_penalty < math.inf, "1 (none) or more"),
        ):
            if not is_right:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected {expected}.")

    def change(self, scores: Tensor, written: Tensor | None = None) -> Tensor:
        """Return the scores from whose softmax a token is drawn, [B, V].

        Args:
            scores: [B, V].
            written: which tokens stand in each row already, bool *[B, V]*, for the penalty; None: none.
        """
        if self.repetition_penalty != 1 and written is not None:
            scores = penalise_repetition(scores, written, self.repetition_penalty)
        if self.greedy or self.temperature == 0:
            return keep_top_k(scores, 1)
        scores = with_temperature(scores, self.temperature)
        if self.top_k is not None:
            scores = keep_top_k(scores, self.top_k)
        return scores if self.top_p is None else keep_nucleus(scores, self.top_p)

    def draw(
        self, scores: Tensor, generators: Sequence[torch.Generator], written: Tensor | None = None
    ) -> Tensor:
        """Return a token for each row, ids [B].

        Args:
            scores: [B, V].
            generators: one for each row, on the CPU: what a row draws does not depend on its batch-mates.
            written: see `change`.
        """
        changed = self.change(scores, written)
        if self.greedy or self.temperature == 0:
            return changed.argmax(1)
        heights = changed.double().softmax(1).cumsum(1)
        uniform = torch.stack([torch.rand((), dtype=torch.float64, generator=each) for each in generators])
        # Below the last height, which rounding may leave a little off 1: no token of probability 0 is hit.
        aimed = uniform.to(heights.device) * heights[:, -1]
        return torch.searchsorted(heights, aimed.unsqueeze(1), right=True).squeeze(1)


def generate(
    step: Step,
    scores: Tensor,
    generators: Sequence[torch.Generator],
    *,
    length: int,
    sampling: Sampling,
    written: Tensor | None = None,
    stop: int | None = None,
    never: Sequence[int] = (),
) -> Iterator[Tensor]:
    """Yield the tokens of each step as they are drawn, ids [B]; `ENDED` where a row is over.

    Args:
        step: what gives the scores of the next token; see `Step`.
        scores: those of the first, [B, V].
        generators: one for each row.
        length: tokens at most.
        sampling: how they are drawn.
        written: which tokens stand in each row's prompt, bool *[B, V]*, for the penalty; None: none.
        stop: the token that ends a row; it is not yielded. None: rows end by their length.
        never: tokens that are not drawn.

    Example:
        >>> def count_up(tokens):  # after each token comes the next one
        ...     return torch.eye(5).roll(1, 1)[tokens] * 100
        >>> draws = generate(count_up, count_up(torch.tensor([1])), [torch.Generator()], length=9, stop=4,
        ...                  sampling=Sampling())
        >>> [int(tokens) for tokens in draws]
        [2, 3]
    """
    if sampling.repetition_penalty != 1:
        written = torch.zeros_like(scores, dtype=torch.bool) if written is None else written.clone()
    ended = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    for place in range(length):
        allowed = rule_out(scores, never) if never else scores
        tokens = sampling.draw(allowed, generators, written)
        if stop is not None:
            ended |= tokens == stop
            if bool(ended.all()):
                return
        yield torch.where(ended, ENDED, tokens)
        if written is not None:
            written[torch.arange(len(tokens)), tokens] = True
        if place + 1 < length:
            scores = step(tokens)


def generate_frames(
    step: Step,
    scores: Tensor,
    generators: Sequence[torch.Generator],
    *,
    length: int,
    temperature: float = 1.0,
) -> Iterator[Tensor]:
    """Yield the frames of zeros and ones of each step as they are drawn, [B, I].

    Each column is drawn by itself, one with the probability ``sigmoid(score / temperature)``.

    Args:
        step: from the frames just drawn, [B, I], to the scores of the next, [B, I].
        scores: those of the first, [B, I].
        generators: one for each row.
        length: frames.
        temperature: 0: the likelier value of each column.

    Example:
        >>> draws = generate_frames(lambda frames: 100 - 200 * frames, torch.full((1, 2), 99.0),
        ...                         [torch.Generator()], length=3)
        >>> [frame.tolist() for frame in draws]
        [[[1.0, 1.0]], [[0.0, 0.0]], [[1.0, 1.0]]]
    """
    for place in range(length):
        if temperature == 0:
            frames = (scores > 0).to(scores.dtype)
        else:
            draws = [torch.rand(scores.shape[1:], dtype=torch.float64, generator=each) for each in generators]
            chance = (scores.double() / temperature).sigmoid()
            frames = (torch.stack(draws).to(chance.device) < chance).to(scores.dtype)
        yield frames
        if place + 1 < length:
            scores = step(frames)
