"""COMPARISON: runs side by side, finished or not, on the terminal, as JSON and as a page."""

import json

import pytest
from report_data import HOSTILE
from tiny import mood_rows

import elman
from elman.cli import main
from elman.comparison import Comparison, compare
from elman.comparison_page import make_charts, make_page
from elman.errors import CheckpointError, ConfigError, RunError
from elman.run_folder import FORMAT

METRIC = {"classify": "accuracy", "regress": "rmse"}


def write_run(
    folder, *, task="classify", valid=None, test=None, epochs=3, finished=True, data=None, **chosen
):
    """A run folder as far as a comparison reads it."""
    folder.mkdir(parents=True)
    metric = METRIC[task]
    chosen = {"task": task, "epochs": epochs, "out": str(folder), "cell": "gru", **chosen}
    config = {"format": FORMAT, "settings": chosen, "chosen": chosen, "versions": {"torch": "2"}}
    config["data"] = data or {"train": {"examples": 1200, "sha256": "a"}, "test": {"sha256": "t"}}
    (folder / "config.json").write_text(json.dumps(config))
    rows = [
        {"epoch": epoch, "train": {"loss": 1 / epoch}, "valid": {"loss": 2 / epoch, metric: epoch / 10}}
        for epoch in range(1, epochs + 1 if finished else 2)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    speeds = [100, 300, 200]
    timing = [{"epoch": place, "sequences_per_second": speed} for place, speed in enumerate(speeds, 1)]
    (folder / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in timing))
    if finished:
        result = {"metric": metric, "parameters": 12345, "seconds": 83.0, "best": {"epoch": 2}}
        for part, value in (("valid", valid), ("test", test)):
            if value is not None:
                result[part] = {metric: value, "loss": 0.5, "baseline": {"name": "bag", metric: 0.5}}
        (folder / "result.json").write_text(json.dumps(result))
    return str(folder)


@pytest.fixture
def pair(tmp_path):
    return (
        write_run(tmp_path / "one", valid=0.7, test=0.8, seed=1),
        write_run(tmp_path / "two", valid=0.75, test=0.75, cell="lstm", seed=1),
    )


def lines(text):
    return {line.split("  ")[1].strip(): line for line in text.splitlines() if line.startswith("  ")}


def test_settings_that_differ_are_shown_and_no_others(pair):
    assert compare(*pair).differing_settings() == {"cell": ["gru", "lstm"]}


def test_the_best_of_each_line_is_marked_and_named(pair):
    shown = compare(*pair)
    assert shown.verdict() == "A leads: accuracy on the test part 80.00 %, 5.00 points better than B."
    rows = {row.name: row for row in shown.score_rows("test")}
    assert rows["accuracy"].values == ["80.00 %", "75.00 %"] and rows["accuracy"].best == (0,)
    assert rows["its baseline"].values == ["50.00 %", "50.00 %"]
    assert rows["loss"].best == ()
    assert {row.name: row.best for row in shown.score_rows("valid")}["accuracy"] == (1,)


def test_of_errors_the_smaller_is_the_better(tmp_path):
    folders = [
        write_run(tmp_path / str(place), task="regress", test=value, valid=value)
        for place, value in enumerate([3.0, 2.0, 5.0])
    ]
    shown = compare(*folders)
    assert shown.verdict() == "B leads: rmse on the test part 2.0000, 1 better than A."
    assert next(row for row in shown.score_rows("test") if row.name == "rmse").best == (1,)


def test_sizes_and_speed_are_those_of_the_run(pair):
    rows = {row.name: row.values for row in compare(*pair).size_rows()}
    assert rows["parameters"] == ["12,345", "12,345"]
    assert rows["sequences a second"] == ["200", "200"], "the median of 100, 300 and 200"
    assert rows["time"] == ["1:23", "1:23"]
    assert rows["training examples"] == ["1,200", "1,200"]


