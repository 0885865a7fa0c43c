"""INPUTS: how the input side of an example becomes ids or numbers, for every task.

Two kinds exist: `TokenInputs` (text as words or characters) and `SeriesInputs` (numbers). Each one is
made from training examples alone, turns raw inputs into `Encoded`, and is stored in `vocab.json`.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elman.config import Settings, split_names
from elman.data.batches import Encoded
from elman.data.example import Example
from elman.data.joining import join_tokens
from elman.data.series import Standardiser
from elman.data.subwords import Subwords, choose_size
from elman.data.text import Spellings, choose_tokens, split_characters, tokenise
from elman.data.vocab import Vocab
from elman.errors import ConfigError, DataError
from elman.tasks.foreign_settings import refuse_text_settings

SpellingTable = list[NDArray[np.int64]]


MAX_CATEGORIES = 100
"""Different names in a column beside numbers; more are texts or identifiers."""

JOINT = "\x1f"
"""Stands between the two tokens of a pair; Unicode's unit separator, which is in no text."""

PAIR_MIN_COUNT = 2
"""Pairs seen once stand for all unknown ones: that is how the vector of the unknown pair is learned."""


@dataclass(frozen=True)
class TokenInputs:
    """Text as token ids and, for words, the character ids of each distinct word form.

    Args:
        cut: how a text is cut into tokens: "words", "characters", "spaces" (at white space alone) or
            "spaced words" (words that keep the white space between them), or "subwords".
        lowercase: whether tokens are looked up in lower case (their spelling keeps its case).
        vocab: the tokens.
        characters: the characters of the spellings; None where no spelling is read.
        pairs: the pairs of neighbouring tokens; None where they are not read.
        max_length: tokens that are read of each input; None: all.
        normal_form: Unicode's form of the characters: "nfc", or "nfd", which takes them apart.
        subwords: who cuts texts into subwords; None where they are cut otherwise.
    """

    cut: Literal["words", "characters", "spaces", "spaced words", "subwords"]
    lowercase: bool
    vocab: Vocab
    characters: Vocab | None
    pairs: Vocab | None = None
    max_length: int | None = None
    normal_form: Literal["nfc", "nfd"] = "nfc"
    subwords: Subwords | None = None

    kind = "text"

    def tokens_of(self, example: Example) -> list[str]:
        """Return the tokens of an input: those it has, or its text cut as the training text was."""
        raw = example.input
        if isinstance(raw, str):
            tokens = self.cut_text(raw)
        elif isinstance(raw, tuple | list) and all(isinstance(token, str) for token in raw):
            tokens = list(raw)
        else:
            raise DataError(
                f"{example.where}: the input is {_describe(raw)}; this model reads text: "
                "give a string, or a list of tokens."
            )
        return tokens[: self.max_length] if self.max_length else tokens

    def cut_text(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        if self.cut == "subwords":
            assert self.subwords is not None  # both come from `--tokens subwords`
            # In lower case before it is cut: a piece stands for bytes, and has no lower case.
            text = text.lower() if self.lowercase else text
            return self.subwords.cut(
                unicodedata.normalize("NFD" if self.normal_form == "nfd" else "NFC", text)
            )
        if self.cut == "characters":
            return split_characters(text, self.normal_form)
        return tokenise(text, self.cut)

    def look_up(self, tokens: Sequence[str]) -> list[str]:
        """Return tokens as they stand in the vocabulary: in lower case, where that was asked for."""
        is_folded = self.lowercase and self.cut != "subwords"
        return [token.lower() for token in tokens] if is_folded else list(tokens)

    def join(self, tokens: Sequence[str]) -> str:
        """Return tokens as a text, the way back of `cut_text`."""
        return join_tokens(tokens, self.cut, self.subwords)

    def note_cut(self, examples: Sequence[Example]) -> list[str]:
        """Return a line that says how many training inputs have more tokens than are read, where some may."""
        if self.max_length is None:
            return []
        whole, limit = replace(self, max_length=None), self.max_length
        cut = sum(len(whole.tokens_of(example)) > limit for example in examples)
        return [f"max_length: {cut:,} of {len(examples):,} training texts are cut at {limit} tokens"]

    def encode(self, examples: Sequence[Example]) -> tuple[list[Encoded], SpellingTable | None]:
        """Return the ids of each example's tokens, and the spellings that they point into."""
        rows = [self.tokens_of(example) for example in examples]
        folded = [self.look_up(row) for row in rows]
        ids = [self.vocab.ids(row) for row in folded]
        encoded = [Encoded(length=len(row), tokens=row) for row in ids]
        if self.pairs is not None:
            pair_ids = [self.pairs.ids(pairs_of(row)) for row in folded]
            encoded = [replace(row, pairs=pairs) for row, pairs in zip(encoded, pair_ids, strict=True)]
        if self.characters is None:
            return encoded, None
        spellings = Spellings(self.characters)
        spelled = [spellings.ids(row) for row in rows]
        encoded = [replace(row, spellings=places) for row, places in zip(encoded, spelled, strict=True)]
        return encoded, spellings.table

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return {
            "kind": "text",
            "cut": self.cut,
            "lowercase": self.lowercase,
            "max_length": self.max_length,
            "vocab": self.vocab.to_json(),
            "characters": self.characters.to_json() if self.characters else None,
            "pairs": self.pairs.to_json() if self.pairs else None,
            "normal_form": self.normal_form,
            "subwords": self.subwords.to_json() if self.subwords else None,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TokenInputs":
        """Return the inputs that `to_json` described."""
        characters, pairs = values["characters"], values["pairs"]
        return cls(
            cut=values["cut"],
            lowercase=values["lowercase"],
            vocab=Vocab.from_json(values["vocab"]),
            characters=Vocab.from_json(characters) if characters else None,
            pairs=Vocab.from_json(pairs) if pairs else None,
            max_length=values["max_length"],
            normal_form=values.get("normal_form", "nfc"),
            subwords=Subwords(values["subwords"]) if values.get("subwords") else None,
        )


@dataclass(frozen=True)
class SeriesInputs:
    """Numbers, each column brought to mean 0 and deviation 1 as measured on the training part.

    Args:
        standardiser: the scaling of each column.
        gaps: the columns that lack a value somewhere in the training part. Each is read as two numbers: the
            scaled value, 0 where it is missing, and 1 where it is missing, else 0.
        categories: for each column of names beside a vector, the names that training saw, each read as a
            number that is 1 where it stands; another name, and none, is read as zeros.
        category_columns: where these columns stand among all input columns.
    """

    standardiser: Standardiser
    gaps: tuple[int, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    category_columns: tuple[int, ...] = ()

    kind = "series"

    @classmethod
    def fit(cls, train: Sequence[Example], category_columns: tuple[int, ...] = ()) -> "SeriesInputs":
        """Measure the columns of the training part, and see which of them lack values."""
        arrays = [example.input for example in train]
        missing = np.any([np.isnan(array).any(0) for array in arrays], axis=0)
        names = zip(*(example.categories for example in train), strict=True)
        categories = tuple(tuple(sorted(set(column) - {""})) for column in names)
        for number, column in zip(category_columns, categories, strict=True):
            if len(column) > MAX_CATEGORIES:
                raise DataError(
                    f"{train[0].where}: input column {number + 1} holds {len(column):,} different "
                    f"names, more than {MAX_CATEGORIES}; leave it out, or name it alone as --input to read "
                    "it as text."
                )
        return cls(
            Standardiser.fit(arrays),
            tuple(int(column) for column in np.flatnonzero(missing)),
            categories,
            category_columns,
        )

    @property
    def num_columns(self) -> int:
        """Columns of numbers in a step, as they are given."""
        return len(self.standardiser.mean)

    @property
    def num_features(self) -> int:
        """Numbers of a step that the network reads."""
        return self.num_columns + len(self.gaps) + sum(map(len, self.categories))

    def encode(self, examples: Sequence[Example]) -> tuple[list[Encoded], SpellingTable | None]:
        """Return the standardised numbers of each example."""
        encoded = []
        for example in examples:
            if isinstance(example.input, str) or np.ndim(example.input) != 2:
                raise DataError(
                    f"{example.where}: the input is {_describe(example.input)}; this model reads series: "
                    "give a list of steps, each a list of numbers."
                )
            encoded.append(Encoded(length=len(example.input), numbers=self._features(example)))
        return encoded, None

    def _features(self, example: Example) -> NDArray[np.float32]:
        """Return what the network reads of each step, [T, num_features]."""
        array = example.input
        if not self.gaps and not self.categories:
            return self.standardiser.apply(array, where=example.where)
        if len(self.categories) != len(example.categories):
            raise DataError(
                f"{example.where}: {len(example.categories)} names stand beside the numbers; the model was "
                f"trained with {len(self.categories)}."
            )
        filled, parts = array, []
        if array.shape[1] == self.num_columns:
            is_gap = np.zeros(array.shape, bool)
            is_gap[:, self.gaps] = np.isnan(array[:, self.gaps])
            # The mean itself, which the scaling makes an exact 0.
            filled = np.where(is_gap, self.standardiser.mean, array)
            parts.append(is_gap[:, self.gaps].astype(np.float32))
        parts.insert(0, self.standardiser.apply(filled, where=example.where))
        for name, known in zip(example.categories, self.categories, strict=True):
            row = np.array([name == other for other in known], np.float32)
            parts.append(np.broadcast_to(row, (len(array), len(known))))
        return np.concatenate(parts, axis=1)

    def to_json(self) -> dict[str, Any]:
        """Return what `vocab.json` holds."""
        return {
            "kind": "series",
            "standardiser": self.standardiser.to_json(),
            "gaps": list(self.gaps),
            "categories": [list(names) for names in self.categories],
            "category_columns": list(self.category_columns),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SeriesInputs":
        """Return the inputs that `to_json` described."""
        return cls(
            Standardiser.from_json(values["standardiser"]),
            tuple(values.get("gaps", ())),
            tuple(tuple(names) for names in values.get("categories", ())),
            tuple(values.get("category_columns", ())),
        )


Inputs = TokenInputs | SeriesInputs
"""Those of texts and of whole sequences of numbers; a forecast's are `forecast_inputs.ForecastInputs`."""


def inputs_from_json(values: dict[str, Any]) -> Inputs:
    """Return the inputs that a `vocab.json` describes."""
    return TokenInputs.from_json(values) if values["kind"] == "text" else SeriesInputs.from_json(values)


def choose_cut(settings: Settings, train: Sequence[Example]) -> Literal["words", "characters"]:
    """Return how texts are cut: as asked, else words where most texts have several, else characters.

    Raises:
        ConfigError: subwords, or cutting at spaces, for a task that labels.
    """
    if settings.tokens in ("subwords", "spaces"):
        raise ConfigError(
            f"tokens = {settings.tokens!r} is for tasks that write; choose words or characters."
        )
    if settings.tokens == "words" or settings.tokens == "characters":
        return settings.tokens
    return choose_tokens([example.input for example in train])


def make_inputs(chosen: Settings, train: Sequence[Example]) -> Inputs:
    """Return the vocabularies or the scaling of the training inputs.

    Args:
        chosen: the settings with every choice made.
        train: the training examples.
    """
    if chosen.kind == "series":
        refuse_text_settings(chosen)
        return SeriesInputs.fit(train, category_positions(chosen))
    return make_token_inputs(chosen, train)


def plain_inputs(inputs: Inputs, examples: Sequence[Example]) -> list[Any]:
    """Return what baselines read of each example: its tokens, or the numbers that the network reads.

    Numbers are scaled, and gaps marked.
    """
    if isinstance(inputs, TokenInputs):
        return [inputs.tokens_of(example) for example in examples]
    return [row.numbers for row in inputs.encode(examples)[0]]


def category_positions(chosen: Settings) -> tuple[int, ...]:
    """Return where the columns of names stand among the input columns."""
    names = split_names(chosen.input)
    return tuple(names.index(name) for name in split_names(chosen.categories))


def make_token_inputs(chosen: Settings, train: Sequence[Example]) -> TokenInputs:
    """Return the vocabularies of the training inputs.

    Args:
        chosen: settings with `tokens`, `lowercase`, `min_count` and `characters` decided.
        train: the training examples.
    """
    nothing = Vocab.build([])
    inputs = TokenInputs(
        chosen.tokens or "words",
        bool(chosen.lowercase),
        nothing,
        None,
        max_length=chosen.max_length,
        normal_form=chosen.normal_form,
    )
    if chosen.tokens == "subwords":
        inputs = replace(
            inputs,
            subwords=train_subwords(chosen, [example.input for example in train], bool(chosen.lowercase)),
        )
    # Subwords are few already, and each is one that training text was cut into.
    is_learned = inputs.cut == "subwords"
    rows = [inputs.tokens_of(example) for example in train]
    folded = [inputs.look_up(row) for row in rows]
    vocab = Vocab.build(
        (token for row in folded for token in row),
        min_count=1 if is_learned else chosen.min_count or 1,
        max_size=None if is_learned else chosen.max_vocab,
    )
    if len(vocab) <= 2:
        raise DataError(
            f"{train[0].where}: no token of the training inputs is kept; "
            "lower min_count, or look at the input column."
        )
    inputs = replace(inputs, vocab=vocab)
    if chosen.characters != "none":
        letters = Vocab.build(character for row in rows for token in row for character in token)
        inputs = replace(inputs, characters=letters)
    if chosen.pairs:
        every = (pair for row in folded for pair in pairs_of(row))
        inputs = replace(inputs, pairs=Vocab.build(every, min_count=PAIR_MIN_COUNT))
    return inputs


def train_subwords(chosen: Settings, sequences: Sequence[Any], lowercase: bool) -> Subwords:
    """Return who cuts texts into subwords, learned from the training texts, `max_vocab` pieces at most.

    Raises:
        ConfigError: a sequence is tokens already.
        MissingExtraError: tokenizers is not installed.
    """
    for place, sequence in enumerate(sequences, 1):
        if not isinstance(sequence, str):
            raise ConfigError(
                f"subwords are pieces of texts, but example {place} of the training part is a list of "
                "tokens; give it as a text, or do not ask for subwords (a list's tokens stay as they are)."
            )
    texts = list(sequences)
    texts = [text.lower() for text in texts] if lowercase else texts
    lines = sum(text.count("\n") + 1 for text in texts)
    return Subwords.train(texts, size=chosen.max_vocab or choose_size(lines))


def pairs_of(tokens: Sequence[str]) -> list[str]:
    """Return each token joined to the one before it; the first one is joined to nothing.

    Example:
        >>> [pair.replace(JOINT, "+") for pair in pairs_of(["a", "b", "c"])]
        ['+a', 'a+b', 'b+c']
    """
    return [f"{left}{JOINT}{right}" for left, right in zip(("", *tokens), tokens, strict=False)]


def _describe(raw: Any) -> str:
    if isinstance(raw, str):
        return f"text ({raw[:30]!r})"
    if isinstance(raw, np.ndarray):
        return f"an array of shape {list(raw.shape)}"
    return f"a {type(raw).__name__}"
