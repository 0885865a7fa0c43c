"""The digits demo: the series that it writes, and a run at the end."""

import json
import sys

import pytest

from elman.cli import main
from elman.demos import digits
from elman.errors import MissingExtraError


def test_a_digit_is_a_series_of_eight_rows(tmp_path):
    digits.write_series(tmp_path / "digits.jsonl", digits.collect())
    rows = [json.loads(line) for line in (tmp_path / "digits.jsonl").read_text().splitlines()]
    assert len(rows) == 1797 and {row["digit"] for row in rows} == set("0123456789")
    assert all(len(row["rows"]) == 8 and {len(step) for step in row["rows"]} == {8} for row in rows)
    assert {type(number) for number in rows[0]["rows"][0]} == {float}


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"elman\[demo\]"):
        digits.collect()


@pytest.mark.slow
def test_digits_from_the_command_line_to_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(digits.TRAINING, "epochs", 1)
    few = digits.collect()[:200]
    monkeypatch.setattr(digits, "collect", lambda: few)
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "digits"]) == 0
    out, err = capsys.readouterr()
    assert "the model says" in out and "frame means" in out and "200 handwritten digits" in err
    assert (tmp_path / "runs" / "demo-digits" / "report.html").exists()
