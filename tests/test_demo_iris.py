"""The iris demo: the table that it writes, and a run at the end."""

import csv
import sys

import pytest

from elman.cli import main
from elman.demos import iris
from elman.errors import MissingExtraError


def test_there_are_fifty_flowers_of_each_kind(tmp_path):
    iris.write_table(tmp_path / "iris.csv", iris.collect())
    with open(tmp_path / "iris.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [*iris.COLUMNS, "species"] and len(rows) == 150
    kinds = [row[-1] for row in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {"setosa": 50, "versicolor": 50, "virginica": 50}


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"elman\[demo\]"):
        iris.collect()


@pytest.mark.slow
def test_iris_from_the_command_line_to_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(iris.TRAINING, "epochs", 2)
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "iris"]) == 0
    out, err = capsys.readouterr()
    assert "multi-layer perceptron" in out and "made-up flowers" in out and "versicolor" in out
    assert "elman train --task classify" in err
    assert (tmp_path / "runs" / "demo-iris" / "report.html").exists()
