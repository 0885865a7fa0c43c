"""What an estimator keeps comes back as it was; its labels have names that tell them apart."""

import json
import pickle
from fractions import Fraction

import joblib
import numpy as np
import pytest
import sklearn
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import elman
from elman.data.time_series import TimeSeries
from elman.data.timestamps import Clock
from elman.errors import CheckpointError, DataError, RunError
from elman.estimators import SequenceClassifier, SequenceRegressor, SequenceTagger
from elman.estimators.kept import from_json, to_json
from elman.estimators.labels import distinct, flat_labels, names_of
from elman.run import Run

PLAIN = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)
LABEL = st.one_of(st.text(), st.integers(-(2**40), 2**40), st.booleans(), st.tuples(st.text(), st.integers()))
ARRAYS = arrays.arrays(
    st.sampled_from([np.float64, np.float32, np.int16, np.bool_, np.dtype("<U4")]),
    arrays.array_shapes(max_dims=1),
)


QUICK = {"hidden_size": 8, "num_layers": 1, "epochs": 2, "threads": 1}
TEXTS = ["good fun", "no good", "what fun", "no fun", "so good", "not so", "fun fun fun", "no no"] * 4
LABELS = ["yes", "no"] * 16


def series(count=24, seed=0):
    """Return noisy series of 2 to 9 steps, falling and rising by turns, and how steep each is."""
    generator = np.random.default_rng(seed)
    slopes = np.where(np.arange(count) % 2, 1.0, -1.0) * generator.uniform(0.5, 1, count)
    lengths = generator.integers(2, 10, count)
    made = [
        slope * np.arange(n)[:, None] + generator.normal(0, 0.1, (n, 2))
        for slope, n in zip(slopes, lengths, strict=True)
    ]
    return made, slopes


def classifier(**more):
    return SequenceClassifier(**(QUICK | more))


def alike(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(alike, one, other))
    return type(one) is type(other) and one == other


@given(st.recursive(PLAIN | ARRAYS, lambda inner: st.lists(inner) | st.lists(inner).map(tuple), max_leaves=8))
def test_values_come_back_from_json_and_tensors_as_they_were(value):
    tensors = {}
    kept = json.loads(json.dumps(to_json(value, tensors), allow_nan=False))
    assert alike(from_json(kept, tensors), value)


def test_a_series_comes_back_as_it_was():
    series = TimeSeries("a", np.array([1.0, np.nan]), Clock("months", 3), 7, np.eye(2), 1, "x:2", ("n", "1"))
    tensors = {}
    other = from_json(json.loads(json.dumps(to_json(series, tensors))), tensors)
    assert repr(other) == repr(series) and other.where == series.where


@given(st.sets(LABEL, min_size=1))
def test_names_of_labels_differ_and_are_not_empty(labels):
    names = names_of(list(labels))
    assert all(names) and len(set(names)) == len(labels)


@given(
    st.one_of(
        *(
            st.lists(kind, min_size=1)
            for kind in (
                st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
                st.integers(-(2**40), 2**40),
                st.booleans(),
                st.tuples(st.text(), st.integers()),
            )
        )
    )
)
def test_labels_are_the_same_in_the_array(labels):
    assert flat_labels(labels).tolist() == labels
    assert distinct(flat_labels(labels)).tolist() == sorted(set(labels))


@pytest.mark.parametrize("labels", [[{1}, {2}], [1j, 2j], [0.5, 1.5], [np.nan, 1.0], [b"a", b"b"]], ids=str)
def test_what_is_no_label_is_refused(labels):
    with pytest.raises((ValueError, TypeError)):
        distinct(flat_labels(labels))


def test_joblib_keeps_an_estimator(tmp_path):
    X, y = [np.full((n, 1), n % 2) for n in range(2, 22)], [0, 1] * 10
    model = SequenceClassifier(hidden_size=4, epochs=1, threads=1).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    assert np.array_equal(joblib.load(tmp_path / "model.joblib").predict_proba(X), model.predict_proba(X))
    both = joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(model.predict)(X) for _ in range(2))
    assert np.array_equal(*both)


