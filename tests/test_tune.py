"""`elman tune`: the recipe's own choice first, the validation part alone, and nothing lost by a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from tiny import mood_rows, write_csv
from tiny_series import seasonal, write_series

import elman
from elman.cli import main
from elman.config import make_settings
from elman.errors import ConfigError, DataError, Interrupted, MissingExtraError, RunError, TrainingError
from elman.run_folder import read_config
from elman.tuning import search_space, study, told, trial, tune
from elman.tuning.picture import search_charts
from elman.tuning.search import JOURNAL, Search
from elman.tuning.search_space import EVERY, OF_TASK, Dimension

pytest.importorskip("optuna", reason="the extra tune is not installed")

FAST = {
    "task": "classify",
    "threads": 1,
    "epochs": 4,
    "hidden_size": 4,
    "embedding_size": 4,
    "characters": "none",
}
WORDS = [
    "--task",
    "classify",
    "--threads",
    "1",
    "--epochs",
    "4",
    "--hidden-size",
    "4",
    "--characters",
    "none",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_csv(tmp_path_factory.mktemp("tune") / "mood.csv", mood_rows(60))


@pytest.fixture(scope="module")
def found(data, tmp_path_factory) -> tune.Tuned:
    """Return a search of ten trials, with a test part."""
    out = tmp_path_factory.mktemp("tune") / "found"
    test = write_csv(data.parent / "test.csv", mood_rows(30, seed=1))
    return elman.tune(**FAST, train=str(data), test=str(test), valid=0.3, out=out, trials=10)


def bare(folder: Path) -> list[tuple]:
    """Return the trials of a search without their times."""
    return [
        (one.number, one.state, dict(one.values), one.score) for one in Search.read(folder).study().trials()
    ]


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


def test_what_is_given_is_not_searched():
    chosen = make_settings(
        {"task": "classify", "hidden_size": 8, "learning_rate": 0.1, "dropout": 0.5, "pooling": "max"}
    )
    given = make_settings({"task": "classify", "dropout": 0.5, "cell": "lstm", "weight_decay": 0.0})
    names = [one.name for one in search_space.search_space(given, chosen, "accuracy")]
    assert names == ["learning_rate", "hidden_size", "pooling"]


def test_where_a_run_is_gone_on_from_its_shapes_are_not_searched(data, tmp_path):
    values = FAST | {"train": str(data), "epochs": 1}
    elman.train(**values, out=tmp_path / "first")
    found = elman.tune(**values, start_from=str(tmp_path / "first"), out=tmp_path / "out", trials=4)
    names = {one.name for one in found.search.space}
    assert "learning_rate" in names and not names & set(search_space.CHANGE_THE_SHAPES)
    assert [one.state for one in found.trials] == ["done"] * 4


def test_forecasts_that_start_from_a_run_keep_its_shapes(tmp_path):
    file = write_series(tmp_path / "load.csv", load=seasonal(150))
    values = {"task": "forecast", "train": str(file), "horizon": 4, "threads": 1, "epochs": 1}
    elman.train(**values, hidden_size=4, out=tmp_path / "first")
    found = elman.tune(
        **values, hidden_size=4, start_from=str(tmp_path / "first"), out=tmp_path / "out", trials=5
    )
    assert not {"context", "patch"} & {one.name for one in found.search.space}
    assert [one.reason for one in found.trials] == [None] * 5


def test_a_setting_of_one_cell_keeps_the_cell():
    chosen = make_settings({"task": "classify", "learning_rate": 0.1, "forget_bias": 1.0})
    for given, searched in (({}, True), ({"forget_bias": 1.0}, False)):
        space = search_space.search_space(make_settings({"task": "classify"} | given), chosen, "accuracy")
        assert ("cell" in [one.name for one in space]) == searched


def test_scores_by_another_search_for_outputs_are_no_other_training(tmp_path, capsys):
    rows = [(text.split()[1], text.split()[1][::-1]) for text, _ in mood_rows(30)]
    found = elman.tune(
        task="translate", train=rows, out=tmp_path / "out", trials=1, threads=1, epochs=1, hidden_size=4
    )
    name = found.search.metric
    assert found.best.score == found.run.history[0]["valid"][name] != found.run.result["valid"][name]
    assert "trained again" not in capsys.readouterr().err


def test_a_loss_that_would_be_another_quantity_is_not_searched_where_it_is_the_metric():
    given = make_settings({"task": "regress"})
    chosen = make_settings({"task": "regress", "learning_rate": 0.1, "loss": "mse"})
    space = {
        metric: [one.name for one in search_space.search_space(given, chosen, metric)]
        for metric in ("rmse", "loss")
    }
    assert set(space["rmse"]) - set(space["loss"]) == {"loss"}


@pytest.mark.parametrize("task", list(OF_TASK))
def test_every_range_holds_what_the_recipe_chooses(task):
    values = {
        "learning_rate": 0.3,
        "hidden_size": 3,
        "num_layers": 5,
        "dropout": 0.9,
        "input_dropout": 0.7,
        "batch_size": 1,
        "pooling": "mean",
        "context": 60,
        "patch": 12,
        "season": 12,
        "difference": "none",
        "point": "mse",
        "attention": "none",
        "label_smoothing": 0.5,
        "loss": "mae",
    }
    chosen = make_settings({"task": task} | values)
    space = search_space.search_space(make_settings({"task": task}), chosen, "accuracy")
    assert {one.name for one in space} == {*EVERY, *OF_TASK[task]}
    for one in space:
        assert one.default == getattr(chosen, one.name)
        assert one.default in one.choices if one.choices else one.low <= one.default <= one.high
        assert Dimension.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_every_context_that_is_tried_holds_whole_patches():
    given = make_settings({"task": "forecast"})
    chosen = make_settings({"task": "forecast", "context": 24, "patch": 24, "season": 24})
    space = {one.name: one.choices for one in search_space.search_space(given, chosen, "scaled_mse")}
    assert space["context"] == (24, 48) and space["patch"] == (1, 24)
    assert all(context % patch == 0 for context in space["context"] for patch in space["patch"])


def test_forecasts_are_tuned_by_one_metric_whatever_error_is_made_small(tmp_path):
    path = write_series(tmp_path / "load.csv", load=seasonal(120))
    found = elman.tune(
        task="forecast", train=str(path), test=0.2, epochs=1, hidden_size=4, horizon=3, season=6, threads=1,
        out=tmp_path / "out", trials=6,
    )  # fmt: skip
    assert found.run.result["metric"] == found.search.metric == "scaled_mse"
    assert {one.values["point"] for one in found.trials} == {"mse", "mae"}
    assert found.best.score <= found.default.score


# Resumed


def elman_process(*words: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "elman", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip


def wait_for_trials(folder: Path, count: int) -> None:
    """Wait until the next trial after so many is on its way."""
    journal, began = folder / JOURNAL, time.monotonic()
    while time.monotonic() - began < 60:
        if journal.exists() and journal.read_text().count('"number"') > count:
            return
        time.sleep(0.01)
    raise AssertionError("no trial was scored in two minutes")


@pytest.mark.slow
def test_killed_and_resumed_a_search_tries_the_same_as_one_that_was_not(data, tmp_path):
    arguments = ["tune", *WORDS, "--train", str(data), "--valid", "0.3", "--trials", "12"]
    whole = elman_process(*arguments, "--out", str(tmp_path / "whole"))
    assert whole.wait(timeout=200) == 0
    killed = elman_process(*arguments, "--out", str(tmp_path / "killed"))
    try:
        wait_for_trials(tmp_path / "killed", 4)
    finally:
        killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "best").exists()
    assert main(["tune", "--resume", str(tmp_path / "killed")]) == 0
    assert bare(tmp_path / "killed") == bare(tmp_path / "whole")
    models = [tmp_path / name / "best" / "model.safetensors" for name in ("killed", "whole")]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_a_trial_that_was_running_when_the_process_was_killed_is_tried_again(data, tmp_path):
    out = tmp_path / "out"
    elman.tune(**FAST, train=str(data), out=out, trials=3)
    searched = Search.read(out).study()
    lost = searched.ask(4)
    with open(out / JOURNAL, "a") as file:
        file.write('{"op_code": 6, "work')  # a line cut by the kill
    assert [one.state for one in Search.read(out).study().trials()][-1] == "running"
    found = elman.tune(resume=out, trials=5)
    assert [one.number for one in found.trials] == [0, 1, 2, 3, 4]
    assert dict(found.trials[3].values) == lost.params and found.trials[3].state != "failed"


def test_a_trial_that_kills_its_process_again_and_again_counts_as_failed(data, tmp_path):
    elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=1)
    for _ in range(study.MOST_ATTEMPTS):
        searched = Search.read(tmp_path / "out").study()
        searched.take_back_broken(again=True)
        assert searched.ask(2) is not None
    searched.take_back_broken(again=True)
    assert searched.ask(2) is None
    assert searched.trials()[1].state == "failed" and "killed" in searched.trials()[1].reason


def test_more_trials_go_on_from_those_that_are_there(found, data, tmp_path):
    out = tmp_path / "out"
    elman.tune(**FAST, train=str(data), valid=0.3, out=out, trials=4)
    assert bare(out) == bare(found.folder)[:4]
    elman.tune(resume=out, trials=10)
    assert bare(out) == bare(found.folder)


def test_other_data_are_refused_when_a_search_is_resumed(data, tmp_path):
    out = tmp_path / "out"
    elman.tune(**FAST, train=str(data), out=out, trials=1)
    other = write_csv(tmp_path / "other.csv", mood_rows(50, seed=3))
    with pytest.raises(DataError, match="have changed since the search began"):
        elman.tune(resume=out, train=str(other), trials=2)
    with pytest.raises(ConfigError, match="dropout cannot change when a search is resumed"):
        elman.tune(resume=out, dropout=0.5)


def test_a_signal_ends_the_search_and_says_how_to_go_on(data, tmp_path, capsys):
    out = tmp_path / "out"
    plain_report, reports = trial.Rungs.on_epoch, []

    def on_epoch(self, *arguments):
        reports.append(arguments)
        if len(reports) == 10:
            signal.raise_signal(signal.SIGINT)
        plain_report(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial.Rungs, "on_epoch", on_epoch)
        code = main(["tune", *WORDS, "--train", str(data), "--out", str(out), "--trials", "6"])
    assert code == 130
    assert f"go on with: elman tune --resume {out}" in capsys.readouterr().err
    assert [one.state for one in Search.read(out).study().trials()] == ["done", "done"]
    assert len(elman.tune(resume=out).trials) == 6


def test_the_time_ends_the_search_but_not_before_the_recipe_was_tried(data, tmp_path):
    found = elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=50, timeout=1e-6)
    assert [one.number for one in found.trials] == [0]
    assert found.best.number == 0


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


# Trials that fail, and trials that are stopped


def test_a_trial_that_fails_is_noted_and_does_not_end_the_search(data, monkeypatch, tmp_path):
    plain_train = trial.Workbench.train

    def train(self, values, observers=()):
        if values and values["learning_rate"] > 0.002:
            raise TrainingError("5 steps in a row were not finite")
        return plain_train(self, values, observers)

    monkeypatch.setattr(trial.Workbench, "train", train)
    found = elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=8)
    failed = [one for one in found.trials if one.state == "failed"]
    assert 0 < len(failed) < 7 and all("not finite" in one.reason for one in failed)
    assert all(one.values["learning_rate"] > 0.002 for one in failed)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_where_every_trial_fails_one_message_says_why(error, data, monkeypatch, tmp_path):
    def train(self, values, observers=()):
        raise error

    monkeypatch.setattr(trial.Workbench, "train", train)
    with pytest.raises(TrainingError, match=r"no trial came to a score .*memory"):
        elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=2)


def test_an_error_that_nobody_knows_is_not_taken_for_a_failed_trial(data, monkeypatch, tmp_path):
    def train(self, values, observers=()):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(trial.Workbench, "train", train)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=2)


class Reported:
    """Stands for Optuna's trial, and notes what it is told."""

    def __init__(self) -> None:
        self.rungs: list[tuple[int, float]] = []

    def report(self, value: float, rung: int) -> None:
        self.rungs.append((rung, value))

    def should_prune(self) -> bool:
        return True


