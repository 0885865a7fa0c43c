"""The demo of sunspots: the counts as they are shipped, and a run at the end."""

import pytest

from elman.cli import main
from elman.demos import sunspots
from elman.errors import MissingExtraError


@pytest.fixture
def counts():
    try:
        return sunspots.counts_file()
    except MissingExtraError:
        pytest.skip("statsmodels is not installed (extra: demo)")


@pytest.mark.slow
def test_sunspots_from_the_command_line_to_the_years_to_come(counts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sunspots, "TRAINING", sunspots.TRAINING | {"epochs": 1, "hidden_size": 4})
    out = tmp_path / "demo"
    assert main(["demo", "sunspots", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "2009-01-01" in shown and "2019-01-01" in shown and "seasonal naive" in shown
    assert (out / "report.html").exists()
    assert (tmp_path / "demo-data" / "sunspots.csv").read_bytes() == counts.read_bytes()


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(sunspots, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'elman\[demo\]'"):
        sunspots.counts_file()
