"""Metrics: classes against scikit-learn, spans against conlleval's tables of what starts and ends a chunk."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from elman.errors import ShapeError
from elman.metrics import (
    accuracy,
    classification,
    confusion,
    is_legal,
    legal_transitions,
    per_class,
    span_scores,
    spans,
    split_tag,
    tag_scheme,
    tagging,
)

LABELS = ["ham", "spam", "eggs", "tea"]
answers = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=40)


@given(answers)
def test_classes_are_scored_as_by_scikit_learn(pairs):
    gold, predicted = map(list, zip(*pairs, strict=True))
    scores = classification(gold, predicted, LABELS)
    assert scores["accuracy"] == pytest.approx(reference.accuracy_score(gold, predicted))
    assert scores["macro_f1"] == pytest.approx(
        reference.f1_score(gold, predicted, average="macro", zero_division=0)
    )
    table = reference.confusion_matrix(gold, predicted, labels=LABELS)
    assert np.array_equal(confusion(gold, predicted, LABELS), table)
    report = reference.classification_report(gold, predicted, output_dict=True, zero_division=0)
    assert set(scores["per_class"]) == set(gold) | set(predicted)
    for label, rates in scores["per_class"].items():
        theirs = report[label]
        assert rates["f1"] == pytest.approx(theirs["f1-score"])
        assert [rates[name] for name in ("precision", "recall", "support")] == pytest.approx(
            [theirs[name] for name in ("precision", "recall", "support")]
        )


def test_nothing_to_score_scores_zero():
    assert classification([], [], LABELS) == {"accuracy": 0.0, "macro_f1": 0.0, "per_class": {}}
    assert span_scores([], []) == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "per_class": {}}
    assert confusion([], [], []).shape == (0, 0)


def test_a_label_that_never_occurs_is_left_out():
    assert set(per_class(confusion(["ham"], ["tea"], LABELS), LABELS)) == {"ham", "tea"}


def test_tagging_is_scored_by_token():
    scores = tagging([["D", "N"], ["V"]], [["D", "V"], ["V"]], ["D", "N", "V"])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["per_class"]["V"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
    }


# conlleval.pl keeps these as two lists of conditions on the tag before, the tag, and their labels; E and S
# are as its later ports have them.
ENDS = {"BB", "BO", "IB", "IO", "BS", "IS"}
STARTS = {"EE", "EI", "SE", "SI", "OE", "OI"}


def ends_chunk(before, tag, label_before, label):
    if before in "ES":
        return True
    return before + tag in ENDS or (before not in "O." and label_before != label)


def starts_chunk(before, tag, label_before, label):
    if tag in "BS":
        return True
    return before + tag in STARTS or (tag not in "O." and label_before != label)


def conlleval_spans(tags):
    """The slow way: walk over the tags, asking at each step what ends and what starts."""
    found, open_since = [], None
    before, label_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, label = split_tag(tag)
        if ends_chunk(before, prefix, label_before, label) and open_since is not None:
            found.append((open_since, place, label_before))
            open_since = None
        if starts_chunk(before, prefix, label_before, label):
            open_since = place
        before, label_before = prefix, label
    return found


def conlleval_counts(gold, predicted):
    """(right, gold, predicted) as conlleval's main loop counts them, with an O after each sentence."""
    pairs = [
        (split_tag(left), split_tag(right))
        for truth, guess in zip(gold, predicted, strict=True)
        for left, right in [*zip(truth, guess, strict=True), ("O", "O")]
    ]
    right = num_gold = num_predicted = 0
    is_right = False
    last = (("O", ""), ("O", ""))
    for truth, guess in pairs:
        both = list(zip(last, (truth, guess), strict=True))
        end_gold, end_guess = (ends_chunk(a[0], b[0], a[1], b[1]) for a, b in both)
        start_gold, start_guess = (starts_chunk(a[0], b[0], a[1], b[1]) for a, b in both)
        if is_right:
            if end_gold and end_guess and last[0][1] == last[1][1]:
                is_right, right = False, right + 1
            elif end_gold != end_guess or truth[1] != guess[1]:
                is_right = False
        if start_gold and start_guess and truth[1] == guess[1]:
            is_right = True
        num_gold, num_predicted = num_gold + start_gold, num_predicted + start_guess
        last = (truth, guess)
    return right, num_gold, num_predicted


def tag_rows(prefixes):
    tag = st.one_of(
        st.just("O"), st.builds("{}-{}".format, st.sampled_from(prefixes), st.sampled_from(["A", "B-x"]))
    )
    return st.lists(st.lists(st.tuples(tag, tag), max_size=9), min_size=1, max_size=4)


@pytest.mark.parametrize("prefixes", ["BI", "BIES"])
@given(st.data())
def test_spans_are_those_of_conlleval_however_odd_the_tags(prefixes, data):
    for row in data.draw(tag_rows(prefixes)):
        tags = [tag for tag, _ in row]
        assert [tuple(span) for span in spans(tags)] == conlleval_spans(tags)


