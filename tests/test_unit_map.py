"""Maps over time and units, held to autograd through a loop written by hand, padding left out."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_gradient_flow import KINDS, PARTS, loop_gradients, loop_kind, make, packed
from torch import nn

import elman.nn
from elman.report import xray_figures as figures_of
from elman.report.xray import make_page
from elman.xray import examine, unit_map
from elman.xray.run_xray import RunXray
from elman.xray.unit_map import MOST_STEPS, MOST_UNITS, measure_units

CLOSE = {"atol": 1e-8, "rtol": 1e-8}


def mean_over_rows(values, lengths, step):
    """The mean of [t, H] of each row at one step, over the rows that are as long."""
    return torch.stack(
        [row[step] for row, length in zip(values, lengths, strict=True) if step < length]
    ).mean(0)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
def test_the_map_of_an_elman_network_is_autograds_by_its_hidden_states(both):
    torch.manual_seed(1)
    layer = nn.RNN(3, 5, bidirectional=both, batch_first=True, dtype=torch.float64)
    x, lengths = torch.randn(4, 7, 3, dtype=torch.float64), [7, 2, 5, 5]
    states = {direction: [] for direction in range(1 + both)}
    loss = 0
    for row, length in zip(x, lengths, strict=True):
        for direction in states:
            end = "_reverse" if direction else ""
            w_ih, w_hh, b_ih, b_hh = (
                getattr(layer, name + "_l0" + end)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            h, found = torch.zeros(5, dtype=torch.float64), [None] * length
            for t in reversed(range(length)) if direction else range(length):
                h = torch.tanh(w_ih @ row[t] + b_ih + w_hh @ h + b_hh)
                h.retain_grad()
                found[t] = h
                loss = loss + (h * (1 + t) * (1 + direction)).cos().sum()
            states[direction].append(found)
    loss.backward()

    def loss_of(net, batch):
        output = nn.utils.rnn.pad_packed_sequence(net(batch)[0], batch_first=True)[0]
        time = torch.arange(1, 8).view(1, -1, 1)
        scale = torch.ones(5 * (1 + both))
        scale[5:] = 2
        real = torch.arange(7) < torch.tensor(lengths).unsqueeze(1)
        return ((output * time * scale).cos().sum(-1) * real).sum()

    batch = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    found = examine(layer, batch, loss_of)
    assert len(found.layers) == 1 + both
    for flow in found.layers:
        own = flow.unit_maps["hidden"]
        assert own.gradient.shape == own.state.shape == (7, 5)
        assert (own.steps.tolist(), own.units.tolist()) == (list(range(7)), list(range(5)))
        for t in range(7):
            here = states[flow.direction]
            squares = [[h.grad.square() for h in row] for row in here]
            want = mean_over_rows(squares, lengths, t).sqrt()
            torch.testing.assert_close(own.gradient[t], want, **CLOSE)
            want = mean_over_rows([[h.detach() for h in row] for row in here], lengths, t)
            torch.testing.assert_close(own.state[t], want, **CLOSE)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("kind", KINDS)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=2), layers=st.integers(1, 2))
def test_maps_of_every_cell_and_part_are_autograds_through_a_plain_loop(kind, both, lengths, layers):
    torch.manual_seed(len(lengths))
    layer = make(kind, layers=layers, both=both)
    rows = torch.randn(len(lengths), max(lengths), 3, dtype=torch.float64)
    weights = torch.randn(*rows.shape[:2], 16, dtype=torch.float64)
    found = examine(layer, (rows, torch.tensor(lengths), weights), packed, places=1)
    expected = loop_gradients(layer, loop_kind(kind), rows, torch.tensor(lengths), weights)
    for flow in found.layers:
        here = [states[flow.layer, flow.direction] for states in expected]
        assert list(flow.unit_maps) == list(flow.gradient_norms)
        for name, own in flow.unit_maps.items():
            part = PARTS[name]
            for t in range(max(lengths)):
                squares = [[state[part].grad.square() for state in row] for row in here]
                want = mean_over_rows(squares, lengths, t).sqrt()
                torch.testing.assert_close(own.gradient[t], want, **CLOSE)
                states = [[state[part].detach() for state in row] for row in here]
                torch.testing.assert_close(own.state[t], mean_over_rows(states, lengths, t), **CLOSE)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
def test_what_stands_in_the_padding_and_how_much_of_it_there_is_changes_nothing(both):
    torch.manual_seed(2)
    layer = elman.nn.LSTM(3, 4, 2, bidirectional=both, batch_first=True, dtype=torch.float64)
    x, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 1, 4])
    wide = torch.cat((x, 1e6 * torch.randn(3, 5, 3, dtype=torch.float64)), 1)
    for row, length in enumerate(lengths):
        wide[row, length:] = 1e6

    def loss_of(net, batch):
        return net(batch, lengths=lengths)[0].sin().sum()

    for own, other in zip(
        examine(layer, x, loss_of).layers, examine(layer, wide, loss_of).layers, strict=True
    ):
        for name, found in own.unit_maps.items():
            torch.testing.assert_close(other.unit_maps[name].gradient, found.gradient, **CLOSE)
            torch.testing.assert_close(other.unit_maps[name].state, found.state, **CLOSE)


@given(
    lengths=st.lists(st.integers(0, 3 * MOST_STEPS), min_size=1, max_size=3),
    size=st.integers(1, 3 * MOST_UNITS),
    direction=st.integers(0, 1),
    at_once=st.sampled_from([1, 1000, 2**22]),
)
def test_cells_are_means_over_all_that_is_real_in_them(lengths, size, direction, at_once):
    draw = torch.Generator().manual_seed(size)
    steps = max(lengths) + 2
    gradient, state = torch.randn(2, steps, len(lengths), size, dtype=torch.float64, generator=draw)
    own, unit_map.AT_ONCE = unit_map.AT_ONCE, at_once
    try:
        found = measure_units(gradient, state, torch.tensor(lengths), direction=direction)
    finally:
        unit_map.AT_ONCE = own
    width, across = math.ceil(max(lengths) / MOST_STEPS) or 1, math.ceil(size / MOST_UNITS)
    assert (found.steps_a_cell, found.units_a_cell) == (width, across)
    assert found.gradient.shape == found.state.shape == (len(found.steps), len(found.units))
    assert len(found.steps) <= MOST_STEPS and len(found.units) <= MOST_UNITS
    cells = [
        (0, 0),
        (len(found.steps) // 2, len(found.units) // 2),
        (len(found.steps) - 1, len(found.units) - 1),
    ]
    for cell, band in cells if max(lengths) else []:
        times = [t for t in range(cell * width, (cell + 1) * width) if t < max(lengths)]
        units = [unit for unit in range(band * across, (band + 1) * across) if unit < size]
        assert float(found.steps[cell]) == sum(times) / len(times)
        assert float(found.units[band]) == sum(units) / len(units)
        places = [
            (length - 1 - t if direction else t, row)
            for row, length in enumerate(lengths)
            for t in times
            if t < length
        ]
        values = torch.stack([state[t, row, units] for t, row in places])
        slopes = torch.stack([gradient[t, row, units] for t, row in places])
        torch.testing.assert_close(found.state[cell, band], values.mean(), **CLOSE)
        torch.testing.assert_close(found.gradient[cell, band], slopes.square().mean().sqrt(), **CLOSE)


def test_the_pictures_hold_the_numbers_and_the_page_says_what_shares_a_cell():
    torch.manual_seed(3)
    long, wide = MOST_STEPS + 1, MOST_UNITS + 4
    gradient, state = torch.randn(2, long, 1, wide, dtype=torch.float64)
    maps = {"hidden": measure_units(gradient, state, torch.tensor([long]), direction=0)}
    small = examine(nn.RNN(2, 3), torch.randn(4, 1, 2), lambda net, x: net(x)[0].sum())
    flow = dataclasses.replace(small.layers[0], unit_maps=maps)
    (drawn,) = figures_of.unit_gradients(flow)["data"]
    (mean,) = figures_of.unit_states(flow)["data"]
    # 101 cells of 2 steps, of which 2 are drawn as one; 102 cells of 2 units likewise.
    assert drawn["x"] == mean["x"] == [2.5 + 4 * place for place in range(50)] + [long]
    assert drawn["y"] == mean["y"] == [2.5 + 4 * place for place in range(51)]
    for step, unit in ((0, 0), (30, 7), (49, 50)):
        steps, units = slice(4 * step, 4 * step + 4), slice(4 * unit, 4 * unit + 4)
        want = float(gradient[steps, 0, units].square().mean().sqrt().log10())
        assert drawn["z"][unit][step] == pytest.approx(want, abs=0.006)
        assert mean["z"][unit][step] == pytest.approx(float(state[steps, 0, units].mean()), abs=0.051)
    assert mean["zmin"] == -mean["zmax"] < 0
    said = "Each cell is the mean over 4 neighbouring steps and 4 neighbouring units."
    page = make_page(RunXray("r", dataclasses.replace(small, layers=[flow]), []))
    assert page.count(said) == 2
    assert "Each cell is the mean" not in make_page(RunXray("r", small, []))
    (drawn,), (mean,) = (
        make(small.layers[0])["data"] for make in (figures_of.unit_gradients, figures_of.unit_states)
    )
    assert drawn["x"] == mean["x"] == [1, 2, 3, 4] and drawn["y"] == mean["y"] == [1, 2, 3]
    own = small.layers[0].unit_maps["hidden"]
    for step in range(4):
        column = [10 ** row[step] for row in drawn["z"]]
        assert column == pytest.approx(own.gradient[step].tolist(), rel=0.012)
        assert [row[step] for row in mean["z"]] == pytest.approx(own.state[step].tolist(), abs=0.0051)
    assert figures_of.unit_states(small.layers[0])["layout"]["yaxis"]["tickvals"] == [1, 2, 3]
