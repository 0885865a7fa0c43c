"""The report of predicted numbers: dots, errors and curves that are those of the predictions."""

from dataclasses import replace

import numpy as np
import pytest
from report_data import HOSTILE, make_report
from test_report import read, words

from elman.report import make_page
from elman.report.numbers import MOST_DOTS, numbers_charts
from elman.tasks.prediction import Evaluation, Measured

nan = float("nan")


def make(names=("price",), per_step=True):
    gold = [np.array([[1.0] * len(names), [nan] * len(names), [5.0] * len(names)]), np.zeros((2, len(names)))]
    predicted = [rows + 0.5 for rows in (np.nan_to_num(part) for part in gold)]
    return Evaluation({}, measured=Measured(list(names), gold, predicted, per_step))


def test_dots_and_errors_are_those_of_what_is_known():
    charts = numbers_charts(make())
    dots, line = charts["true-0"]["traces"]
    assert dots["x"] == [1, 5, 0, 0] and dots["y"] == [1.5, 5.5, 0.5, 0.5]
    assert line["x"] == line["y"] == [0, 5]
    assert sum(charts["left-0"]["traces"][0]["y"]) == 4


def test_curves_of_steps_have_gaps_where_nothing_is_known():
    charts = numbers_charts(make())
    true, said = charts["steps-0"]["traces"]
    assert true["y"] == [1, None, 5] and said["y"] == [1.5, 0.5, 5.5] and true["x"] == [1, 2, 3]
    assert "steps-0" not in numbers_charts(make(per_step=False))
    assert numbers_charts(None) == numbers_charts(Evaluation({})) == {}


def test_of_many_predictions_some_are_drawn():
    many = np.arange(3.0 * MOST_DOTS)[:, None]
    charts = numbers_charts(Evaluation({}, measured=Measured(["y"], [many], [many], False)))
    assert len(charts["true-0"]["traces"][0]["x"]) <= MOST_DOTS
    assert sum(charts["left-0"]["traces"][0]["y"]) == len(many)


def report(text=""):
    made = make_report(text)
    own = {"mae": 1.25, "rmse": 2.5, "r2": 0.5}
    names = [f"{text}price", f"{text}weight"]
    result = {"test": {"loss": 0.5, "rmse": 2.5, "per_target": dict.fromkeys(names, own)}}
    return replace(made, task="regress", metric="rmse", result=result, evaluation=make(names))


def test_the_page_shows_each_target():
    said = words(make_page(report()))
    assert "Predicted numbers" in said and "weight" in said and "1.2500" in said
    places = [attributes.get("data-chart") for _, attributes in read(make_page(report())).tags]
    assert {"true-0", "true-1", "left-1", "steps-0"} <= set(places)


@pytest.mark.parametrize("text", HOSTILE[:12])
def test_a_target_s_name_is_no_code(text):
    plain, hostile = (read(make_page(report(part))) for part in ("", text))
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in hostile.tags]
