"""Results on a terminal: a forecast's picture, a sequence that was written."""

import pytest

from elman import terminal
from elman.tables import sparkline
from elman.tasks.prediction import Prediction


def picture(steps, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    values = [float(step % 7) for step in range(3 * steps)]
    times = [str(step) for step in range(steps)]
    said = Prediction("sales", values[2 * steps :], timestamps=times, history=values[: 2 * steps])
    return terminal.forecast_picture(said).splitlines(), sparkline(values)


@pytest.mark.parametrize("steps", [1, 3, 26, 48, 76, 200])
def test_the_picture_of_a_forecast_keeps_to_the_width_and_shows_every_step(steps, monkeypatch):
    lines, bars = picture(steps, monkeypatch)
    assert max(map(len, lines)) <= 80
    drawn = "".join(line.strip() for line in lines[1:-1])
    assert drawn.split(terminal.PARTING)[1] == bars[2 * steps :]


def test_where_a_forecast_begins_is_not_said_by_colour_alone(monkeypatch):
    lines, bars = picture(7, monkeypatch)
    assert lines[0] == "  sales: 14 steps of history | the forecast"
    assert lines[1] == f"  {bars[:14]} | {bars[14:]}"


def test_a_written_sequence_that_is_empty_is_told():
    said = Prediction("abc", "", score=-2.0, n_best=[{"prediction": "", "score": -2.0}])
    assert "(nothing)" in terminal.one_prediction(said)
    assert "(nothing)" in terminal.one_prediction(Prediction("abc", "", score=-2.0))
    assert "→  (nothing)" in terminal.against_gold(said, "cba")
