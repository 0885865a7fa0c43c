"""The X-ray page and its figures: they hold the numbers that were measured, whatever these are."""

import dataclasses
import html
import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from report_data import HOSTILE
from torch import nn
from xray_data import make_examination, make_records, make_xray

from elman.errors import ConfigError, RunError
from elman.report import xray_figures as figures_of
from elman.report.xray import MOST_LAYERS, make_page, worst_layers, write_page
from elman.report.xray_compare import COMPARISONS, comparison, write_comparison
from elman.report.xray_marks import axis, block_means, figure, line, log_axis, log_ticks, plain, rounded, thin
from elman.report.xray_svg import curves_svg, round_numbers
from elman.report.xray_training import MOST_FRAMES, training_figures
from elman.tables import visible
from elman.xray import examine
from elman.xray.examine import Examination
from elman.xray.gates import Gate
from elman.xray.lag_norms import LagNorms
from elman.xray.layer_flow import LayerFlow
from elman.xray.parameter_flow import ParameterFlow
from elman.xray.run_xray import RunXray
from elman.xray.spectrum import LayerSpectra, Spectrum
from elman.xray.unit_map import measure_units

LARGEST_PAGE = 8_000_000


@pytest.fixture(scope="module")
def examination():
    return make_examination()


def figures_in(page):
    return json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])