def rungs_of(epochs: int, *, may_prune: bool) -> list[tuple[int, float]]:
    from elman.training.plan import Plan, Progress

    told = Reported()
    observer = trial.Rungs(told, "loss", may_prune=may_prune, watch=lambda: None)
    observer.on_start(Progress(), Plan(epochs=epochs), 1)
    for epoch in range(1, epochs + 1):
        observer.on_epoch({"epoch": epoch, "valid": {"loss": float(epoch)}}, {}, False)
    return told.rungs


@pytest.mark.parametrize("epochs", [1, 3, 10, 17, 40])
def test_every_training_is_reported_at_each_tenth_of_its_length(epochs):
    rungs = rungs_of(epochs, may_prune=False)
    assert [rung for rung, _ in rungs] == list(range(1, 11))
    for rung, epoch in rungs:
        assert 10 * (epoch - 1) // epochs < rung <= 10 * epoch // epochs


def test_a_hopeless_trial_is_stopped_and_the_recipes_own_never():
    with pytest.raises(trial.Pruned):
        rungs_of(20, may_prune=True)
    assert len(rungs_of(1, may_prune=True)) == 10  # at its end nothing is left to save


# What is shown


def test_the_page_stands_alone_and_shows_strings_without_running_them(found, tmp_path):
    page = (found.folder / "tune.html").read_text()
    assert "default-src 'none'" in page and not re.search(r"<(script|link|img)[^>]* (src|href)=", page)
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page)[1])
    assert {"history", "slice-0"} <= set(charts)
    assert charts["history"]["level"]["y"] == found.default.score


