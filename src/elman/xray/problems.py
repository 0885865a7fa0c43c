"""PROBLEMS: small tasks that test one ability of a recurrent network each, with what chance reaches on them.

Shape legend: B batch, T time, I input features.

    adding          carry two real numbers over many steps (Hochreiter and Schmidhuber 1997, section 5.4)
    copy            hold ten symbols and give them back in order (Arjovsky, Shah and Bengio 2016, section 5.1)
    delayed recall  say at each step what was seen ten steps before: a memory that shifts
    parity          flip a state at each one, and never let it fade
    dyck            count open brackets, one to eight deep (bounded Dyck-1; Hewitt et al. 2020, section 2)
    permuted digits classify a picture read pixel by pixel in a shuffled order (Le, Jaitly and Hinton 2015)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from elman.errors import MissingExtraError

SYMBOLS, COPIED, BLANK, SIGN = 8, 10, 8, 9
"""Of copy: symbols to choose from, how many are copied, and the two inputs that are no symbols."""

NOT_ASKED = -1
"""The target of a step at which nothing is asked."""

DELAY, DEEPEST = 10, 8
ADDING_STEPS, BLANKS, STREAM_STEPS, PIXELS, DIGITS = 100, 10, 50, 64, 10

TEST_SEED, TEST_ROWS, DIGIT_TEST_ROWS = 1_000_003, 500, 360

Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Problem:
    """A task with fresh data at every draw.

    Args:
        name: of the problem.
        about: what it tests, in a few words.
        steps: T.
        inputs: features of a step, I.
        outputs: classes to choose from; 0 where one number is asked at the end.
        chance: what is reached without reading the input: a mean squared error, or an accuracy.
        draw: (rows, generator) -> inputs [B, T, I], and classes [B, T], or numbers [B].
        draw_test: the same, for data that training never sees.
        updates: what a report card gives a network to learn it.

    Example:
        >>> inputs, target = PROBLEMS["parity"].draw(2, torch.Generator().manual_seed(0))
        >>> inputs.shape, target.shape, PROBLEMS["parity"].chance
        (torch.Size([2, 50, 1]), torch.Size([2, 50]), 0.5)
    """

    name: str
    about: str
    steps: int
    inputs: int
    outputs: int
    chance: float
    draw: Draw
    draw_test: Draw
    updates: int = 3000

    @property
    def measure(self) -> str:
        """What is measured: "mse" or "accuracy"."""
        return "accuracy" if self.outputs else "mse"

    def score(self, measured: float) -> float:
        """Return a measurement as 0 for chance and 1 for no error at all; below 0 it is worse than chance.

        Example:
            >>> PROBLEMS["parity"].score(0.75), PROBLEMS["adding"].score(1 / 6)
            (0.5, 0.0)
        """
        if self.outputs:
            return 1 - (1 - measured) / (1 - self.chance)
        return 1 - measured / self.chance

    def test_data(self) -> tuple[Tensor, Tensor]:
        """Return the data that networks are scored on, always the same."""
        return self.draw_test(TEST_ROWS, torch.Generator().manual_seed(TEST_SEED))


def draw_adding(count: int, steps: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return numbers and marks [count, steps, 2], and the sums of the two marked numbers [count].

    Source: Le, Jaitly and Hinton 2015, section 4.1: one mark in each half, numbers from U(0, 1).

    Example:
        >>> numbers, target = draw_adding(3, 20, torch.Generator().manual_seed(0))
        >>> bool(torch.allclose((numbers[..., 0] * numbers[..., 1]).sum(1), target))
        True
    """
    numbers = torch.rand(count, steps, generator=random)
    half, marks = steps // 2, torch.zeros(count, steps)
    rows = torch.arange(count)
    marks[rows, torch.randint(half, (count,), generator=random)] = 1
    marks[rows, torch.randint(half, steps, (count,), generator=random)] = 1
    return torch.stack([numbers, marks], 2), (numbers * marks).sum(1)


