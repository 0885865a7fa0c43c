"""`elman tune`: the recipe's own choice first, and the validation part alone."""

import random
import re
import sys
import tomllib
from pathlib import Path

import pytest
from tiny import mood_rows, write_csv
from tiny_search import FAST, WORDS, bare, write_moods
from tiny_series import seasonal, write_series

import elman
from elman.cli import main
from elman.errors import ConfigError, DataError, MissingExtraError, RunError
from elman.run_folder import read_config
from elman.tuning import trial, tune
from elman.tuning.search import Search

pytest.importorskip("optuna", reason="the extra tune is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_moods(tmp_path_factory.mktemp("tune"))


@pytest.fixture(scope="module")
def found(data, tmp_path_factory) -> tune.Tuned:
    """Return a search of ten trials, with a test part."""
    out = tmp_path_factory.mktemp("tune") / "found"
    test = write_csv(data.parent / "test.csv", mood_rows(30, seed=1))
    return elman.tune(**FAST, train=str(data), test=str(test), valid=0.3, out=out, trials=10)


def test_trial_0_is_the_recipes_own_choice(found, data):
    """Its score is, to the bit, that of a training that is told nothing else."""
    chosen = found.run.chosen
    plain = elman.train(**FAST, train=str(data), valid=0.3)
    assert found.default.number == 0
    for name, value in found.default.values.items():
        assert value == getattr(plain.chosen, name), name
    assert found.default.score == plain.result["valid"]["accuracy"]
    assert chosen.metric == "accuracy"


def test_the_best_is_no_worse_than_the_recipe_and_is_an_ordinary_run(found):
    assert found.best.score >= found.default.score
    assert found.best.score == max(one.score for one in found.trials if one.state == "done")
    again = elman.load(found.folder / "best")
    assert again.result["valid"]["accuracy"] == found.best.score
    assert again.predict(["the film was good"])[0].prediction in ("yes", "no")
    if found.best.number:
        assert {name: getattr(again.chosen, name) for name in found.best.values} == dict(found.best.values)


def test_best_toml_trains_the_same_model_again(found, tmp_path):
    assert main(["train", str(found.folder / "best.toml"), "--out", str(tmp_path / "again")]) == 0
    first, second = (
        (folder / "model.safetensors").read_bytes() for folder in (found.folder / "best", tmp_path / "again")
    )
    assert first == second
    assert "out" not in tomllib.loads((found.folder / "best.toml").read_text())


def test_the_same_seed_gives_the_same_trials_whatever_the_test_part_holds(found, data, tmp_path):
    """The rows that the test file holds are others: a search that looked at them would differ."""
    test = write_csv(tmp_path / "other.csv", [(text, "yes") for text, _ in mood_rows(30, seed=2)])
    elman.tune(**FAST, train=str(data), test=str(test), valid=0.3, out=tmp_path / "out", trials=10)
    assert bare(tmp_path / "out") == bare(found.folder)


def test_another_seed_gives_other_trials(found, data, tmp_path):
    elman.tune(**FAST, train=str(data), valid=0.3, out=tmp_path / "out", trials=3, seed=1)
    assert bare(tmp_path / "out")[1][2] != bare(found.folder)[1][2]


def test_a_test_file_is_not_read_before_the_search_is_over(data, tmp_path):
    """A broken one ends the search at its very end, and mended it is gone on with."""
    test = tmp_path / "test.csv"
    test.write_text("text,label\n")
    with pytest.raises(DataError, match=r"example|row"):
        elman.tune(**FAST, train=str(data), test=str(test), out=tmp_path / "out", trials=2)
    assert [one[1] for one in bare(tmp_path / "out")] == ["done", "done"]
    write_csv(test, mood_rows(10))
    found = elman.tune(resume=tmp_path / "out")
    assert found.run.result["test"]["accuracy"] is not None


def test_a_share_held_out_for_the_test_is_trained_on_by_no_trial(data, monkeypatch, tmp_path):
    whole = elman.train(**FAST, train=str(data), test=0.3)
    seen = []
    plain_fit = trial.fit

    def fit(pattern, batches, *arguments, **more):
        seen.append(len(batches.encoded))
        return plain_fit(pattern, batches, *arguments, **more)

    monkeypatch.setattr(trial, "fit", fit)
    elman.tune(**FAST, train=str(data), test=0.3, out=tmp_path / "out", trials=2)
    assert seen == [whole.data["train"]["examples"]] * 2


def test_scores_by_another_search_for_outputs_are_no_other_training(tmp_path, capsys):
    rows = [(text.split()[1], text.split()[1][::-1]) for text, _ in mood_rows(30)]
    found = elman.tune(
        task="translate", train=rows, out=tmp_path / "out", trials=1, threads=1, epochs=1, hidden_size=4
    )
    name = found.search.metric
    assert found.best.score == found.run.history[0]["valid"][name] != found.run.result["valid"][name]
    assert "trained again" not in capsys.readouterr().err


def test_forecasts_are_tuned_by_one_metric_whatever_error_is_made_small(tmp_path):
    path = write_series(tmp_path / "load.csv", load=seasonal(120))
    found = elman.tune(
        task="forecast", train=str(path), test=0.2, epochs=1, hidden_size=4, horizon=3, season=6, threads=1,
        out=tmp_path / "out", trials=6,
    )  # fmt: skip
    assert found.run.result["metric"] == found.search.metric == "scaled_mse"
    assert {one.values["point"] for one in found.trials} == {"mse", "mae"}
    assert found.best.score <= found.default.score


def test_where_the_data_decide_the_metric_it_is_said_and_the_best_run_shows_the_tasks_own(tmp_path, capsys):
    """Of few vectors the loss picks the weights; figures of the task stand beside the baseline's as ever."""
    draw = random.Random(0)
    rows = [{"a": draw.random(), "b": draw.random(), "y": "yn"[place % 2]} for place in range(40)]
    given = {"task": "classify", "input": "a,b", "target": "y", "train": rows, "threads": 1}
    given |= {"epochs": 2, "hidden_size": 4}
    plain = elman.train(**given)
    capsys.readouterr()
    found = elman.tune(**given, out=tmp_path / "out", trials=2)
    said = " ".join(capsys.readouterr().err.split())
    assert found.search.metric == "loss" and found.default.score == plain.result["valid"]["loss"]
    assert "scored by: validation loss, which also picks each trial's weights, for 4 validation" in said
    own = ("metric", "kept_by")
    assert [found.run.result[name] for name in own] == [plain.result[name] for name in own]
    assert "metric" not in tomllib.loads((found.folder / "best.toml").read_text())
    assert elman.tune(resume=found.folder, train=rows, trials=3).search.metric == "loss"
    asked = elman.tune(**given, metric="macro_f1", out=tmp_path / "asked", trials=1)
    assert asked.search.metric == asked.run.result["metric"] == "macro_f1"
    assert "scored by: validation macro_f1\n" in capsys.readouterr().err


# Several processes


@pytest.mark.slow
def test_two_processes_share_the_trials(data, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["tune", *WORDS, "--train", str(data), "--out", str(out), "--trials", "6", "--processes", "2"]
    assert main(words) == 0
    said = capsys.readouterr().err
    trials = Search.read(out).study().trials()
    assert [one.number for one in trials] == list(range(6))
    assert all(one.state in ("done", "pruned") for one in trials)
    assert sorted(map(int, re.findall(r"trial +(\d) of 6", said))) == list(range(6))
    assert read_config(out / "best")["settings"]["threads"] == 1


def test_rows_in_memory_are_not_shared_with_other_processes(tmp_path):
    with pytest.raises(ConfigError, match="rows in memory"):
        elman.tune(**FAST, train=mood_rows(20), out=tmp_path / "out", trials=2, processes=2)
    assert not (tmp_path / "out").exists()


# Wrong input


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trials", "0"], "--trials is 0; at least 1 was expected"),
        (["--processes", "0"], "--processes is 0; at least 1"),
        (["--timeout", "-1"], "--timeout is -1.0; a number above 0"),
        (["--trails", "3"], "did you mean '--trials'?"),
        (["--beam-size", "3"], "beam_size is for --task translate"),
        (["--test", "absent.csv"], "absent.csv: there is no such file"),
        (["--metric", "f2"], "unknown metric 'f2'"),
        (["--valid", "0"], "a search compares its trials on the validation part, and valid = 0 holds none"),
    ],
)
def test_a_wrong_word_is_one_message_and_leaves_no_folder(words, said, data, tmp_path, capsys):
    given = ["tune", *WORDS, "--train", str(data), "--out", str(tmp_path / "out"), *words]
    assert main(given) == 2
    err = capsys.readouterr().err
    assert said in err and err.startswith("error: ") and "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_a_search_or_anything_else_in_it_is_refused(found, data, tmp_path):
    with pytest.raises(RunError, match=r"go on with it: elman.tune\(resume="):
        elman.tune(**FAST, train=str(data), out=found.folder)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="is not empty"):
        elman.tune(**FAST, train=str(data), out=tmp_path)
    with pytest.raises(RunError, match="holds no search"):
        elman.tune(resume=tmp_path)
    with pytest.raises(ConfigError, match="no folder for the search"):
        elman.tune(**FAST, train=str(data))


def test_without_optuna_the_extra_is_named(data, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"elman\[tune\]"):
        elman.tune(**FAST, train=str(data), out=tmp_path / "out")
