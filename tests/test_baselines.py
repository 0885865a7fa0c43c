"""Baselines: what they count, the regression against scikit-learn, and what is kept of them."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from elman.baselines import (
    BASELINES,
    BagOfWords,
    ColumnMarkov,
    FrameMeans,
    Majority,
    Mean,
    MostFrequentTag,
    NearestSource,
    NeighbourCounts,
    NGram,
    Perceptron,
    RidgeBag,
    RidgeSeries,
    RidgeSteps,
    Rivals,
    SimpleForecasts,
    TokenMeans,
    from_tensors,
)
from elman.baselines import bag_of_words as module
from elman.baselines.forecasting import Block
from elman.baselines.logistic_regression import DenseRows, SparseRows, fit_logistic_regression
from elman.baselines.neighbours import GAP
from elman.errors import CheckpointError, DataError

TOPICS = {
    "weather": "rain sun wind cloud a b".split(),
    "food": "bread soup tea salt a c".split(),
    "sea": "ship wind x".split(),
}


def make_texts(count, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(list(TOPICS), count).tolist()
    common = ["The", "the", "is", "."]
    texts = [rng.choice(TOPICS[label] + common, rng.integers(1, 9)).tolist() for label in labels]
    return texts, labels


def make_series(count, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    series = [
        (rng.normal(size=(rng.integers(1, 9), 4)) * [1, 10, 0.1, 1] + label).astype(np.float32)
        for label in labels
    ]
    return series, [f"class {label}" for label in labels]


def make_ids(length, seed=0):
    return np.random.default_rng(seed).integers(0, 7, length)


def make_frames(length, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (length, 3)).astype(np.float32)


def make_vectors(count, seed=0):
    return list(np.random.default_rng(seed).normal(size=(count, 1, 3)).astype(np.float32))


def numbers_of(inputs):
    return [np.array([float(len(row)), 3.0 * place]) for place, row in enumerate(inputs)]


def steps_of(inputs):
    return [np.arange(2.0 * len(row)).reshape(-1, 2) for row in inputs]


def fit_forecasts():
    context = np.random.default_rng(0).normal(size=(40, 4)).cumsum(1)
    rows = np.zeros(40, np.int64)
    block = Block(context, rows * 0.0, rows + 1.0, rows, context[:, 1:3], np.arange(40) >= 30)
    return SimpleForecasts.fit([block], num_series=1, context=4, horizon=2, season=2)


FITTED = {
    "Majority": lambda: Majority.fit(*make_texts(50)),
    "MostFrequentTag": lambda: MostFrequentTag.fit([["ä", "b", "ä"], ["c"]], [["X", "Y", "X"], ["Z"]]),
    "BagOfWords": lambda: BagOfWords.fit(*make_texts(50)),
    "FrameMeans": lambda: FrameMeans.fit(*make_series(50)),
    "NGram": lambda: NGram.fit([make_ids(200), make_ids(30, 1)], num_tokens=7, order=3),
    "ColumnMarkov": lambda: ColumnMarkov.fit([make_frames(40), make_frames(1, 1)]),
    "NeighbourCounts": lambda: NeighbourCounts.fit([np.array([0, 1, 2]), np.array([2, 1])], num_words=3),
    "Mean": lambda: Mean.fit(make_series(50)[0], numbers_of(make_series(50)[0])),
    "TokenMeans": lambda: TokenMeans.fit(make_texts(50)[0], steps_of(make_texts(50)[0])),
    "RidgeSeries": lambda: RidgeSeries.fit(make_series(50)[0], numbers_of(make_series(50)[0])),
    "RidgeSteps": lambda: RidgeSteps.fit(make_series(50)[0], steps_of(make_series(50)[0])),
    "RidgeBag": lambda: RidgeBag.fit(make_texts(50)[0], numbers_of(make_texts(50)[0])),
    "Perceptron": lambda: Perceptron.fit(make_vectors(60), numbers_of(make_vectors(60))),
    "Rivals": lambda: Rivals([FITTED["RidgeSeries"](), FITTED["Mean"]()]),
    "SimpleForecasts": fit_forecasts,
    "NearestSource": lambda: NearestSource.fit([["c", "a", "t"], ["d", "o"]], [["K", "AE"], ["D", "UW"]]),
}
INPUTS = {
    "SimpleForecasts": [[1.0, 2.0, 4.0, 3.0]] * 2,
    "MostFrequentTag": [["ä", "new"], []],
    "FrameMeans": make_series(20, 1)[0],
    "NGram": [make_ids(20, 2), make_ids(1, 3)],
    "ColumnMarkov": [make_frames(9, 2), make_frames(1, 3)],
    "NeighbourCounts": [np.array([0, GAP, 2]), np.array([GAP, GAP]), np.array([1])],
    "RidgeSeries": make_series(20, 1)[0],
    "RidgeSteps": make_series(20, 1)[0],
    "Perceptron": make_vectors(20, 1),
    "Rivals": make_series(20, 1)[0],
}


def assert_same_answers(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize("name", BASELINES)
def test_what_is_kept_is_what_was_fitted(name):
    fitted = FITTED[name]()
    tensors = fitted.to_tensors()
    assert all(isinstance(part, torch.Tensor) for part in tensors.values())
    inputs = INPUTS.get(name, make_texts(20, 1)[0])
    again = from_tensors(tensors)
    assert_same_answers(again.predict(inputs), fitted.predict(inputs))
    assert again.description == fitted.description
    assert "\n" not in fitted.description
    assert fitted.name
    assert fitted.predict([]) == []


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_data_give_the_same_bytes(name):
    first, second = (FITTED[name]().to_tensors() for _ in range(2))
    assert all(torch.equal(first[part], second[part]) for part in first)


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors: tensors.pop("info"),
        lambda tensors: tensors.update(info=tensors["info"][:-1]),
        lambda tensors: tensors.update(info=torch.tensor(list(b'{"baseline": "Oracle"}'), dtype=torch.uint8)),
        lambda tensors: tensors.update(info=torch.tensor(list(b"[]"), dtype=torch.uint8)),
        lambda tensors: tensors.pop("weight"),
    ],
)
def test_a_damaged_baseline_is_refused(damage):
    tensors = FITTED["BagOfWords"]().to_tensors()
    damage(tensors)
    with pytest.raises(CheckpointError, match="train again"):
        from_tensors(tensors)


KEEP_THEIR_OWN_RULE = (
    "Rivals",
    "SimpleForecasts",
    "NGram",
    "ColumnMarkov",
    "NearestSource",
    "NeighbourCounts",
)


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in KEEP_THEIR_OWN_RULE])
def test_nothing_to_fit_is_refused(name):
    with pytest.raises(DataError, match="at least one"):
        BASELINES[name].fit([], [])
    with pytest.raises(DataError, match="as many of each"):
        BASELINES[name].fit([["a"]], ["x", "y"])


def test_the_majority_is_the_most_frequent_label_and_ties_go_by_alphabet():
    assert Majority.fit([0] * 3, ["b", "a", "b"]).label == "b"
    assert Majority.fit([0] * 2, ["b", "a"]).label == "a"


def test_a_word_has_its_most_frequent_tag_and_an_unknown_one_that_of_all_tokens():
    fitted = MostFrequentTag.fit([["x", "x", "x"], ["y", "z"]], [["N", "V", "V"], ["D", "D"]])
    assert fitted.predict([["x", "y", "X"]]) == [["V", "D", "D"]]


def sklearn_bag(texts, labels):
    """The same features and regression by scikit-learn."""
    vectorizer = TfidfVectorizer(
        analyzer=lambda tokens: [token.lower() for token in tokens], sublinear_tf=True
    )
    regression = LogisticRegression(C=1 / BagOfWords.penalty, max_iter=1000, tol=1e-8)
    return vectorizer, regression.fit(vectorizer.fit_transform(texts), labels)


def test_the_bag_of_words_is_scikit_learn_s():
    texts, labels = make_texts(300)
    fitted = BagOfWords.fit(texts, labels)
    vectorizer, regression = sklearn_bag(texts, labels)
    assert fitted.features == vectorizer.get_feature_names_out().tolist() == sorted(fitted.features)
    # The weights agree to what the gradient's tolerance leaves open, the answers where they are not close.
    np.testing.assert_allclose(fitted.weight.T.numpy(), regression.coef_, atol=0.05)
    others, _ = make_texts(300, 1)
    theirs = regression.predict(vectorizer.transform(others)).tolist()
    assert np.mean([a == b for a, b in zip(fitted.predict(others), theirs, strict=True)]) > 0.99


def test_words_of_one_character_count_and_case_does_not():
    fitted = BagOfWords.fit([["I", "See"], ["we", "see"]], ["one", "many"])
    assert fitted.features == ["i", "see", "we"]
    assert fitted.predict([["i"], ["WE"]]) == ["one", "many"]


def test_characters_are_counted_in_runs_with_the_ends_of_the_text():
    fitted = BagOfWords.fit([list("ab"), list("B")], ["x", "y"])
    assert fitted.characters
    assert sorted(fitted.features) == sorted(
        [
            "\x02",
            "\x03",
            "a",
            "b",
            "B",
            "\x02a",
            "ab",
            "b\x03",
            "\x02B",
            "B\x03",
            "\x02ab",
            "ab\x03",
            "\x02B\x03",
        ]
    )
    assert not BagOfWords.fit([list("ab"), list("B")], ["x", "y"], characters=False).characters


def test_a_text_of_unknown_or_no_words_is_given_a_label():
    fitted = BagOfWords.fit([["a"], ["a"], ["b"]], ["x", "x", "y"])
    assert fitted.predict([[], ["never seen"]]) == ["x", "x"]


def test_one_label_is_enough():
    assert BagOfWords.fit([["a"], ["b"]], ["x", "x"]).predict([["c"]]) == ["x"]


def test_too_many_features_are_cut_to_the_most_frequent_and_it_is_said(monkeypatch):
    monkeypatch.setattr(module, "MAX_WEIGHTS", 4)
    fitted = BagOfWords.fit([["an", "by", "cc"], ["an", "by"], ["an", "zz"]], ["x", "y", "x"])
    assert fitted.features == ["an", "by"]
    assert "2 features most frequent of 4" in fitted.description


def test_frame_means_are_scikit_learn_s_regression_on_standardised_means():
    series, labels = make_series(200)
    fitted = FrameMeans.fit(series, labels)
    means = np.stack([rows.mean(0) for rows in series])
    standardised = (means - means.mean(0)) / means.std(0)
    regression = LogisticRegression(C=1 / FrameMeans.penalty, max_iter=1000, tol=1e-8).fit(
        standardised, labels
    )
    np.testing.assert_allclose(fitted.weight.T.numpy(), regression.coef_, atol=0.02)


def test_a_constant_column_and_an_empty_series_do_no_harm():
    series = [np.array([[1.0, value]], np.float32) for value in (-1, 1, -2, 2)] + [
        np.zeros((0, 2), np.float32)
    ]
    fitted = FrameMeans.fit(series, ["low", "high", "low", "high", "low"])
    assert fitted.predict([np.array([[5.0, -3.0]], np.float32), np.zeros((0, 2), np.float32)]) == [
        "low",
        "low",
    ]


entries = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.floats(-2, 2)), max_size=12)


@given(entries)
def test_sparse_rows_multiply_like_dense_ones(entries):
    cells = {(row, column): value for row, column, value in entries}
    dense = torch.zeros(5, 6)
    for place, value in cells.items():
        dense[place] = value
    places = torch.tensor(sorted(cells), dtype=torch.int64).reshape(-1, 2)
    sparse = SparseRows(places[:, 0], places[:, 1], dense[places[:, 0], places[:, 1]], (5, 6))
    weight, values = torch.randn(6, 3), torch.randn(5, 3)
    torch.testing.assert_close(sparse.times(weight), dense @ weight)
    torch.testing.assert_close(sparse.transposed_times(values), dense.T @ values)


def test_the_regression_stops_where_the_gradient_is_zero():
    generator = torch.Generator().manual_seed(0)
    data, classes = torch.randn(200, 5, generator=generator), torch.randint(3, (200,), generator=generator)
    weight, bias = fit_logistic_regression(DenseRows(data), classes, 3, penalty=2.0)
    error = (data @ weight + bias).softmax(1) - torch.nn.functional.one_hot(classes, 3)
    assert (data.T @ error + 2.0 * weight).abs().max() / 200 < 2e-4
    assert error.sum(0).abs().max() / 200 < 2e-4


def test_the_state_is_plain_ascii_json():
    tensors = MostFrequentTag.fit([["ä\ud800"]], [["X"]]).to_tensors()
    assert json.loads(bytes(tensors["info"].tolist()))["tags"] == {"ä\ud800": "X"}