def test_predicting_uses_the_threads_of_fit(monkeypatch):
    X, y = [np.full((n, 1), n % 2) for n in range(2, 22)], [0, 1] * 10
    model = SequenceClassifier(hidden_size=4, epochs=1, threads=3).fit(X, y)
    before, seen = torch.get_num_threads(), []
    predict = Run.predict
    monkeypatch.setattr(
        Run, "predict", lambda *each: [seen.append(torch.get_num_threads()), predict(*each)][1]
    )
    model.predict(X)
    assert seen == [3] and torch.get_num_threads() == before


def test_what_json_cannot_hold_is_named():
    with pytest.raises(DataError, match="type set cannot be saved"):
        to_json([{1}], {})


def fitted():
    X, slopes = series()
    return {
        "classifier": (classifier().fit(TEXTS, LABELS), TEXTS),
        "tuples": (classifier().fit(TEXTS, [("b", 1), ("a", 2)] * 16), TEXTS),
        "vectors": (
            classifier(random_state=np.random.RandomState(0)).fit(np.eye(8), [0.0, 1.0] * 4),
            np.eye(8),
        ),
        "regressor": (SequenceRegressor(**QUICK).fit(X, slopes[:, None]), X),
        "tagger": (SequenceTagger(**QUICK).fit(TEXTS, [text.split() for text in TEXTS]), TEXTS),
    }


@pytest.fixture(scope="module")
def models():
    return fitted()


@pytest.mark.parametrize("name", ["classifier", "tuples", "vectors", "regressor", "tagger"])
def test_pickled_and_saved_estimators_predict_the_same(name, models, tmp_path):
    model, X = models[name]
    wanted = list(model.predict(X))
    model.save(tmp_path / "kept")
    for other in (pickle.loads(pickle.dumps(model)), type(model).load(tmp_path / "kept")):  # noqa: S301
        assert list(other.predict(X)) == wanted
        assert vars(other).keys() == vars(model).keys() and other.n_iter_ == model.n_iter_
        if hasattr(model, "classes_"):
            assert other.classes_.dtype == model.classes_.dtype
            assert other.classes_.tolist() == model.classes_.tolist()
    if name != "vectors":
        loaded = type(model).load(tmp_path / "kept")
        assert loaded.get_params() == model.get_params()


def test_a_saved_estimator_is_a_run(models, tmp_path):
    model, X = models["classifier"]
    model.save(tmp_path / "kept")
    run = elman.load(tmp_path / "kept")
    assert [each.prediction for each in run.predict(X)] == model.predict(X).tolist()
    assert len(run.history) == model.n_iter_ == 2 and (tmp_path / "kept" / "report.html").exists()
    with pytest.raises(CheckpointError, match="holds a SequenceClassifier"):
        SequenceTagger.load(tmp_path / "kept")
    (tmp_path / "kept" / "estimator.json").unlink()
    with pytest.raises(RunError, match=r"holds a run but no estimator.json; .* elman.load"):
        SequenceTagger.load(tmp_path / "kept")


def test_a_pickle_holds_bytes_and_plain_parameters_alone(models):
    state = models["tuples"][0].__getstate__()
    assert set(state) == {"parameters", "files"}
    assert {type(value) for value in state["files"].values()} == {bytes}
    text = pickle.dumps(models["tuples"][0])
    assert b"torch" not in text.replace(state["files"]["json"], b"") and b"elman.run" not in text


def test_a_pickle_keeps_what_scikit_learn_was_asked_for():
    with sklearn.config_context(enable_metadata_routing=True):
        for model in (classifier(), classifier().set_score_request(sample_weight=True)):
            again = pickle.loads(pickle.dumps(model))  # noqa: S301
            asked = again.get_metadata_routing().score.requests
            assert asked == model.get_metadata_routing().score.requests
    assert asked == {"sample_weight": True}


def test_damaged_bytes_are_refused(models):
    state = models["classifier"][0].__getstate__()
    for name in ("json", "tensors"):
        files = state["files"] | {name: state["files"][name][:-20]}
        with pytest.raises(CheckpointError, match="damaged"):
            SequenceClassifier().__setstate__(state | {"files": files})


def test_labels_that_json_cannot_hold_are_refused_on_saving(tmp_path):
    model = classifier(epochs=1).fit(TEXTS, [Fraction(1, 3), Fraction(2, 3)] * 16)
    with pytest.raises(DataError, match="Fraction cannot be saved"):
        model.save(tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
