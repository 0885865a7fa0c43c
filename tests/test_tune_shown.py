"""What is shown of a search: the page, the tables in the terminal, and what mattered."""

import json
import re

import pytest
from tiny_search import FAST, WORDS, write_moods

import elman
from elman.cli import main
from elman.tuning import study, told, tune
from elman.tuning.picture import search_charts
from elman.tuning.search import JOURNAL
from elman.tuning.search_space import Dimension

pytest.importorskip("optuna", reason="the extra tune is not installed")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> tune.Tuned:
    """Return a search of ten trials."""
    folder = tmp_path_factory.mktemp("tune")
    return elman.tune(**FAST, train=str(write_moods(folder)), valid=0.3, out=folder / "found", trials=10)


def test_the_page_stands_alone_and_shows_strings_without_running_them(found, tmp_path):
    page = (found.folder / "tune.html").read_text()
    assert "default-src 'none'" in page and not re.search(r"<(script|link|img)[^>]* (src|href)=", page)
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page)[1])
    assert {"history", "slice-0"} <= set(charts)
    assert charts["history"]["level"]["y"] == found.default.score


def test_names_in_the_page_are_escaped(tmp_path):
    out = tmp_path / "<img src=x>"
    elman.tune(**FAST, train=str(write_moods(tmp_path)), out=out, trials=1)
    page = (out / "tune.html").read_text()
    assert "<img src=x>" not in page and "&lt;img src=x&gt;" in page


def test_the_command_shows_the_best_beside_the_recipe(tmp_path, capsys):
    words = [
        "tune",
        *WORDS,
        "--train",
        str(write_moods(tmp_path)),
        "--out",
        str(tmp_path / "out"),
        "--trials",
        "9",
    ]
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