def test_names_in_the_page_are_escaped(tmp_path, data):
    out = tmp_path / "<img src=x>"
    elman.tune(**FAST, train=str(data), out=out, trials=1)
    page = (out / "tune.html").read_text()
    assert "<img src=x>" not in page and "&lt;img src=x&gt;" in page


def test_the_command_shows_the_best_beside_the_recipe(data, tmp_path, capsys):
    words = ["tune", *WORDS, "--train", str(data), "--out", str(tmp_path / "out"), "--trials", "9"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "as the recipe chooses" in out and "what mattered" in out and "tune.html" in out
    assert all(f"trial {number} of 9: " in err for number in range(9))
    kept = json.loads((tmp_path / "out" / "trials.json").read_text())
    assert [one["number"] for one in kept["trials"]] == list(range(9))
    assert kept["importances"] == {} or abs(sum(kept["importances"].values()) - 1) < 1e-9


def test_the_best_trials_fit_the_terminal(found):
    text = told.best_table(found.trials, found.search, 60)
    assert all(len(line) <= 60 for line in text.splitlines())
    rows = [line.split(maxsplit=2)[0] for line in text.splitlines()[1:] if line[2] != " "]
    assert rows == [str(one.number) for one in told.ranked(found.trials, found.search)[: len(rows)]]
    wide = told.best_table(found.trials, found.search, 1000)
    assert text.split() == wide.split()


def test_the_values_of_a_setting_stand_in_their_order(found):
    charts = search_charts(found.search, found.trials, {})
    for place, dimension in enumerate(found.search.space):
        if dimension.choices and f"slice-{place}" in charts:
            [marks] = charts[f"slice-{place}"]["traces"]
            met = list(dict.fromkeys(marks["x"]))
            assert met == [str(choice) for choice in dimension.choices if str(choice) in met]
            pairs = {
                (str(one.values[dimension.name]), one.score) for one in found.trials if one.state == "done"
            }
            assert set(zip(marks["x"], marks["y"], strict=True)) == pairs


def test_the_folder_of_a_search_is_no_run_and_names_the_best(found, capsys):
    assert main(["info", str(found.folder)]) == 1
    assert f"name its best run: {found.folder / 'best'}" in capsys.readouterr().err


def test_a_setting_that_alone_decides_matters_most(tmp_path):
    space = [Dimension("dropout", 0.3, 0.0, 0.6), Dimension("input_dropout", 0.3, 0.0, 0.6)]
    searched = study.Study(tmp_path / JOURNAL, space, larger_is_better=False, seed=0)
    while (drawn := searched.ask(40)) is not None:
        searched.finish(drawn, (drawn.params["dropout"] - 0.1) ** 2)
    shares = searched.importances()
    assert shares["dropout"] > shares["input_dropout"]
    assert abs(searched.best().values["dropout"] - 0.1) < 0.1


def test_of_trials_that_all_score_alike_nothing_matters(tmp_path):
    space = [Dimension("dropout", 0.3, 0.0, 0.6)]
    searched = study.Study(tmp_path / JOURNAL, space, larger_is_better=True, seed=0)
    while (drawn := searched.ask(20)) is not None:
        searched.finish(drawn, 0.5 if drawn.number > 10 else 0.25)
    assert searched.importances()
    searched = study.Study(tmp_path / "alike.jsonl", space, larger_is_better=True, seed=0)
    while (drawn := searched.ask(20)) is not None:
        searched.finish(drawn, 0.5)
    assert searched.importances() == {}


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


def test_a_test_part_in_memory_is_to_be_given_again(tmp_path):
    rows, held = mood_rows(30), mood_rows(9, seed=1)
    elman.tune(**FAST, train=rows, test=held, out=tmp_path / "out", trials=1)
    with pytest.raises(DataError, match="its test data were rows in memory"):
        elman.tune(resume=tmp_path / "out", train=rows)
    found = elman.tune(resume=tmp_path / "out", train=rows, test=held, trials=2)
    assert len(found.trials) == 2 and "accuracy" in found.run.result["test"]


def test_the_best_run_stays_where_a_search_is_resumed_from_another_folder(
    data, monkeypatch, tmp_path, capsys
):
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("mood.csv", "copy.csv"):
        (tmp_path / name).write_bytes(data.read_bytes())
    first = elman.tune(**FAST, train="mood.csv", out="out", trials=1)
    made = (first.folder / "best" / "model.safetensors").stat().st_mtime_ns
    monkeypatch.chdir(tmp_path / "else")
    capsys.readouterr()
    elman.tune(resume="../out", train="../mood.csv")
    assert (tmp_path / "out" / "best" / "model.safetensors").stat().st_mtime_ns == made
    assert "replaced" not in capsys.readouterr().err
    elman.tune(resume="../out", train="../copy.csv")
    assert "other data were given: the former best run is replaced" in capsys.readouterr().err


def test_an_interrupted_training_of_the_best_is_gone_on_with(data, monkeypatch, tmp_path):
    def train_run(*arguments, **more):
        raise Interrupted("stopped", 15)

    with monkeypatch.context() as patch:
        patch.setattr(tune, "train_run", train_run)
        with pytest.raises(Interrupted, match=r"elman.tune\(resume=") as stop:
            elman.tune(**FAST, train=str(data), out=tmp_path / "out", trials=2)
    assert stop.value.exit_code == 143
    assert elman.tune(resume=tmp_path / "out").run.result["valid"]