def test_a_run_without_test_part_and_an_unfinished_one_are_shown_as_such(tmp_path, pair):
    bare = write_run(tmp_path / "bare", valid=0.9)
    going = write_run(tmp_path / "going", finished=False, epochs=5)
    shown = compare(*pair, bare, going)
    states = {row.name: row.values for row in shown.size_rows()}["state"]
    assert states == ["finished", "finished", "finished", "unfinished, 1 of 5 epochs"]
    assert "C has no test part" in shown.notes
    assert "D is unfinished, 1 of 5 epochs: it has no scores yet" in shown.notes
    accuracy = next(row for row in shown.score_rows("test") if row.name == "accuracy")
    assert accuracy.values[2:] == ["–", "–"]
    assert "validation part 90.00 %" in shown.verdict(), "the part that all finished runs have"


def test_two_unfinished_runs_still_have_curves(tmp_path):
    folders = [write_run(tmp_path / name, finished=False) for name in "ab"]
    shown = compare(*folders)
    assert shown.metric == "accuracy"
    assert "Fewer than two" in shown.verdict()
    assert set(make_charts(shown)) == {"metric", "valid_loss", "train_loss"}
    assert str(shown)


def test_other_examples_are_said(tmp_path, pair):
    data = {"train": {"examples": 9}, "test": {"sha256": "other"}}
    third = write_run(tmp_path / "third", test=0.9, valid=0.9, data=data)
    assert any("test parts hold other examples" in note for note in compare(*pair, third).notes)
    assert not compare(*pair).notes


def parts(valid, test):
    return {"train": {"examples": 9}, "valid": {"sha256": valid}, "test": {"sha256": test}}


@pytest.mark.parametrize(
    ("others", "leader", "stars"),
    [
        (("v", "t"), "A leads: accuracy on the test part", {"test", "valid"}),
        (("w", "t"), "A leads: accuracy on the test part", {"test"}),
        (("v", "u"), "B leads: accuracy on the validation part", {"valid"}),
        (("w", "u"), "No run leads: the test and validation parts hold other examples", set()),
    ],
)
def test_no_run_leads_on_a_part_that_holds_other_examples(tmp_path, others, leader, stars):
    one = write_run(tmp_path / "one", valid=0.7, test=0.8, data=parts("v", "t"))
    two = write_run(tmp_path / "two", valid=0.9, test=0.6, data=parts(*others))
    shown = compare(one, two)
    assert shown.verdict().startswith(leader)
    for part, words in (("test", "test"), ("valid", "validation")):
        assert any(row.best for row in shown.score_rows(part)) == (part in stars)
        said = [note for note in shown.notes if note.startswith(f"the {words} parts hold other examples")]
        assert len(said) == (part not in stars)
    assert leader in str(shown) and leader in make_page(shown)


def test_a_run_without_scores_keeps_the_others_from_nothing(tmp_path):
    one = write_run(tmp_path / "one", valid=0.7, test=0.8, data=parts("v", "t"))
    two = write_run(tmp_path / "two", valid=0.9, test=0.6, data=parts("v", "t"))
    going = write_run(tmp_path / "three", finished=False, data=parts("other", "other"))
    assert compare(one, two, going).verdict().startswith("A leads")


def test_seeds_that_split_the_data_in_another_way_name_no_leader(tmp_path):
    for seed in (0, 1):
        elman.train(
            task="classify", train=mood_rows(60), hidden_size=4, epochs=1, threads=1, seed=seed,
            out=str(tmp_path / str(seed)),
        )  # fmt: skip
    shown = elman.compare(tmp_path / "0", tmp_path / "1")
    assert shown.verdict().startswith("No run leads: the validation parts")
    assert "*" not in str(shown)


def test_curves_hold_every_epoch_of_every_run(pair):
    charts = make_charts(compare(*pair))
    for chart in charts.values():
        assert [trace["name"] for trace in chart["traces"]] == ["A", "B"]
        assert all(trace["x"] == [1, 2, 3] for trace in chart["traces"])
    assert charts["train_loss"]["traces"][0]["y"] == [1.0, 0.5, 1 / 3]
    assert charts["metric"]["traces"][1]["y"] == [0.1, 0.2, 0.3]


