"""Estimators of labels, tags and numbers: what they take, give back, refuse and keep."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import elman
from elman.config import Settings
from elman.errors import ConfigError, DataError
from elman.estimators import SequenceClassifier, SequenceForecaster, SequenceRegressor, SequenceTagger
from elman.estimators import sequence_estimator as shared
from elman.tasks.foreign_settings import TASKS_OF

pandas = pytest.importorskip("pandas", reason="pandas is not installed")

QUICK = {"hidden_size": 8, "num_layers": 1, "epochs": 2, "threads": 1}
ALL = [SequenceClassifier, SequenceTagger, SequenceRegressor, SequenceForecaster]

# Settings that a task refuses in its own file, and why an estimator has no parameter for them.
REFUSED = {
    "classify": {"crf", "tied", "target"},
    "tag": {"pooling", "max_length", "tied", "target"},
    "regress": {"crf", "tied", "target"},
    "forecast": {"crf", "pooling", "bidirectional", "max_length"},
}

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


@pytest.mark.parametrize("kind", ALL)
def test_the_parameters_are_the_settings_that_say_something_to_the_task(kind):
    said = {name for name in Settings.model_fields if kind.task in TASKS_OF.get(name, (kind.task,))}
    said -= shared.NOT_PARAMETERS | REFUSED[kind.task]
    assert set(kind().get_params()) == said | set(shared.OWN_PARAMETERS)


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_chosen_before_fit(kind):
    parameters = kind().get_params()
    assert parameters.pop("verbose") is False
    assert set(parameters.values()) == {None}


@pytest.mark.parametrize(
    "name", sorted(set(SequenceTagger().get_params()) - {"vectors", "start_from", "verbose", "device"})
)
def test_a_wrong_value_is_refused_by_fit_and_not_before(name):
    model = SequenceTagger().set_params(**{name: "what"})
    with pytest.raises((ConfigError, ValueError)) as raised:
        model.fit([["a", "b"]] * 4, [["X", "Y"]] * 4)
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ([3, 1] * 16, "i"),
        (["b", "a"] * 16, "U"),
        ([True, False] * 16, "b"),
        (np.array([3, 1] * 16, np.int8), "i"),
        (np.array(["b", "a"] * 16, object), "O"),
        ([("b", 1), ("a", 2)] * 16, "O"),
        (pandas.Series(["b", "a"] * 16), "U"),
        (polars.Series([3, 1] * 16), "i"),
    ],
    ids=["int", "str", "bool", "int8", "object", "tuple", "Series", "polars.Series"],
)
def test_labels_come_back_as_they_were(labels, dtype):
    model = classifier(epochs=1).fit(TEXTS, labels)
    assert model.classes_.dtype.kind == dtype
    assert model.classes_.tolist() == sorted(set(labels))
    predicted = model.predict(TEXTS)
    assert predicted.dtype == model.classes_.dtype and set(predicted.tolist()) <= set(labels)
    assert isinstance(model.score(TEXTS, list(labels)), float)


def test_probabilities_stand_in_the_order_of_the_classes_and_agree_with_the_run():
    labels = ["a", "c", "c", "b"] * 8  # the most frequent is not the first
    model = classifier().fit(TEXTS, labels)
    wanted = [[each.probabilities[name] for name in "abc"] for each in model.run_.predict(TEXTS)]
    assert np.array_equal(model.predict_proba(TEXTS), wanted)
    assert model.predict(TEXTS).tolist() == [each.prediction for each in model.run_.predict(TEXTS)]


def test_an_estimator_is_the_run_of_the_same_settings():
    model = classifier(seed=3).fit(TEXTS, LABELS)
    rows = list(zip(TEXTS, LABELS, strict=True))
    run = elman.train(task="classify", train=rows, seed=3, **QUICK)
    ours, theirs = model.run_.model.state_dict(), run.model.state_dict()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert model.run_.result["valid"] == run.result["valid"]


@pytest.mark.parametrize(
    "state", [5, np.int64(5), np.random.RandomState(0), np.random.default_rng(0)], ids=str
)
def test_random_state_is_another_name_of_the_seed(state):
    seed = classifier(random_state=state, epochs=1).fit(TEXTS, LABELS).run_.settings.seed
    if isinstance(state, int | np.integer):
        assert seed == 5
    else:
        like = np.random.RandomState(0).randint(2**31 - 1)
        assert seed == (
            like if isinstance(state, np.random.RandomState) else np.random.default_rng(0).integers(2**31 - 1)
        )


def test_only_fit_draws_from_a_generator():
    state, wave = np.random.RandomState(0), np.sin(np.arange(60) / 3)
    model = SequenceForecaster(**QUICK, horizon=3, context=8, random_state=state).fit(wave)
    assert model.run_.settings.seed == np.random.RandomState(0).randint(2**31 - 1)
    before = state.get_state()[2]
    model.predict(wave)
    model.score(wave)
    assert state.get_state()[2] == before


def test_fit_says_nothing_unless_asked(capfd):
    model = classifier(epochs=1).fit(TEXTS, LABELS)
    assert capfd.readouterr() == ("", "")
    model.set_params(verbose=True).fit(TEXTS, LABELS)
    assert "epoch" in capfd.readouterr().err


def test_fit_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    classifier(epochs=1).fit(TEXTS, LABELS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "make",
    [
        lambda X: X,
        tuple,
        lambda X: np.array(X),
        lambda X: np.array(X, object),
        lambda X: np.array(X, object)[:, None],
        pandas.Series,
        polars.Series,
        lambda X: pandas.DataFrame({"text": X}),
        lambda X: polars.DataFrame({"text": X}),
    ],
    ids=["list", "tuple", "array", "objects", "column", "Series", "polars.Series", "frame", "polars.frame"],
)
def test_texts_may_come_in_anything(make):
    wanted = classifier(epochs=1).fit(TEXTS, LABELS).predict_proba(TEXTS[:5])
    model = classifier(epochs=1).fit(make(TEXTS), LABELS)
    assert np.array_equal(model.predict_proba(make(TEXTS[:5])), wanted)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    "make",
    [
        lambda X: [each.tolist() for each in X],
        lambda X: [each.astype(np.float32).astype(float) for each in X],
        lambda X: [pandas.DataFrame(each) for each in X],
        lambda X: [polars.DataFrame(each) for each in X],
        lambda X: pandas.Series(X),
    ],
    ids=["lists", "float", "frames", "polars.frames", "Series"],
)
def test_series_may_come_in_anything(make):
    X, _ = series()
    X = [each.astype(np.float32).astype(float) for each in X]
    y = [0, 1] * 12
    wanted = classifier(epochs=1).fit(X, y)
    model = classifier(epochs=1).fit(make(X), y)
    assert wanted.n_features_in_ == model.n_features_in_ == 2
    assert np.array_equal(model.predict_proba(make(X[:3])), wanted.predict_proba(X[:3]))


def test_an_array_of_three_dimensions_is_a_list_of_series():
    X = np.random.default_rng(0).normal(size=(20, 4, 3))
    one, other = classifier().fit(X, [0, 1] * 10), classifier().fit(list(X), [0, 1] * 10)
    assert np.array_equal(one.predict_proba(X), other.predict_proba(list(X)))


def test_vectors_of_any_frame_are_sequences_of_one_step():
    X = np.random.default_rng(0).normal(size=(20, 3))
    y = [0, 1] * 10
    wanted = classifier().fit([row[None] for row in X], y).predict_proba([row[None] for row in X])
    for frame in (
        X,
        X.tolist(),
        pandas.DataFrame(X, columns=list("abc")),
        polars.DataFrame(X, schema=list("abc")),
    ):
        model = classifier().fit(frame, y)
        assert np.allclose(model.predict_proba(frame), wanted, atol=1e-6)
    assert model.n_features_in_ == 3


def test_a_pandas_frame_gives_the_columns_names():
    frame = pandas.DataFrame(np.eye(4).repeat(5, 0), columns=list("abcd"))
    model = classifier().fit(frame, [0, 1] * 10)
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("abdc")])


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_columns_of_names_are_read_as_names(kind):
    frame = pandas.DataFrame({"size": np.arange(40.0), "colour": ["red", "blue"] * 20, "target": 1.0})
    model = kind(**(QUICK | {"epochs": 40, "learning_rate": 0.02})).fit(frame, [1, 0] * 20)
    assert model.feature_names_in_.tolist() == ["size", "colour", "target"]
    assert model.score(frame, [1, 0] * 20) > 0.9  # by the colour alone
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert np.array_equal(again.predict(frame), model.predict(frame))


def test_columns_with_numbers_for_names_keep_their_order():
    frame = pandas.DataFrame({0: np.arange(20.0), 1: ["red", "blue"] * 10, 2: np.arange(20.0) ** 2})
    model = classifier(epochs=1).fit(frame, [1, 0] * 10)
    with pytest.raises(DataError, match="X has the columns 2, 1, 0; 0, 1, 2 were expected"):
        model.predict(frame[[2, 1, 0]])


def test_truth_values_beside_names_are_numbers():
    frame = pandas.DataFrame({"new": [True, False] * 10, "colour": ["red", "blue"] * 10, "size": 1.0})
    model, other = (classifier(epochs=1).fit(X, [1, 0] * 10) for X in (frame, frame.astype({"new": float})))
    assert np.array_equal(model.predict_proba(frame), other.predict_proba(frame.astype({"new": float})))
    named = classifier(epochs=1, categories="new,colour").fit(frame, [1, 0] * 10)
    assert set(named.run_.task.inputs.categories[0]) == {"false", "true"}


def test_token_lists_of_one_length_may_come_as_an_array():
    X, y = [["we", "sing"], ["you", "do"]] * 10, [["P", "V"], ["N", "V"]] * 10
    one = SequenceTagger(**QUICK).fit(X, y)
    other = SequenceTagger(**QUICK).fit(np.array(X), np.array(y))
    assert one.predict(X) == other.predict(np.array(X)) and one.score(X, y) == other.score(X, np.array(y))


def test_missing_numbers_are_gaps_where_training_had_some():
    X = np.random.default_rng(0).normal(size=(20, 2))
    X[::3, 1] = np.nan
    model = classifier().fit(X, [0, 1] * 10)
    assert np.isfinite(model.predict_proba(X)).all()
    with pytest.raises(DataError, match=r"finite number"):
        classifier().fit(np.nan_to_num(X), [0, 1] * 10).predict(X)


@pytest.mark.parametrize("shape", [(24,), (24, 1), (24, 2)])
def test_predicted_numbers_have_the_shape_of_y(shape):
    X, slopes = series()
    y = np.stack([slopes, -slopes], 1)[:, : shape[-1]] if len(shape) > 1 else slopes
    model = SequenceRegressor(**(QUICK | {"epochs": 40, "learning_rate": 0.02})).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == shape and predicted.dtype == np.float64
    assert model.score(X, y) == r2_score(y, predicted) > 0.5


def test_tags_come_back_as_they_were_and_are_scored_by_token():
    X = [["we", "sing"], ["we", "do", "it"], ["sing"], []] * 6
    y = [[0, 1], [0, 1, 0], [1], []] * 6
    model = SequenceTagger(**(QUICK | {"epochs": 30, "learning_rate": 0.02})).fit(X, y)
    predicted = model.predict(X)
    assert model.classes_.tolist() == [0, 1] and [len(row) for row in predicted] == [len(row) for row in X]
    assert type(predicted[0][0]) is int
    flat = [tag for row in y for tag in row], [tag for row in predicted for tag in row]
    assert model.score(X, y) == accuracy_score(*flat) > 0.9


def test_texts_of_a_tagger_are_cut_at_white_space():
    X, y = ["we sing", "we do it", "sing"] * 6, ["P V", "P V P", "V"] * 6
    one = SequenceTagger(**QUICK).fit(X, y)
    other = SequenceTagger(**QUICK).fit([text.split() for text in X], [tags.split() for tags in y])
    assert one.predict(X) == other.predict(X)
    assert one.score(X, y) == other.score(X, y)


WRONG = {
    "unequal": (lambda: classifier().fit(TEXTS, LABELS[1:]), "inconsistent numbers of samples"),
    "empty": (lambda: classifier().fit([], []), "0 sample"),
    "one class": (lambda: classifier().fit(TEXTS, ["a"] * 32), "one class, 'a'"),
    "one text": (lambda: classifier().fit("good", ["a"]), "one text"),
    "no label": (lambda: classifier().fit(TEXTS, [None, "a"] * 16), r"y\[0\] is missing"),
    "NaN for a label": (
        lambda: classifier().fit(TEXTS, np.array(["a", np.nan] * 16, object)),
        r"y\[1\] is missing",
    ),
    "NaN in a column": (
        lambda: classifier().fit(TEXTS, pandas.Series([np.nan, "a"] * 16)),
        r"y\[0\] is missing",
    ),
    "NaN for a tag": (lambda: SequenceTagger().fit([["a"]], [[np.nan]]), r"y\[0\] has a missing tag"),
    "mixed labels": (lambda: classifier().fit(TEXTS, [1, "a"] * 16), "texts and others"),
    "infinity": (lambda: classifier().fit([[np.inf]] * 4, [0, 1] * 2), "infinity"),
    "infinite step": (lambda: classifier().fit([[[np.inf]]] * 4, [0, 1] * 2), "finite number"),
    "unequal rows": (lambda: classifier().fit([[1, 2], [3]], [0, 1]), r"X\[1\] holds 1 numbers and X\[0\] 2"),
    "flat numbers": (lambda: classifier().fit([1, 2], [0, 1]), "1D array"),
    "odd widths": (lambda: classifier().fit([[[1, 2]], [[1]]], [0, 1]), r"X\[1\] has 1 columns"),
    "a flat series": (lambda: classifier().fit([[[1, 2]], [1]], [0, 1]), r"X\[1\] has 1 dimension"),
    "dicts": (lambda: classifier().fit([{"a": 1}], [0]), "list of dicts"),
    "a missing text": (lambda: classifier().fit(["a", None], [0, 1]), r"X\[1\] is missing"),
    "times": (
        lambda: classifier().fit(pandas.DataFrame({"a": [1.0], "b": [pandas.Timestamp(0)]}), [0]),
        "'b' holds times",
    ),
    "a missing tag": (lambda: SequenceTagger().fit([["a"]], [[None]]), r"y\[0\] has a missing tag"),
    "labels of no kind": (lambda: classifier().fit(TEXTS, [{1}, {2}] * 16), "no labels"),
    "a generator": (lambda: classifier().fit(iter("ab"), [0, 1]), "expected"),
    "two seeds": (lambda: classifier(seed=1, random_state=1).fit(TEXTS, LABELS), "two names of one thing"),
    "a share": (lambda: classifier(validation_fraction=1.5).fit(TEXTS, LABELS), "validation_fraction = 1.5"),
    "a setting": (lambda: classifier(cell="gruu").fit(TEXTS, LABELS), "did you mean 'gru'"),
    "categories": (lambda: classifier(categories="a").fit(TEXTS, LABELS), "categories names columns"),
    "texts for numbers": (
        lambda: SequenceRegressor().fit(TEXTS, LABELS),
        "could not convert string to float",
    ),
    "tags": (lambda: SequenceTagger().fit([["a", "b"]], [["X"]]), r"X\[0\] has 2 tokens and y\[0\] 1 tags"),
    "numbers for tokens": (lambda: SequenceTagger().fit([[1, 2]], [["X", "Y"]]), "holds numbers"),
    "flat tags": (lambda: SequenceTagger().fit([["a"]], [1]), "a list of tags was expected"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_line_and_a_value_error(name):
    call, said = WRONG[name]
    with pytest.raises(ValueError, match=said) as raised:
        call()
    if name != "flat numbers":  # scikit-learn's own shows the array
        assert "\n" not in str(raised.value)


def test_a_text_may_be_empty():
    model = classifier(epochs=1).fit(["", "a b"] * 10, [0, 1] * 10)
    assert model.predict_proba([""]).shape == (1, 2)


def test_another_form_than_in_fit_is_refused():
    model = classifier(epochs=1).fit(TEXTS, LABELS)
    for X in ([["good", "fun"]], np.zeros((2, 3)), [np.zeros((2, 3))]):
        with pytest.raises(DataError, match="but texts when fit was called"):
            model.predict(X)
    model.fit([np.zeros((2, 3)), np.ones((4, 3))] * 8, [0, 1] * 8)
    with pytest.raises(DataError, match="X has 2 features, but SequenceClassifier is expecting 3"):
        model.predict([np.zeros((2, 2))])


@pytest.mark.parametrize("kind", ALL)
def test_before_fit_nothing_is_predicted_or_saved(kind, tmp_path):
    for call in (lambda: kind().predict(["a"]), lambda: kind().save(tmp_path / "new")):
        with pytest.raises(NotFittedError):
            call()
    assert clone(pickle.loads(pickle.dumps(kind(seed=4)))).seed == 4  # noqa: S301


def test_ctrl_c_keeps_the_best_weights_and_warns(monkeypatch):
    wanted = classifier(epochs=6, decay="none", warmup=0).fit(TEXTS, LABELS)
    note = shared._Epochs.on_epoch

    def press(self, row, timing, is_best):
        note(self, row, timing, is_best)
        if row["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(shared._Epochs, "on_epoch", press)
    model = classifier(epochs=6, decay="none", warmup=0)
    with pytest.warns(UserWarning, match="interrupted after 2 whole epochs of 6"):
        model.fit(TEXTS, LABELS)
    assert model.n_iter_ == 2 and model.run_.result["stopped"] == "interrupted"
    assert model.run_.history == wanted.run_.history[:2]
    assert model.predict(TEXTS).shape == (32,)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_termination_is_no_reason_to_go_on(monkeypatch):
    monkeypatch.setattr(shared._Epochs, "on_step", lambda *_: signal.raise_signal(signal.SIGTERM))
    model = classifier()
    with pytest.raises(elman.errors.Interrupted):
        model.fit(TEXTS, LABELS)
    assert not hasattr(model, "run_")


def test_without_a_held_out_part_every_example_is_trained_on():
    model = classifier(validation_fraction=0).fit(TEXTS, LABELS)
    assert model.run_.data["train"]["examples"] == model.run_.data["valid"]["examples"] == 32
    assert classifier(validation_fraction=0.25).fit(TEXTS, LABELS).run_.data["valid"]["examples"] == 8


def test_unequal_lengths_go_through_clone_pipeline_search_and_cross_validation():
    X, _ = series()
    y = ["down", "up"] * 12
    model = SequenceClassifier(hidden_size=8, threads=1, learning_rate=0.02, epochs=5, validation_fraction=0)
    scaled = make_pipeline(FunctionTransformer(lambda rows: [row * 10 for row in rows]), model)
    search = GridSearchCV(
        scaled, {"sequenceclassifier__epochs": np.array([1, 20])}, cv=KFold(2), scoring="accuracy"
    )
    search.fit(X, y)
    assert search.best_params_ == {"sequenceclassifier__epochs": 20}
    assert cross_val_score(clone(model).set_params(epochs=20), X, y, cv=2).mean() > 0.9


def test_texts_go_through_a_pipeline():
    clean = FunctionTransformer(lambda texts: [text.replace("!", "") for text in texts])
    model = make_pipeline(clean, classifier()).fit([text + "!" for text in TEXTS], LABELS)
    plain = classifier().fit(TEXTS, LABELS)
    assert np.array_equal(model.predict_proba(TEXTS), plain.predict_proba(TEXTS))


def test_vectors_go_through_a_scaler():
    X = np.random.default_rng(0).normal(size=(20, 3))
    make_pipeline(StandardScaler(), classifier()).fit(X, [0, 1] * 10).predict(X)


@pytest.mark.slow
def test_without_scikit_learn_the_extra_is_named():
    code = (
        "import sys; sys.modules['sklearn'] = None; import elman\n"
        "try: elman.estimators.SequenceClassifier()\n"
        "except elman.errors.MissingExtraError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "pip install 'elman[sklearn]'" in done.stdout, done.stderr