@pytest.mark.parametrize("prefixes", ["BI", "BIES"])
@given(st.data())
def test_span_scores_are_those_of_conlleval_s_counts(prefixes, data):
    rows = data.draw(tag_rows(prefixes))
    gold, predicted = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    right, num_gold, num_predicted = conlleval_counts(gold, predicted)
    scores = span_scores(gold, predicted)
    assert scores["precision"] == (right / num_predicted if num_predicted else 0)
    assert scores["recall"] == (right / num_gold if num_gold else 0)
    total = num_gold + num_predicted
    assert scores["f1"] == pytest.approx(2 * right / total if total else 0)
    assert sum(rates["support"] for rates in scores["per_class"].values()) == num_gold


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-A I-A", [(0, 2, "A")]),
        ("O I-A B-A", [(1, 2, "A"), (2, 3, "A")]),
        ("B-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("B-A O I-A", [(0, 1, "A"), (2, 3, "A")]),
        ("B-A I-A E-A S-A", [(0, 3, "A"), (3, 4, "A")]),
        ("B-A E-A I-A", [(0, 2, "A"), (2, 3, "A")]),
        ("E-A", [(0, 1, "A")]),
        ("O O", []),
        ("", []),
        ("B I O B", [(0, 2, ""), (3, 4, "")]),
    ],
)
def test_spans_by_hand(tags, expected):
    assert [tuple(span) for span in spans(tags.split())] == expected


def test_span_scores_by_hand():
    """The example of the CoNLL-2000 page's kind: a wrong end, a wrong label, a missed span, one too many."""
    gold = [["B-A", "I-A", "O", "B-B"], ["B-A", "O", "B-B", "O"]]
    predicted = [["B-A", "O", "O", "B-B"], ["B-B", "O", "O", "B-A"]]
    scores = span_scores(gold, predicted)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (1 / 4, 1 / 4, 1 / 4)
    assert scores["per_class"]["B"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert scores["per_class"]["A"]["f1"] == 0


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (["O", "B-X", "I-X"], "BIO"),
        (["O", "I-X"], "BIO"),
        (["B-X", "I-X"], "BIO"),
        (["O", "B", "I"], "BIO"),
        (["O", "B-X", "I-X", "E-X", "S-X"], "BIOES"),
        (["O", "S-X"], "BIOES"),
        (["NOUN", "VERB"], None),
        (["O", "B-X", "NOUN"], None),
        (["-LRB-", "NN", "O"], None),
        (["O"], None),
        (["B", "S"], None),
        ([], None),
    ],
)
def test_the_scheme_is_seen_from_the_labels(labels, scheme):
    assert tag_scheme(labels) == scheme


def random_spans_as_tags(scheme, length, rng):
    """Tags of random spans that do not overlap: legal by construction."""
    tags = ["O"] * length
    place = 0
    while place < length:
        size = rng.randint(1, 3)
        if rng.random() < 0.6 and place + size <= length:
            label = rng.choice(["A", "B"])
            tags[place : place + size] = [f"B-{label}"] + [f"I-{label}"] * (size - 1)
            if scheme == "BIOES":
                tags[place + size - 1] = f"S-{label}" if size == 1 else f"E-{label}"
        place += size
    return tags


SCHEMES = {
    "BIO": ["O", "B-A", "I-A", "B-B", "I-B"],
    "BIOES": ["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in "AB")],
}


@pytest.mark.parametrize("scheme", SCHEMES)
@given(st.integers(0, 2**31), st.integers(0, 12))
def test_tags_made_of_spans_are_legal(scheme, seed, length):
    tags = random_spans_as_tags(scheme, length, random.Random(seed))
    assert is_legal(tags, scheme)
    assert table_allows(SCHEMES[scheme], tags)


def table_allows(labels, tags):
    legal = legal_transitions(labels)
    ids = [labels.index(tag) for tag in tags]
    return not ids or bool(
        legal.start[ids[0]]
        and legal.end[ids[-1]]
        and all(legal.between[left, right] for left, right in pairwise(ids))
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@given(st.data())
def test_tags_are_legal_just_when_they_are_the_tags_of_their_own_spans(scheme, data):
    tags = data.draw(st.lists(st.sampled_from(SCHEMES[scheme]), max_size=6))
    rebuilt = ["O"] * len(tags)
    for start, end, label in spans(tags):
        rebuilt[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
        if scheme == "BIOES":
            rebuilt[end - 1] = f"S-{label}" if end - start == 1 else f"E-{label}"
    assert is_legal(tags, scheme) == (tags == rebuilt)
    assert table_allows(SCHEMES[scheme], tags) == (tags == rebuilt)


def test_plain_tags_may_stand_anywhere():
    legal = legal_transitions(["NOUN", "VERB"])
    assert legal.start.all()
    assert legal.between.all()
    assert legal.end.all()


def test_spans_marked_by_inside_tags_alone_may_start_with_them():
    assert legal_transitions(["O", "I-X"]).between.all()
    assert legal_transitions(["O", "I-X"]).start.all()


def test_lengths_that_differ_are_refused():
    with pytest.raises(ShapeError, match="2 answers but 1 predictions"):
        accuracy(["a", "b"], ["a"])
    with pytest.raises(ShapeError, match="sentence 1 has 1 gold tags but 2"):
        span_scores([["O"], ["O"]], [["O"], ["O", "O"]])
