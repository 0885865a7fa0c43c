"""FILL: many-to-many, aligned. The missing tokens of a sentence: "Recurrent neural ? based ? model"."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elman.baselines import Baseline, NeighbourCounts
from elman.baselines.neighbours import GAP, UNKNOWN
from elman.config import Settings
from elman.data.batches import Batches, Encoded
from elman.data.example import Example
from elman.data.vocab import TOKEN_SPECIALS, Vocab
from elman.errors import ConfigError, DataError
from elman.patterns.fill import Filler
from elman.tasks.inputs import TokenInputs, choose_cut, make_inputs
from elman.tasks.prediction import Evaluation, Mistake, Prediction
from elman.tasks.task import Task, choose, inference_batches, with_vectors

MASK = "<mask>"
SPECIALS = (*TOKEN_SPECIALS, MASK)
GAP_ID, FIRST_WORD = SPECIALS.index(MASK), len(SPECIALS)
"""Ids of a gap and of the first token that can stand in one; that token's label is 0."""

LONG_MARK = re.compile("_{3,}")
"""A gap in any text, whatever --gap says: with it in a text, a question mark asks a question."""

TOP = 5
"""Fillings of a gap that a prediction holds, and within which `top5_accuracy` looks for the right one."""

RECIPE: dict[str, Any] = {
    "kind": "text",
    "hidden_size": 200,
    "num_layers": 1,
    "bidirectional": True,
    "dropout": 0.3,
    "input_dropout": 0.2,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "decay": "linear",
    "clip_norm": 5.0,
    "init": "orthogonal",
    "characters": "none",
    "pairs": False,
    "lowercase": False,
    "hide_rate": 0.15,
    "gap": "?",
}
TEXT_RECIPES: dict[str, dict[str, Any]] = {
    "words": {"embedding_size": 100, "min_count": 2, "unknown_rate": 0.25},
    "characters": {"embedding_size": 64, "min_count": 1, "unknown_rate": 0.0},
}
"""What is chosen where the user says nothing. A word seen once is hardly ever the right one."""


