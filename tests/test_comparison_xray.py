"""`elman compare --xray`: runs looked into on the same rows, in tables, as JSON and as a page."""

import json
import shutil

import pytest
import torch
from test_report_page import CHROMIUM, Visit, browser
from tiny import mood_rows, write_csv
from torch import nn

import elman
import elman.nn
from elman.cli import main
from elman.comparison import compare
from elman.comparison_page import make_page
from elman.comparison_xray import first_step_share, xray_lines
from elman.errors import ConfigError, DataError
from elman.xray import examine
from elman.xray.diagnosis import Diagnosis
from elman.xray.run_xray import RunXray

__all__ = ["browser"]  # the fixture of the report's tests

COMMON = {"task": "classify", "hidden_size": 6, "threads": 1, "epochs": 1, "batch_size": 8}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an Elman network in two directions and an LSTM in one, trained on one file."""
    folder = tmp_path_factory.mktemp("runs")
    path = write_csv(folder / "moods.csv", mood_rows(60))
    elman.train(train=str(path), cell="rnn", bidirectional=True, out=folder / "rnn", **COMMON)
    elman.train(train=str(path), cell="lstm", bidirectional=False, out=folder / "lstm", **COMMON)
    write_csv(
        folder / "other.csv", [("the film was good", "yes"), ("the song was odd", "maybe"), ("bad", "no")]
    )
    return folder


@pytest.fixture(scope="module")
def shown(home):
    return elman.compare(home / "rnn", home / "lstm", xray=True, rows=4)


def test_both_runs_read_the_same_rows(shown):
    first, second = shown.xrays
    assert (first.run_name, second.run_name) == ("A", "B")
    assert first.tokens == second.tokens and len(first.tokens) == 4
    assert first.data == second.data == "4 of 6 examples"
    assert not any("windows" in note for note in shown.notes)


def test_the_lines_are_those_of_each_runs_own_x_ray(home, shown):
    lines = dict(xray_lines(shown.xrays))
    rows = [(" ".join(tokens), "yes") for tokens in shown.xrays[0].tokens]
    for place, name in enumerate(("rnn", "lstm")):
        flows = elman.load(home / name).xray(rows).examination.layers
        for flow in flows:
            layer = f"layer {flow.layer + 1}" + (" backward" if flow.direction else "")
            horizon = flow.memory_horizon
            longest = int(flow.lengths.max()) - 1  # every lag of rows as short as these is looked at
            want = f"over {longest} steps" if horizon is None else f"{horizon} steps"
            assert lines[f"{layer}: memory horizon"][place] == want
            weights = elman.load(home / name).model.encoder.layers
            end = "_reverse" if flow.direction else ""
            matrix = getattr(weights, f"weight_hh_l{flow.layer}{end}").detach().double()
            candidate = matrix if name == "rnn" else matrix.chunk(4)[2]
            radius = float(torch.linalg.eigvals(candidate).abs().max())
            assert lines[f"{layer}: spectral radius"][place] == f"{radius:.3g}"
    assert lines["layer 1 backward: memory horizon"][1] == "–", "the LSTM reads one way"
    assert lines["loss on these rows"] == [f"{xray.examination.loss:.4g}" for xray in shown.xrays]


def test_the_first_steps_share_is_that_of_the_largest_mean_over_the_rows_that_are_as_long():
    torch.manual_seed(0)
    layer = elman.nn.GRU(2, 3, bidirectional=True, batch_first=True)
    x, real = torch.randn(3, 6, 2), torch.tensor([6, 2, 4])
    for flow in examine(layer, x, lambda net, x: net(x, lengths=real)[0].sin().sum()).layers:
        norms, lengths = flow.gradient_norms["hidden"], flow.lengths.tolist()
        rows = [row[:length].tolist() for row, length in zip(norms, lengths, strict=True)]
        rows = [row[::-1] for row in rows] if flow.direction else rows
        means = []
        for step in range(max(lengths)):
            here = [row[step] for row in rows if step < len(row)]
            means.append(sum(here) / len(here))
        assert first_step_share(flow) == pytest.approx(means[0] / max(means), rel=1e-9)


def test_the_worst_diagnosis_is_named_and_none_where_nothing_ails():
    found = examine(nn.RNN(2, 3), torch.randn(4, 1, 2), lambda net, x: net(x)[0].sum())
    ails = [Diagnosis("vanishing", None, "", "", "", 0.9), Diagnosis("stuck", None, "", "", "", 0.2)]
    lines = dict(xray_lines([RunXray("A", found, ails), RunXray("B", found, [])]))
    assert lines["worst diagnosis"] == ["vanishing (0.90)", "none"]


def test_of_given_data_the_rows_are_taken_that_every_run_knows(home):
    shown = compare(home / "rnn", home / "lstm", xray=True, data=str(home / "other.csv"))
    assert [xray.data for xray in shown.xrays] == ["2 of 3 examples"] * 2, "no training saw the label maybe"
    assert [[row[0] for row in xray.tokens] for xray in shown.xrays] == [["the", "bad"]] * 2
    with pytest.raises(DataError, match="no row can be looked at in every run"):
        compare(home / "rnn", home / "lstm", xray=True, data=[("odd", "maybe")])


def test_data_that_are_gone_changed_or_in_memory_are_asked_for(home, tmp_path):
    folders = [tmp_path / "rnn", tmp_path / "lstm"]
    for folder in folders:
        shutil.copytree(home / folder.name, folder)
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace("moods.csv", "moved.csv"))
    with pytest.raises(DataError, match=r"A \(.*rnn\).*cannot be read again.*--data FILE"):
        compare(*folders, xray=True)
    assert compare(*folders, xray=True, data=str(home / "other.csv")).xrays
    for seed in (0, 1):
        elman.train(train=mood_rows(60), seed=seed, cell="rnn", out=tmp_path / f"seed{seed}", **COMMON)
    with pytest.raises(ConfigError, match=r"A and B were validated on other examples.*--data FILE"):
        compare(tmp_path / "seed0", tmp_path / "seed1", xray=True)
    shutil.copytree(tmp_path / "seed0", tmp_path / "again")
    with pytest.raises(DataError, match=r"were never in a file.*--data FILE"):
        compare(tmp_path / "seed0", tmp_path / "again", xray=True)


def test_what_only_an_x_ray_needs_is_refused_without_one(home):
    for wrong in ({"data": "x.csv"}, {"rows": 3}):
        with pytest.raises(ConfigError, match="--xray"):
            compare(home / "rnn", home / "lstm", **wrong)
    with pytest.raises(ConfigError, match="rows is 0"):
        compare(home / "rnn", home / "lstm", xray=True, rows=0)


def test_windows_of_a_text_are_each_runs_own_and_that_is_said(tmp_path):
    (tmp_path / "text.txt").write_text("one two three two one " * 60)
    for window in (10, 20):
        elman.train(
            task="generate", train=str(tmp_path / "text.txt"), bptt_window=window, hidden_size=4, epochs=1,
            threads=1, out=tmp_path / str(window),
        )  # fmt: skip
    shown = compare(tmp_path / "10", tmp_path / "20", xray=True, rows=2)
    assert len(shown.xrays) == 2 and any("windows of its own" in note for note in shown.notes)
    assert "read the same rows" not in make_page(shown)


def test_the_command_prints_a_table_json_and_a_page(home, tmp_path, capsys):
    pair = [str(home / "rnn"), str(home / "lstm")]
    assert main(["compare", *pair, "--xray", "--rows", "4"]) == 0
    said = capsys.readouterr().out
    for words in ("x-ray", "worst diagnosis", "layer 1: memory horizon", "layer 1 backward: spectral radius"):
        assert words in said
    assert main(["compare", *pair, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["xray"] is None
    page = tmp_path / "page.html"
    assert main(["compare", *pair, "--xray", "--rows", "4", "--json", "--output", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)["xray"]
    assert [one["letter"] for one in found] == ["A", "B"]
    assert [layer["name"] for layer in found[0]["layers"]] == ["layer 1", "layer 1 backward"]
    assert set(found[1]["layers"][0]) == {"name", "memory_horizon", "first_step_share", "spectral_radius"}
    written = page.read_text(encoding="utf-8")
    for words in ("What goes on inside", "4 of 6 examples", "layer 1: first-step gradient"):
        assert words in written
    assert main(["compare", *pair, "--data", "x.csv"]) == 2
    assert "--xray" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_page_draws_curves_and_x_rays_and_complains_of_nothing(browser, shown, tmp_path, width, height):
    shown.write_page(tmp_path / "page.html")
    with Visit(browser, tmp_path / "page.html", viewport={"width": width, "height": height}) as visit:
        for _ in range(200):
            places = visit.page.locator(".chart").count()
            if visit.page.locator(".chart:has(.main-svg)").count() == places:
                break
            visit.page.wait_for_timeout(50)
        names = visit.page.evaluate(
            "[...document.querySelectorAll('.chart')].map(place => place.dataset.chart)"
        )
        assert {"metric", "gradients", "influence", "spectrum"} <= set(names)
        assert visit.page.locator(".chart:has(.main-svg)").count() == places
        assert visit.complaints == [] and visit.requests == [(tmp_path / "page.html").as_uri()]
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
