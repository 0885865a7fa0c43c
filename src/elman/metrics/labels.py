"""METRICS: how good the predictions are: classes, tags, and spans as conlleval counts them.

Shape legend: N examples (or steps), K classes.

Gold comes first, predicted second, everywhere. Rates are fractions of one, and 0 where they would be 0/0.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.errors import ShapeError

SMALLER_IS_BETTER = frozenset(
    {
        "loss",
        "nats_per_token",
        "bits_per_token",
        "perplexity",
        "nll_per_step",
        "mae",
        "mse",
        "rmse",
        "smape",
        "mase",
        "owa",
        "pinball",
        "scaled_mse",
        "scaled_mae",
        "token_error_rate",
        "word_error_rate",
        "character_error_rate",
    }
)


def accuracy(gold: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Return the share of right answers.

    Example:
        >>> accuracy(["a", "b", "b", "a"], ["a", "b", "b", "b"])
        0.75
    """
    _same_length(gold, predicted)
    right = sum(truth == guess for truth, guess in zip(gold, predicted, strict=True))
    return right / len(gold) if len(gold) else 0.0


def confusion(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return how often each label (row) was taken for each label (column), *[K, K]*.

    Args:
        gold, predicted: *[N]*, all of them among the labels.
        labels: the distinct labels, K, in the order of rows and columns.

    Raises:
        ShapeError: one prediction too many or too few.

    Example:
        >>> confusion(["ham", "spam", "spam"], ["ham", "ham", "spam"], ["ham", "spam"])
        array([[1, 0],
               [1, 1]])
    """
    _same_length(gold, predicted)
    index = {label: k for k, label in enumerate(labels)}
    size = len(index)
    cells = [index[truth] * size + index[guess] for truth, guess in zip(gold, predicted, strict=True)]
    counts = np.bincount(np.array(cells, np.int64), minlength=size * size)
    return counts.reshape(size, size).astype(np.int64)


def per_class(table: NDArray[np.int64], labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall, f1 and support of each class that occurs, gold or predicted.

    Args:
        table: what `confusion` gave.
        labels: names of the classes, in the same order.

    Example:
        >>> per_class(np.array([[1, 0], [1, 1]]), ["ham", "spam"])["ham"]
        {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666, 'support': 1}
    """
    right, gold, predicted = np.diag(table).tolist(), table.sum(1).tolist(), table.sum(0).tolist()
    return {
        label: _rates(right[k], gold[k], predicted[k]) | {"support": gold[k]}
        for k, label in enumerate(labels)
        if gold[k] or predicted[k]
    }


def classification(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, macro_f1 (the mean f1 of the classes that occur, gold or predicted) and per_class.

    Args:
        gold, predicted: *[N]*, all of them among the labels.
        labels: the distinct labels.

    Example:
        >>> scores = classification(["ham", "spam", "spam"], ["ham", "ham", "spam"], ["ham", "spam"])
        >>> round(scores["accuracy"], 4), round(scores["macro_f1"], 4)
        (0.6667, 0.6667)
    """
    classes = per_class(confusion(gold, predicted, labels), labels)
    f1s = [rates["f1"] for rates in classes.values()]
    return {
        "accuracy": accuracy(gold, predicted),
        "macro_f1": sum(f1s) / len(f1s) if f1s else 0.0,
        "per_class": classes,
    }


def tagging(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], labels: Sequence[str]
) -> dict[str, Any]:
    """Return accuracy over tokens, and per_class of the tags.

    Args:
        gold, predicted: the tags of each sentence, all of them among the labels.
        labels: the distinct tags.

    Example:
        >>> tagging([["D", "N"], ["N"]], [["D", "D"], ["N"]], ["D", "N"])["accuracy"]
        0.6666666666666666
    """
    _same_rows(gold, predicted)
    truth = [tag for row in gold for tag in row]
    guess = [tag for row in predicted for tag in row]
    return {
        "accuracy": accuracy(truth, guess),
        "per_class": per_class(confusion(truth, guess, labels), labels),
    }


class Span(NamedTuple):
    """A run of tokens with a label; `end` is one past its last token."""

    start: int
    end: int
    label: str


def spans(tags: Sequence[str]) -> list[Span]:
    """Return the spans that BIO or BIOES tags stand for, however inconsistent the tags are.

    A span starts at B- or S-, and at any other tag that does not go on with the span before it: I- or E- at
    the start of a sentence, after O, after another label, after E- or S-. It ends before the next start,
    before O, and after E- or S-.

    Source: conlleval.pl of the CoNLL-2000 shared task, its startOfChunk and endOfChunk, for B, I and O; for
    E and S, what later ports of it do (seqeval in its default mode).

    Example:
        >>> [tuple(span) for span in spans(["B-PER", "I-PER", "I-LOC", "O", "I-LOC"])]
        [(0, 2, 'PER'), (2, 3, 'LOC'), (4, 5, 'LOC')]
    """
    found: list[Span] = []
    start, before, label_before = 0, "O", ""
    for position, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        goes_on = before in ("B", "I") and prefix in ("I", "E") and label == label_before
        if before != "O" and not goes_on:
            found.append(Span(start, position, label_before))
        if not goes_on:
            start = position
        before, label_before = prefix, label
    if before != "O":
        found.append(Span(start, len(tags), label_before))
    return found


def split_tag(tag: str) -> tuple[str, str]:
    """Return prefix and label of a tag: "B-PER" is ("B", "PER"), and "O" is ("O", "").

    Example:
        >>> split_tag("I-work-of-art")
        ('I', 'work-of-art')
    """
    prefix, _, label = tag.partition("-")
    return prefix, label


def span_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return precision, recall and f1 of spans over all labels, and those of each label.

    A span is right where start, end and label are. `per_class` holds the same three, and the support, of each
    label.

    Args:
        gold, predicted: the tags of each sentence.

    Example:
        >>> scores = span_scores([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "O", "O", "B-LOC"]])
        >>> scores["f1"], scores["per_class"]["LOC"]["f1"]
        (0.5, 1.0)
    """
    _same_rows(gold, predicted)
    counts: dict[str, list[int]] = {}
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        truth, guess = set(spans(gold_tags)), set(spans(predicted_tags))
        for place, group in enumerate((truth & guess, truth, guess)):
            for span in group:
                counts.setdefault(span.label, [0, 0, 0])[place] += 1
    totals = [sum(column) for column in zip(*counts.values(), strict=True)] if counts else [0, 0, 0]
    per_class = {label: _rates(*counts[label]) | {"support": counts[label][1]} for label in sorted(counts)}
    return {**_rates(*totals), "per_class": per_class}


def tag_scheme(labels: Sequence[str]) -> str | None:
    """Return "BIO" or "BIOES" if the tags are of that scheme, None if they are plain tags.

    Tags without B- (older data have I- alone, or B- only between neighbours) are read as BIO too, and so are
    bare B, I and O, whose spans have the label "".

    Args:
        labels: the distinct tags.

    Example:
        >>> tag_scheme(["O", "B-PER", "I-PER"]), tag_scheme(["NOUN", "VERB"])
        ('BIO', None)
    """
    pairs = [split_tag(tag) for tag in labels if tag != "O"]
    prefixes = {prefix for prefix, _ in pairs}
    has_labels = all(label for _, label in pairs) or set(labels) >= {"B", "I", "O"}
    if not pairs or not has_labels or not prefixes <= {"B", "I", "E", "S"}:
        return None
    return "BIOES" if prefixes & {"E", "S"} else "BIO"


class Transitions(NamedTuple):
    """Which tags may stand where.

    Attributes:
        start [K]: whether a sentence may start with the tag.
        between [K, K]: whether the tag (column) may follow the tag (row).
        end [K]: whether a sentence may end with it.
    """

    start: NDArray[np.bool_]
    between: NDArray[np.bool_]
    end: NDArray[np.bool_]


def legal_transitions(labels: Sequence[str]) -> Transitions:
    """Return which tags may stand where in the scheme of `labels`; everything may for plain tags.

    BIO: I-x only after B-x or I-x (anywhere if there is no B-x). BIOES: B-x and I-x only before I-x or E-x,
    and these only after B-x or I-x.

    Args:
        labels: all tags, in the order of their ids.

    Example:
        >>> legal_transitions(["O", "B-PER", "I-PER"]).between[0]
        array([ True,  True, False])
    """
    scheme = tag_scheme(labels)
    pairs = [split_tag(tag) for tag in labels]
    started = {label for prefix, label in pairs if prefix == "B"}
    # Where I- alone marks a label's spans, it must be allowed to start them, or they could never occur.
    free = {f"I-{label}" for _, label in pairs if label not in started} if scheme == "BIO" else set()

    def may_follow(left: str, right: str) -> bool:
        return right in free or _may_follow(scheme, left, right)

    everything = ["O", *labels, "O"]
    table = np.array([[may_follow(left, right) for right in everything] for left in everything])
    return Transitions(start=table[0, 1:-1], between=table[1:-1, 1:-1], end=table[1:-1, -1])


def is_legal(tags: Sequence[str], scheme: str | None) -> bool:
    """Return whether the tags of one sentence keep to their scheme ("BIO" or "BIOES").

    Example:
        >>> is_legal(["O", "I-PER"], "BIO"), is_legal(["O", "I-PER"], None)
        (False, True)
    """
    return all(_may_follow(scheme, left, right) for left, right in pairwise(["O", *tags, "O"]))


def _may_follow(scheme: str | None, left: str, right: str) -> bool:
    if scheme is None:
        return True
    before, label_before = split_tag(left)
    after, label_after = split_tag(right)
    goes_on = after in ("I", "E")
    may_go_on = before in ("B", "I") and label_before == label_after
    must_go_on = scheme == "BIOES" and before in ("B", "I")
    return may_go_on if goes_on else not must_go_on


def _rates(right: int, gold: int, predicted: int) -> dict[str, float]:
    precision = right / predicted if predicted else 0.0
    recall = right / gold if gold else 0.0
    f1 = 2 * right / (gold + predicted) if gold + predicted else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def _same_length(gold: Sequence[Any], predicted: Sequence[Any]) -> None:
    if len(gold) != len(predicted):
        raise ShapeError(
            f"{len(gold)} answers but {len(predicted)} predictions; expected one prediction for each answer."
        )


def _same_rows(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
    _same_length(gold, predicted)
    for row, (truth, guess) in enumerate(zip(gold, predicted, strict=True)):
        if len(truth) != len(guess):
            raise ShapeError(
                f"sentence {row} has {len(truth)} gold tags but {len(guess)} predicted ones; "
                "expected one tag for each token."
            )