def strings_in(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


# What is thinned


@given(st.integers(0, 5000), st.integers(2, 300))
def test_thinned_places_are_in_order_and_hold_the_first_and_the_last(count, most):
    places = thin(count, most)
    assert places == sorted(set(places))
    assert len(places) == min(count, most)
    if count:
        assert (places[0], places[-1]) == (0, count - 1)


@given(st.integers(1, 60), st.integers(1, 20))
def test_a_block_is_the_mean_of_its_steps(steps, most):
    values = torch.randn(2, steps, dtype=torch.float64, generator=torch.Generator().manual_seed(steps))
    middles, means = block_means(values, most)
    width = -(-steps // most)
    assert means.size(1) == len(middles) <= most
    for block, middle in enumerate(middles):
        steps_of_it = range(block * width, min((block + 1) * width, steps))
        assert middle == sum(step + 1 for step in steps_of_it) / len(steps_of_it)
        torch.testing.assert_close(means[:, block], values[:, list(steps_of_it)].mean(1))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_rounded_number_is_right_to_four_digits_and_json_can_say_it(value):
    (found,) = rounded([value])
    json.dumps(found, allow_nan=False)
    if math.isfinite(value):
        assert math.isclose(found, value, rel_tol=5.1e-4, abs_tol=5e-324)
    else:
        assert found is None


@given(st.floats(-300, 300), st.floats(0.01, 300))
def test_the_marks_of_a_logarithmic_scale_lie_on_it_and_are_few(low, length):
    marks, words = log_ticks(low, low + length)
    assert len(marks) == len(words) <= 9
    assert marks == sorted(marks)
    assert all(low <= mark <= low + length for mark in marks)


# Figures hold what was measured


def test_the_gradient_curve_is_the_mean_over_the_rows(examination):
    (flow,) = examination.layers
    drawn = figures_of.gradients([flow])["data"]
    for trace, norms in zip(drawn, flow.mean_gradient_norms.values(), strict=True):
        assert trace["x"] == list(range(1, len(norms) + 1))
        assert [value or 0.0 for value in trace["y"]] == pytest.approx(norms.tolist(), rel=1e-3)


def test_the_map_over_time_and_lag_is_the_mean_over_the_places_of_a_step(examination):
    (flow,) = examination.layers
    norms = flow.lag_norms["state"]
    (trace,) = figures_of.lag_map(flow)["data"]
    for column, step in enumerate(trace["x"]):
        for place_of_lag, lag in enumerate(trace["y"]):
            places = [
                float(norms.spectral[place, lag])
                for place in range(len(norms.steps))
                if int(norms.steps[place]) == step - 1 and not math.isnan(norms.spectral[place, lag])
            ]
            cell = trace["z"][place_of_lag][column]
            assert (cell is None) == (not places)
            if places:
                assert cell == pytest.approx(math.log10(sum(places) / len(places)), abs=0.006)


def test_the_map_of_rows_is_grey_beyond_their_ends_and_only_there(examination):
    (flow,) = examination.layers
    (trace,) = figures_of.row_map(flow)["data"]
    for row, length in enumerate(flow.lengths.tolist()):
        assert [value is None for value in trace["z"][row]] == [
            step >= length for step in range(len(trace["x"]))
        ]


def test_the_cross_stands_at_the_memory_horizon_and_nowhere_without_one():
    short, long = make_examination(nn.RNN, steps=40), make_examination(nn.RNN, steps=2)
    (flow,) = short.layers
    crosses = [trace for trace in figures_of.influence([flow])["data"] if not trace.get("showlegend", True)]
    assert [trace["x"] for trace in crosses] == [[flow.memory_horizon]]
    assert long.layers[0].memory_horizon is None
    assert all(trace.get("showlegend", True) for trace in figures_of.influence(long.layers)["data"])


def test_the_eigenvalues_are_those_of_the_weights():
    torch.manual_seed(1)
    model = nn.RNN(2, 6)
    found = examine(model, torch.randn(4, 1, 2), lambda rnn, x: rnn(x)[0].sum())
    (trace,) = figures_of.weight_spectrum(found.layers[0])["data"]
    expected = torch.linalg.eigvals(model.weight_hh_l0.detach().double())
    drawn = sorted(zip(trace["x"], trace["y"], strict=True))
    for (x, y), value in zip(drawn, sorted(expected.tolist(), key=lambda v: (v.real, v.imag)), strict=True):
        assert (x, y) == pytest.approx((value.real, value.imag), abs=1e-3)


def test_each_frame_holds_its_record():
    records = make_records(count=7)
    drawn = training_figures(records, [])
    for number, record in enumerate(records):
        frame = drawn["training-gradients"]["frames"][number]
        assert frame["name"] == str(number)
        for trace, layer in zip(frame["data"], record["layers"], strict=True):
            assert trace["y"] == pytest.approx(layer["gradient_norms"], rel=1e-3)
        (mark,) = drawn["training-loss"]["frames"][number]["data"]
        assert (mark["x"], mark["y"]) == ([record["step"]], rounded([record["loss"]]))
        bars = drawn["training-gates"]["frames"][number]["data"]
        gates = [gate for layer in record["layers"] for gate in layer["gates"].values()]
        assert bars[0]["y"] == pytest.approx([gate["mean"] for gate in gates], rel=1e-3)
        assert bars[1]["y"] == pytest.approx([gate["saturated"] for gate in gates], rel=1e-3)


def test_of_many_records_a_hundred_are_frames_the_first_and_the_last_among_them_and_that_is_said():
    xray = make_xray(records=250)
    page = make_page(xray)
    frames = figures_in(page)["training-loss"]["frames"]
    assert len(frames) == MOST_FRAMES
    assert [frames[place]["data"][0]["x"] for place in (0, -1)] == [[100], [25_000]]
    assert "Of 250 records 100 are shown" in page
    steps = re.search(r'data-steps="([^"]*)"', page)[1].split()
    assert len(steps) == MOST_FRAMES


# The page


class Marks(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_string_changes_no_element_and_no_attribute(examination, text):
    head, hostile = (make_page(make_xray(word, examination)).split("<script>")[0] for word in ("", text))
    plainly, found = Marks(head), Marks(hostile)
    assert found.tags == plainly.tags
    assert found.attributes == plainly.attributes
    ours = re.compile(r"</?(sub|sup|br|extra)>|<extra></extra>")
    for string in strings_in(figures_in(hostile + "</script>")):
        assert "<" not in ours.sub("", string)
        assert "%{x} %{customdata}" not in string or "hovertemplate" not in string


@given(st.text())
def test_a_plain_string_reads_as_it_was_written_and_holds_no_markup(text):
    found = plain(text, 10_000)
    assert "<" not in found and ">" not in found
    assert html.unescape(found) == html.unescape(html.escape(visible(text), quote=False))


def test_what_ails_the_network_is_said_with_what_mends_it(examination):
    page = Marks(make_page(make_xray("", examination)).split("<script")[0]).text
    for words in (
        "vanishing",
        "1e-9 of the gradient is left",
        "--cell lstm --init chrono --memory-steps 200",
    ):
        assert words in page


def test_a_healthy_network_is_said_to_be_so(examination):
    assert "Nothing was found" in make_page(RunXray("r", examination, []))


def test_a_page_without_layers_records_or_tokens_is_whole(tmp_path):
    write_page(RunXray("r", Examination(0.5, [], [], []), []), tmp_path / "x.html")
    assert (tmp_path / "x.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]


def test_a_page_that_cannot_be_written_is_one_message(examination, tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        write_page(RunXray("r", examination, []), tmp_path / "nowhere" / "x.html")


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_one_step_is_enough_for_a_page(kind):
    make_page(RunXray("r", make_examination(kind, steps=1, rows=1), []))


def test_numbers_that_are_not_finite_leave_gaps():
    found = make_examination(nn.RNN)
    (flow,) = found.layers
    bad = torch.full_like(flow.gradient_norms["hidden"], math.inf)
    bad[:, 0], bad[:, 1] = math.nan, 0.0
    norms = flow.lag_norms["hidden"]
    norms = dataclasses.replace(
        norms, spectral=norms.spectral * math.inf, frobenius=norms.frobenius * math.nan
    )
    flow = dataclasses.replace(flow, gradient_norms={"hidden": bad}, lag_norms={"hidden": norms})
    page = make_page(RunXray("r", dataclasses.replace(found, layers=[flow]), []))
    assert set(figures_in(page)["gradients"]["data"][0]["y"]) == {None}


def large_layer(steps, hidden, rows=8, places=64, lags=1000):
    """An LSTM layer's X-ray of the largest size that is shown in whole, of drawn numbers."""
    draw = torch.rand
    norms = LagNorms("state", torch.arange(lags), torch.zeros(places).long(), torch.arange(places) * 15,
                     *(draw(places, lags, dtype=torch.float64) for _ in range(6)), False)  # fmt: skip
    values = draw(hidden, dtype=torch.cdouble)
    spectrum = Spectrum(values, draw(hidden), 1.0, 1.0, None, None, False, "said")
    names = ("input_gate", "forget_gate", "candidate", "output_gate")
    gates = [Gate(name, draw(hidden), draw(hidden), draw(rows, steps), None) for name in names]
    spectra = LayerSpectra(
        dict.fromkeys(names, spectrum), torch.arange(8), torch.arange(8), [spectrum] * 8, draw(64)
    )
    gradients = {part: draw(rows, steps, dtype=torch.float64) for part in ("hidden", "cell")}
    lag_norms = dict.fromkeys(("state", "hidden", "cell"), norms)
    numbers = draw(steps, 1, hidden, dtype=torch.float64)
    maps = {
        part: measure_units(numbers, numbers - 0.5, torch.tensor([steps]), direction=0) for part in gradients
    }
    return LayerFlow("rnn", 0, 0, 0, "LSTM", hidden, torch.arange(rows), torch.full((rows,), steps),
                     gradients, maps, lag_norms, gates, spectra, 0.0, [])  # fmt: skip


def test_a_page_of_many_large_layers_over_a_thousand_steps_stays_small_and_says_what_it_left_out():
    layers = [dataclasses.replace(large_layer(1000, 512), layer=layer) for layer in range(10)]
    parameters = [ParameterFlow(f"weight {place}", 1.0, 0.1, 1e-4, 1e-3) for place in range(500)]
    tokens = [[f"token{place}" for place in range(1000)]] * 30
    saliency = torch.randn(30, 1000).tolist()
    attention = [torch.rand(1000, 1000).tolist()] * 2
    xray = RunXray("large", Examination(1.0, layers, parameters, []), [], tokens, saliency, attention)
    xray = dataclasses.replace(xray, records=make_records(count=500, layers=10))
    page = make_page(xray)
    assert len(page.encode()) < LARGEST_PAGE
    for words in ("8 of 10 layers are drawn", "400 of 1000 steps", "mean of 5 neighbouring", "The 200 of 500",
                  "the first 12 of 30 rows", "the first 400 tokens", "Of 500 records 100"):  # fmt: skip
        assert words in page


def test_of_many_layers_those_that_forget_first_have_figures():
    flow = make_examination(nn.RNN, steps=40).layers[0]
    forgets = [dataclasses.replace(flow, layer=layer) for layer in range(MOST_LAYERS)]
    keeps = dataclasses.replace(make_examination(nn.RNN, steps=2).layers[0], layer=99)
    assert worst_layers([keeps, *forgets]) == list(range(1, MOST_LAYERS + 1))


# Several networks


def test_networks_are_compared_in_one_figure_each(tmp_path):
    kinds = {"a": nn.RNN, "b": nn.LSTM}
    xrays = [
        RunXray(name, make_examination(kind, steps=9 + len(name)), [], loss_curve=[(1, 2.0), (2, 1.0)])
        for name, kind in kinds.items()
    ]
    for name in COMPARISONS:
        named = [
            trace["name"][0] for trace in comparison(xrays, name)["data"] if trace.get("showlegend", True)
        ]
        assert named == ["a", "b"], name
    shares = comparison(xrays, "gradients")["data"]
    for trace, xray in zip(shares, xrays, strict=True):
        norms = xray.examination.layers[0].mean_gradient_norms["hidden"]
        assert trace["y"] == pytest.approx((norms / norms.max()).tolist(), rel=1e-3)
        assert trace["x"][-1] == 0
    write_comparison(xrays, tmp_path / "both.html")
    assert set(figures_in((tmp_path / "both.html").read_text(encoding="utf-8"))) == set(COMPARISONS)


def test_a_figure_that_is_not_there_is_one_message():
    with pytest.raises(ConfigError, match="expected one of gradients"):
        comparison([], "gradient")


def test_a_picture_of_curves_is_xml_with_a_line_for_each_network_at_its_numbers():
    text = HOSTILE[1]
    drawn = figure([line(text, [0, 10], [1.0, 0.01])], axis("step"), log_axis("norm", [1.0, 0.01]))
    root = ElementTree.fromstring(curves_svg(drawn, text))
    tags = [element.tag.split("}")[1] for element in root.iter()]
    assert "script" not in tags
    assert text in "".join(root.itertext())
    (curve,) = [element for element in root.iter() if element.tag.endswith("polyline")]
    (x0, y0), (x1, y1) = (map(float, spot.split(",")) for spot in curve.get("points").split())
    (low, high), (left, right, bottom) = drawn["layout"]["yaxis"]["range"], (76, 624, 314)
    assert (x0, x1) == (left, right)
    top = bottom - (bottom - y0) * (high - low) / (0 - low)
    assert y1 == pytest.approx(bottom - (bottom - top) * (-2 - low) / (high - low), abs=0.2)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_the_marks_of_a_picture_lie_on_its_axis_and_are_few(low, length):
    marks = round_numbers(low, low + length)
    assert 3 <= len(marks) <= 11
    assert all(low - 1e-6 * length <= mark <= low + length * (1 + 1e-6) for mark in marks)


def test_the_map_of_estimates_is_the_influence_since_the_spectral_norm_has_gaps():
    found = make_examination(nn.GRU, hidden=130, steps=6, rows=2)
    (flow,) = found.layers
    norms = flow.lag_norms["hidden"]
    assert not norms.is_exact
    (trace,) = figures_of.lag_map(flow)["data"]
    assert trace["colorbar"]["title"]["text"] == "influence"
    shares = (norms.frobenius[:, 1] / norms.frobenius[:, 0])[norms.steps + 1 == trace["x"][0]]
    assert trace["z"][1][0] == pytest.approx(math.log10(shares.nanmean()), abs=0.006)
    assert trace["z"][0] == pytest.approx([0.0] * len(trace["x"]))
