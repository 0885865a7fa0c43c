"""WRITING: a trained model reads prompts and writes on, piece by piece, as text."""

import logging
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from elman.config import unknown_name
from elman.data.batches import Batch, Encoded, collate
from elman.data.example import Example
from elman.errors import ConfigError, DataError
from elman.patterns.generate import LanguageModel
from elman.search.sampling import ENDED, Sampling, generate, generate_frames
from elman.tasks.inputs import TokenInputs

if TYPE_CHECKING:
    from elman.tasks.generate import Generate

logger = logging.getLogger("elman")

MOST_BYTES = 4
"""Bytes of a character in UTF-8 at most: subwords that are no text after so many never will be."""


@dataclass(frozen=True)
class Writing:
    """How to write.

    Args:
        length: tokens (or frames) at most.
        sampling: how each is drawn.
        seed: of the draws; each text has draws of its own, whatever is written beside it.
        stop: a text ends before this; None: by its length, or where the model ends it.
        condition: what a sequence is made from: a class, or a list of numbers; None: nothing.

    Raises:
        ConfigError: the length is below 1, or the stop text is empty.
    """

    length: int
    sampling: Sampling
    seed: int = 0
    stop: str | None = None
    condition: Any = None

    def __post_init__(self) -> None:
        if self.length != int(self.length) or self.length < 1:
            raise ConfigError(f"length is {self.length}; at least 1 token to write was expected.")
        if self.stop == "":
            raise ConfigError(
                "the stop text is empty, and would end every text before it begins; leave it out."
            )
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; 0 or more was expected.")


def write(
    task: "Generate", pattern: LanguageModel, prompts: Sequence[str], how: Writing
) -> Iterator[list[str]]:
    """Yield, step by step, the piece of text that each row writes; "" where it has nothing to say yet.

    A piece that may turn out to be the beginning of the stop text is held back until it is clear.

    Raises:
        ConfigError: the model makes frames, or a condition is missing or too much.
        DataError: a prompt holds what the model cannot read.
    """
    if not isinstance(task.inputs, TokenInputs):
        raise ConfigError("this model makes frames of zeros and ones, not text; see write_frames.")
    vocab = task.inputs.vocab
    rows = [_read_prompt(task, task.inputs, prompt, how) for prompt in prompts]
    batch = collate(rows).to(next(pattern.parameters()).device)
    with torch.inference_mode():
        scores, state = pattern.begin(batch)
        draws = generate(
            pattern.stepper(state),
            scores,
            generators(how.seed, len(prompts)),
            length=how.length,
            sampling=how.sampling,
            written=_tokens_in(batch, len(vocab)),
            stop=None if task.is_stream else 0,
            never=[vocab.unknown or 0, *([0] if task.is_stream else [])],
        )
    tails = [_Tail(how.stop) for _ in prompts]
    joined = [_Joined(task, bool(prompt)) for prompt in prompts]
    for tokens in _each_in_inference(draws):
        pieces = []
        for row, token in enumerate(tokens.tolist()):
            text = joined[row].flush() if token == ENDED else joined[row].add(vocab.tokens[token])
            pieces.append(tails[row].add(text, is_over=token == ENDED))
        yield pieces
        if all(tail.is_over for tail in tails):
            return
    yield [tail.add(one.flush(), is_over=True) for tail, one in zip(tails, joined, strict=True)]


def write_frames(task: "Generate", pattern: LanguageModel, count: int, how: Writing) -> list[list[list[int]]]:
    """Return `count` sequences of frames of zeros and ones, made from silence, a frame of zeros.

    Raises:
        ConfigError: a stop text, a way of choosing tokens, or a condition that does not fit.
    """
    sampling = how.sampling
    if how.stop is not None or sampling.top_k or sampling.top_p or sampling.repetition_penalty != 1:
        raise ConfigError(
            "this model makes frames; top_k, top_p, repetition_penalty and stop are for text (temperature "
            "and greedy are for both)."
        )
    silence = np.zeros((1, task.sizes()["columns"]), np.float32)
    encoded = [Encoded(1, numbers=silence, condition=_condition(task, how)) for _ in range(count)]
    batch = collate(encoded).to(next(pattern.parameters()).device)
    with torch.inference_mode():
        scores, state = pattern.begin(batch)
        draws = generate_frames(
            pattern.stepper(state),
            scores,
            generators(how.seed, count),
            length=how.length,
            temperature=0.0 if sampling.greedy else sampling.temperature,
        )
        frames = torch.stack(list(draws), 1)
    return frames.to(torch.int64).tolist()


def generators(seed: int, count: int) -> list[torch.Generator]:
    """Return a source of chance for each row, a pure function of the seed and the row."""
    out = []
    for row in range(count):
        state = np.random.SeedSequence([seed, row]).generate_state(1, np.uint64)
        out.append(torch.Generator().manual_seed(int(state[0]) >> 1))
    return out