def test_runs_of_different_tasks_are_refused_in_one_message(tmp_path, pair):
    other = write_run(tmp_path / "other", task="regress", test=1.0)
    with pytest.raises(ConfigError, match=r"is of the task classify and .*other of regress"):
        compare(*pair, other)


def test_too_few_runs_and_the_same_run_twice_are_refused(pair):
    with pytest.raises(ConfigError, match="no run is named"):
        compare()
    with pytest.raises(ConfigError, match="is named twice"):
        compare(pair[0], pair[0] + "/")


def test_folders_without_a_run_and_damaged_ones_are_named(tmp_path, pair):
    with pytest.raises(RunError, match="there is no such folder"):
        compare(pair[0], tmp_path / "nothing")
    (tmp_path / "two" / "result.json").write_text('{"metric": ')
    with pytest.raises(CheckpointError, match=r"result\.json: is damaged"):
        compare(*pair)


def test_hostile_names_and_settings_are_made_safe(tmp_path):
    name = "".join(text for text in HOSTILE[:6]).replace("/", "-")[:150]
    folders = [
        write_run(tmp_path / f"{name}{place}", test=0.5, valid=0.5, input=HOSTILE[place])
        for place in range(2)
    ]
    page = make_page(compare(*folders))
    assert "<script>window.hacked" not in page
    assert "<img src=x" not in page
    assert page.count("<script") == 3, "the charts, plotly, and the drawing code"


def test_the_page_stands_alone_and_is_whole_or_not_there(tmp_path, pair):
    shown = compare(*pair)
    path = tmp_path / "compare.html"
    shown.write_page(path)
    page = path.read_text(encoding="utf-8")
    assert "default-src 'none'" in page and "Plotly" in page
    assert "http-equiv=refresh" not in page and 'src="http' not in page
    assert "--run-1: " in page, "colours that the charts name are there"
    with pytest.raises(RunError, match="cannot be written"):
        shown.write_page(tmp_path / "no" / "folder.html")


def test_the_command_prints_tables_json_or_writes_a_page(tmp_path, pair, capsys):
    assert main(["compare", *pair]) == 0
    said = capsys.readouterr().out
    assert "80.00 % *" in said and "cell" in said and said.rstrip().endswith("than B.")
    assert main(["compare", *pair, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["test"]["accuracy"] for run in found["runs"]] == [0.8, 0.75]
    assert main(["compare", *pair, "--output", str(tmp_path / "c.html")]) == 0
    assert (tmp_path / "c.html").exists()
    assert main(["compare", pair[0]]) == 2
    assert "one run is named" in capsys.readouterr().err


def test_real_runs_are_compared_by_what_they_hold(tmp_path):
    runs = [
        elman.train(
            task="classify", train=mood_rows(60), test=0.2, cell=cell, hidden_size=4, epochs=2,
            threads=1, out=str(tmp_path / cell),
        )
        for cell in ("gru", "rnn")
    ]  # fmt: skip
    shown = elman.compare(tmp_path / "gru", tmp_path / "rnn")
    assert isinstance(shown, Comparison) and not shown.notes
    assert list(shown.differing_settings()) == ["cell"]
    for run, own in zip(runs, shown.runs, strict=True):
        assert own.score("test", "accuracy") == run.result["test"]["accuracy"]
        assert own.result["parameters"] == run.info()["parameters"]
    assert str(shown)


def test_what_is_printed_is_no_wider_than_the_terminal(tmp_path, capsys, monkeypatch):
    long = {"train": "/somewhere/" + "far/" * 30, "optimizer": "x" * 40}
    runs = [
        write_run(tmp_path / f"{'run_of_many_settings_' * 5}{place}", valid=0.7, test=0.1 * place,
                  epochs=120, seed=place, **{name: f"{value}{place}" for name, value in long.items()})
        for place in range(6)
    ]  # fmt: skip
    for columns in (80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["compare", *runs]) == 0
        shown = capsys.readouterr().out
        assert max(len(line) for line in shown.splitlines()) <= columns
        for letter in "ABCDEF":
            assert f" {letter}" in shown
        assert "50.00 % *" in shown