class Fill(Task):
    """The missing tokens of a sentence, from what stands on both sides of them."""

    name = "fill"
    metric = "accuracy"
    metric_names = ("loss", "accuracy", "top5_accuracy")
    inputs: TokenInputs

    @classmethod
    def prepare(cls, settings: Settings, train: Sequence[Example], kind: str) -> "Fill":
        """Choose what is open, and make the vocabulary: of what is read, and of what may be said."""
        _refuse(settings, kind, train)
        tokens = choose_cut(settings, train)
        recipe = RECIPE | TEXT_RECIPES[tokens] | {"tokens": tokens}
        if settings.cell == "lstm" and settings.init != "chrono":
            recipe["forget_bias"] = 1.0
        chosen = choose(settings, recipe)
        if not chosen.gap or chosen.gap.isspace():
            raise ConfigError(f"gap is {chosen.gap!r}; expected a mark that can be seen, such as ? or ___.")
        inputs = make_inputs(chosen, train)
        assert isinstance(inputs, TokenInputs)
        known = [
            pair for pair in zip(inputs.vocab.tokens, inputs.vocab.counts, strict=True)
            if pair[0] not in SPECIALS
        ]  # fmt: skip
        words, counts = [word for word, _ in known], [count for _, count in known]
        if len(words) < 2:
            raise DataError(
                f"{train[0].where}: the training texts hold only one token, or none, often "
                "enough to be learned; expected at least two to choose from (lower min_count, or give more)."
            )
        vocab = Vocab([*SPECIALS, *words], [0] * len(SPECIALS) + counts, SPECIALS)
        return with_vectors(cls(chosen, replace(inputs, vocab=vocab), Vocab(words, counts, ())))

    def build(self) -> Filler:
        """Return a network of the right sizes."""
        inputs = self.input_layer()
        one_way = Fill(self.chosen.model_copy(update={"bidirectional": False}), self.inputs, self.labels)
        return Filler(
            inputs,
            one_way.encoder(inputs.output_size),
            one_way.encoder(inputs.output_size),
            num_labels=len(self.labels),
            gap_id=GAP_ID,
            counts=torch.tensor(self.labels.counts, dtype=torch.float64),
            hide_rate=self.chosen.hide_rate or 0.0,
            dropout=self.chosen.dropout or 0.0,
            input_dropout=self.chosen.input_dropout,
        )

    def batches(self, examples: Sequence[Example]) -> Batches:
        """Return whole sentences; every token of the vocabulary is to be learned from its neighbours."""
        encoded, spellings = self.inputs.encode(examples)
        rows = [replace(row, target=_labels(row.tokens)) for row in encoded]
        return self.batched(rows, spellings)

    def predict(self, pattern: Filler, examples: Sequence[Example]) -> list[Prediction]:
        """Return each sentence filled, and for each gap the likeliest tokens with their probabilities."""
        asked = [self._gapped(example) for example in examples]
        log_probabilities = self._gap_scores(pattern, asked)
        out = []
        for example, tokens, scores in zip(examples, asked, log_probabilities, strict=True):
            fills = [self._likeliest(row) for row in scores]
            best = iter([next(iter(fill)) for fill in fills])
            filled = [next(best) if token is None else token for token in tokens]
            places = [place for place, token in enumerate(tokens) if token is None]
            gaps = [
                {"place": place, "probabilities": fill} for place, fill in zip(places, fills, strict=True)
            ]
            said: Any = filled
            if isinstance(example.input, str):
                pieces = self._pieces(example.input)
                chosen = [filled[place] for place in places]
                said = pieces[0] + "".join(a + b for a, b in zip(chosen, pieces[1:], strict=True))
            out.append(Prediction(_as_given(example.input), said, tokens=filled, gaps=gaps))
        return out

    def evaluate(self, pattern: Filler, examples: Sequence[Example]) -> Evaluation:
        """Hide some tokens of each sentence, always the same ones, and score what is said in their place."""
        asked = [self.hide(example, row) for row, example in enumerate(examples)]
        gold, mistakes = [], []
        scores = self._gap_scores(pattern, [example.input for example in asked])
        for example, rows in zip(asked, scores, strict=True):
            gold.append(self._gold(example))
            mistakes += self._mistakes(example, rows)
        return Evaluation(
            metrics=_scores(np.concatenate([*gold, np.zeros(0, np.int64)]), scores),
            mistakes=sorted(mistakes, key=lambda mistake: -mistake.probability),
            lengths=[len(example.input) for example in asked],
        )

    def ask(self, examples: Sequence[Example]) -> list[Example]:
        """Return sentences with the tokens hidden that `evaluate` hides, to be shown as samples."""
        shown = [self.hide(example, row) for row, example in enumerate(examples)]
        return [example for example in shown if example.input]

    def hide(self, example: Example, row: int) -> Example:
        """Return an example with None for its hidden tokens, and all tokens as its target.

        `hide_rate` of the tokens, and at least one, at places that follow from the seed, the row's number and
        the number of tokens alone.
        """
        tokens = self.inputs.tokens_of(example)
        count = min(len(tokens), max(1, round((self.chosen.hide_rate or 0.0) * len(tokens))))
        random = np.random.Generator(np.random.PCG64([self.chosen.seed, row, len(tokens)]))
        hidden = set(random.choice(len(tokens), count, replace=False).tolist()) if tokens else set()
        shown = tuple(None if place in hidden else token for place, token in enumerate(tokens))
        return Example(shown, tuple(tokens), example.where)

    def fit_baseline(self, train: Sequence[Example]) -> Baseline:
        """Count what stands between the same neighbours."""
        rows = [self._counted(self.inputs.tokens_of(example)) for example in train]
        return NeighbourCounts.fit(rows, num_words=len(self.labels))

    def evaluate_baseline(self, baseline: Baseline, examples: Sequence[Example]) -> dict[str, float]:
        """Return the baseline's scores on the same hidden tokens, and that of the most frequent token."""
        assert isinstance(baseline, NeighbourCounts)
        asked = [self.hide(example, row) for row, example in enumerate(examples)]
        gold = np.concatenate([*(self._gold(example) for example in asked), np.zeros(0, np.int64)])
        found = baseline.predict([self._counted(example.input) for example in asked])
        scores = _scores(gold, [torch.from_numpy(row).log() for row in found])
        share = float((gold == baseline.most_frequent).mean()) if len(gold) else float("nan")
        return scores | {"most_frequent_accuracy": share}

    def _gapped(self, example: Example) -> tuple[str | None, ...]:
        """Return the tokens of what a person asks, None for each gap."""
        raw, tokens = example.input, None
        if isinstance(raw, str):
            pieces = [self.inputs.cut_text(piece) for piece in self._pieces(raw)]
            tokens = [*pieces[0], *(token for piece in pieces[1:] for token in (None, *piece))]
        elif isinstance(raw, tuple | list) and all(isinstance(token, str | None) for token in raw):
            tokens = list(raw)
        if tokens is None:
            raise DataError(
                f"{example.where}: is a {type(raw).__name__}; this model fills gaps in a text, or in a list "
                "of tokens with None where one is missing."
            )
        if None not in tokens:
            raise DataError(
                f"{example.where}: has no gap to fill; write {self.chosen.gap} or ___ where a token is "
                "missing (in a list of tokens: None)."
            )
        return tuple(tokens)

    def _pieces(self, text: str) -> list[str]:
        """Return what stands between the gaps of a text: one piece more than it has gaps."""
        if LONG_MARK.search(text):
            return LONG_MARK.split(text)
        return text.split(str(self.chosen.gap))

    def _gap_scores(self, pattern: Filler, asked: Sequence[Sequence[str | None]]) -> list[torch.Tensor]:
        """Return the log-probability of each word at each gap of each sentence, [gaps, K]."""
        shown = [Example(tuple(token or "" for token in tokens)) for tokens in asked]
        encoded, spellings = self.inputs.encode(shown)
        rows = [_with_gaps(row, tokens) for row, tokens in zip(encoded, asked, strict=True)]
        out = [torch.zeros(0, len(self.labels))] * len(asked)
        for batch in inference_batches(self.batched(rows, spellings), pattern):
            scores, is_gap = pattern.gap_scores(batch)
            parts = scores.cpu().split(is_gap.sum(1).tolist())
            for row, part in zip(batch.rows, parts, strict=True):
                out[row] = part
        return out

    def _likeliest(self, scores: torch.Tensor) -> dict[str, float]:
        values, ids = scores.double().exp().topk(min(TOP, len(scores)))
        return {self.labels.tokens[i]: p for i, p in zip(ids.tolist(), values.tolist(), strict=True)}

    def _label(self, token: str) -> int:
        return self.label_ids.get(token.lower() if self.inputs.lowercase else token, -1)

    def _gold(self, example: Example) -> NDArray[np.int64]:
        """Return the labels of an example's hidden tokens; -1 for those that training never saw."""
        pairs = zip(example.input, example.target, strict=True)
        return np.array([self._label(token) for shown, token in pairs if shown is None], np.int64)

    def _counted(self, tokens: Sequence[str | None]) -> NDArray[np.int64]:
        """Return tokens as the baseline counts them."""
        ids = [GAP if token is None else self._label(token) for token in tokens]
        unknown = [token is not None and i < 0 for i, token in zip(ids, tokens, strict=True)]
        return np.where(unknown, UNKNOWN, np.array(ids, np.int64)).astype(np.int64)

    def _mistakes(self, example: Example, scores: torch.Tensor) -> list[Mistake]:
        places = [place for place, shown in enumerate(example.input) if shown is None]
        best, out = scores.argmax(1).tolist() if len(scores) else [], []
        for place, label, row in zip(places, best, scores, strict=True):
            gold, said = example.target[place], self.labels.tokens[label]
            if label != self._label(gold):
                words = [f"[{word}]" if n == place else word for n, word in enumerate(example.target)]
                out.append(Mistake(" ".join(words), gold, said, float(row[label].exp()), example.where))
        return out