def draw_copy(count: int, steps: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return one-hot symbols [count, steps + 20, 10], and what to say at each step, BLANK but at the end.

    Source: Arjovsky, Shah and Bengio 2016, section 5.1: ten symbols, `steps` blanks, the last of them a sign
    to begin, ten more blanks.

    Example:
        >>> symbols, target = draw_copy(1, 5, torch.Generator().manual_seed(0))
        >>> bool((symbols.argmax(2)[0, :10] == target[0, -10:]).all())
        True
    """
    symbols = torch.randint(SYMBOLS, (count, COPIED), generator=random)
    shown = torch.full((count, steps + 2 * COPIED), BLANK)
    target = shown.clone()
    shown[:, :COPIED] = symbols
    shown[:, steps + COPIED - 1] = SIGN
    target[:, -COPIED:] = symbols
    return one_hot(shown, SYMBOLS + 2).float(), target


def draw_recall(count: int, steps: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return one-hot symbols [count, steps, 8], and at each step the symbol of DELAY steps before.

    Example:
        >>> symbols, target = draw_recall(1, 30, torch.Generator().manual_seed(0))
        >>> bool((symbols.argmax(2)[:, :20] == target[:, 10:]).all()), target[0, 9].item()
        (True, -1)
    """
    symbols = torch.randint(SYMBOLS, (count, steps), generator=random)
    target = torch.full_like(symbols, NOT_ASKED)
    target[:, DELAY:] = symbols[:, :-DELAY]
    return one_hot(symbols, SYMBOLS).float(), target


def draw_parity(count: int, steps: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return bits [count, steps, 1], and at each step whether the number of ones so far is odd.

    Example:
        >>> bits, target = draw_parity(1, 9, torch.Generator().manual_seed(0))
        >>> bool((bits[0, :, 0].cumsum(0) % 2 == target[0]).all())
        True
    """
    bits = torch.randint(2, (count, steps), generator=random)
    return bits.unsqueeze(2).float(), bits.cumsum(1) % 2


def draw_dyck(count: int, steps: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return brackets [count, steps, 2], open or closed, and how many are open after each.

    A bracket opens where none is open, closes where DEEPEST are, and else does either with one half.

    Example:
        >>> brackets, target = draw_dyck(1, 40, torch.Generator().manual_seed(0))
        >>> bool(((brackets[0, :, 0] - brackets[0, :, 1]).cumsum(0) == target[0]).all())
        True
    """
    coins = torch.randint(2, (count, steps), generator=random).bool()
    depth = torch.zeros(count, dtype=torch.int64)
    opened, depths = [], []
    for step in range(steps):
        opens = (depth == 0) | (coins[:, step] & (depth < DEEPEST))
        depth = depth + torch.where(opens, 1, -1)
        opened.append(opens)
        depths.append(depth)
    is_open = torch.stack(opened, 1)
    return torch.stack([is_open, ~is_open], 2).float(), torch.stack(depths, 1)


def dyck_chance(steps: int) -> float:
    """Return the accuracy of saying, at each step, the likeliest depth at that step.

    Example:
        >>> dyck_chance(1), dyck_chance(2)
        (1.0, 0.75)
    """
    depths = [1.0] + [0.0] * DEEPEST
    total = 0.0
    for _ in range(steps):
        new = [0.0] * (DEEPEST + 1)
        for depth, probability in enumerate(depths):
            up = 1.0 if depth == 0 else 0.0 if depth == DEEPEST else 0.5
            if up > 0:
                new[depth + 1] += up * probability
            if up < 1:
                new[depth - 1] += (1 - up) * probability
        depths = new
        total += max(depths)
    return total / steps


@cache
def load_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return pixels [N, 64, 1] in a fixed shuffled order and digits [N], to train on and to test on.

    Raises:
        MissingExtraError: scikit-learn, which ships the pictures, is not installed.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise MissingExtraError(
            "the digits come with scikit-learn, which is not installed; pip install 'elman[sklearn]'."
        ) from None
    found = load()
    order = torch.Generator().manual_seed(0)
    places = torch.randperm(PIXELS, generator=order)
    pixels = torch.as_tensor(found.data, dtype=torch.float32)[:, places].unsqueeze(2) / 16
    digits = torch.as_tensor(found.target, dtype=torch.int64)
    rows = torch.randperm(len(digits), generator=order)
    train, test = rows[DIGIT_TEST_ROWS:], rows[:DIGIT_TEST_ROWS]
    return pixels[train], digits[train], pixels[test], digits[test]


def draw_digits(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return training digits [count, 64, 1], drawn with replacement, and which they are, asked at the end."""
    pixels, digits, _, _ = load_digits()
    rows = torch.randint(len(digits), (count,), generator=random)
    return pixels[rows], at_the_end(digits[rows], PIXELS)


def draw_test_digits(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return all digits that training never draws; how many and by which chance plays no part."""
    _, _, pixels, digits = load_digits()
    return pixels, at_the_end(digits, PIXELS)


def at_the_end(classes: Tensor, steps: int) -> Tensor:
    """Return classes [B] as targets [B, T] that are asked at the last step alone."""
    target = torch.full((len(classes), steps), NOT_ASKED)
    target[:, -1] = classes
    return target


def _adding(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    return draw_adding(count, ADDING_STEPS, random)


def _copy(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    symbols, target = draw_copy(count, BLANKS, random)
    return symbols, torch.where(target == BLANK, NOT_ASKED, target)


def _recall(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    return draw_recall(count, STREAM_STEPS, random)


def _parity(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    return draw_parity(count, STREAM_STEPS, random)


def _dyck(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    return draw_dyck(count, STREAM_STEPS, random)


PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        Problem("adding", "carry two numbers", ADDING_STEPS, 2, 0, 1 / 6, _adding, _adding, 4000),
        Problem("copy", "hold ten symbols", BLANKS + 2 * COPIED, SYMBOLS + 2, SYMBOLS, 1 / SYMBOLS,
                _copy, _copy, 6000),
        Problem("delayed recall", "shift ten symbols", STREAM_STEPS, SYMBOLS, SYMBOLS, 1 / SYMBOLS,
                _recall, _recall),
        Problem("parity", "flip a state for good", STREAM_STEPS, 1, 2, 1 / 2, _parity, _parity),
        Problem("dyck", "count open brackets", STREAM_STEPS, 2, DEEPEST + 1, dyck_chance(STREAM_STEPS),
                _dyck, _dyck),
        # Who says a digit without looking is right one time in ten; the test part's shares differ a little.
        Problem("permuted digits", "gather shuffled pixels", PIXELS, 1, DIGITS, 1 / DIGITS,
                draw_digits, draw_test_digits),
    )
}  # fmt: skip