class _Joined:
    """The text of one row's tokens, piece by piece as they come."""

    def __init__(self, task: "Generate", is_begun: bool) -> None:
        self.task = task
        self.is_begun = is_begun
        self.waiting: list[str] = []

    def add(self, token: str) -> str:
        """Take a token, and give what it adds to the text; "" while a character lacks some of its bytes."""
        if self.task.chosen.normal_form == "nfd":
            return self._add_mark(token)
        self.waiting.append(token)
        text = self.task.text_of(["", token] if self.task.are_given and self.is_begun else self.waiting)
        is_cut = self.task.chosen.tokens == "subwords" and text.endswith("\ufffd")
        if is_cut and len(self.waiting) < MOST_BYTES:
            return ""
        self.is_begun, self.waiting = True, []
        return text

    def _add_mark(self, token: str) -> str:
        """Take a part of a character, and give the character before it, once it is clear that it is whole."""
        text = self.task.text_of(self.waiting)
        if self.task.text_of([*self.waiting, token]) == text + self.task.text_of([token]):
            self.waiting = [token]
            return text
        self.waiting.append(token)
        return ""

    def flush(self) -> str:
        """Give what waits for the rest of a character that does not come; lone bytes are no text."""
        waiting, self.waiting = self.waiting, []
        return self.task.text_of(waiting) if self.task.chosen.normal_form == "nfd" and waiting else ""


class _Tail:
    """What is held back of one text, because the stop text may have begun in it."""

    def __init__(self, stop: str | None) -> None:
        self.stop = None if stop is None else unicodedata.normalize("NFC", stop)
        self.held = ""
        self.is_over = False

    def add(self, text: str, *, is_over: bool = False) -> str:
        """Take what was written, and give what may be shown."""
        if self.is_over:
            return ""
        self.held += text
        if self.stop is not None and self.stop in self.held:
            is_over, self.held = True, self.held[: self.held.index(self.stop)]
        self.is_over = is_over
        keep = 0 if is_over or self.stop is None else _overlap(self.held, self.stop)
        shown, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return shown


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text are a beginning of the stop text."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if stop.startswith(text[-length:])), 0)


def _read_prompt(task: "Generate", inputs: TokenInputs, prompt: str, how: Writing) -> Encoded:
    """Return a prompt as ids, after the boundary where texts begin with one, or where it is empty."""
    if not isinstance(prompt, str):
        raise ConfigError(f"a prompt is a text, but {type(prompt).__name__} was given.")
    given: Any = tuple(prompt.split()) if task.are_given else prompt
    tokens = inputs.tokens_of(Example(given, where="prompt"))
    ids = inputs.vocab.ids(inputs.look_up(tokens))
    unknown = sorted(
        {token for token, found in zip(tokens, ids, strict=True) if found == inputs.vocab.unknown}
    )
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        if task.chosen.tokens == "characters" or (task.chosen.min_count or 1) == 1:
            raise DataError(
                f"prompt: {shown} stands nowhere in the training text, so the model cannot read it; "
                "leave it out or write it otherwise."
            )
        logger.warning("prompt: %s: not in the vocabulary, and read as the unknown word", shown)
    if not task.is_stream or not len(ids):
        ids = np.concatenate([np.zeros(1, np.int64), ids])
    return Encoded(len(ids), tokens=ids, condition=_condition(task, how))


def _condition(task: "Generate", how: Writing) -> Any:
    """Return the condition as the model reads it.

    Raises:
        ConfigError: one was given and the model has none, or the other way round; the nearest is named.
    """
    value = how.condition
    if not task.is_conditioned:
        if value is not None:
            raise ConfigError("condition: this model was trained without one; leave it out.")
        return None
    if isinstance(value, str) and len(task.labels) and value not in task.labels:
        raise ConfigError(f"condition: {unknown_name('class', value, task.labels.tokens)}")
    if isinstance(value, str) and task.condition_size:
        value = [part for part in value.split(",") if part.strip()]
    return task.condition_of(value, "condition")


def _tokens_in(batch: Batch, num_tokens: int) -> Tensor:
    """Return which tokens stand in each row, bool [B, V]."""
    ids = batch.features["tokens"].masked().data
    made = torch.zeros(len(ids), num_tokens, dtype=torch.bool, device=ids.device).scatter(1, ids, True)
    made[:, 0] = False  # the boundary, and padding: nobody wrote them
    return made


def _each_in_inference(draws: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield what another iterator yields, made in inference mode; who reads it is outside of that mode."""
    while True:
        with torch.inference_mode():
            tokens = next(draws, None)
        if tokens is None:
            return
        yield tokens