def _refuse(settings: Settings, kind: str, train: Sequence[Example]) -> None:
    """Raise where something was asked for that filling gaps has no use for."""
    if kind != "text":
        raise DataError(f"{train[0].where}: fill reads text, but the input is a series of numbers.")
    for name in ("pooling", "max_length", "crf"):
        if getattr(settings, name) is not None:
            raise ConfigError(f"{name} is for another task than fill; leave it out.")
    if settings.pairs:
        raise ConfigError("pairs would tell a token to its right neighbour's reader; leave --pairs out.")
    if settings.bidirectional is False:
        raise ConfigError("fill looks at both sides of a gap; leave --no-bidirectional out.")


def _labels(tokens: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the label of each token id; -1 for special ones."""
    assert tokens is not None
    return np.where(tokens >= FIRST_WORD, tokens - FIRST_WORD, -1)


def _with_gaps(row: Encoded, tokens: Sequence[str | None]) -> Encoded:
    is_gap = np.array([token is None for token in tokens], bool)
    assert row.tokens is not None
    return replace(row, tokens=np.where(is_gap, GAP_ID, row.tokens))


def _scores(gold: NDArray[np.int64], scores: Sequence[torch.Tensor]) -> dict[str, float]:
    """Return the metrics of hidden tokens.

    Args:
        gold: their labels; -1 (unseen in training) is an error and has no loss.
        scores: log-probabilities of each sentence's gaps, [gaps, K], in the same order.
    """
    if len(gold) == 0:
        return dict.fromkeys(("loss", "perplexity", "accuracy", "top5_accuracy"), float("nan"))
    losses, ranks, best = [], [], []
    start = 0
    for rows in scores:
        own = torch.from_numpy(gold[start : start + len(rows)])
        start += len(rows)
        right = rows.gather(1, own.clamp(min=0).unsqueeze(1))
        losses.append(-right.squeeze(1)[own >= 0].double())
        ranks.append(torch.where(own >= 0, (rows > right).sum(1), TOP))
        best.append(rows.argmax(1) == own)
    loss = float(torch.cat(losses).mean()) if any(len(part) for part in losses) else float("nan")
    return {
        "loss": loss,
        "perplexity": math.exp(loss) if not loss >= 700 else math.inf,
        "accuracy": float(torch.cat(best).double().mean()),
        "top5_accuracy": float((torch.cat(ranks) < TOP).double().mean()),
    }


def _as_given(raw: Any) -> Any:
    return list(raw) if isinstance(raw, tuple) else raw
