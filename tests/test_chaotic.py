"""Chaotic networks are plain ones: they are examined; what changes its own output is refused all the same."""

import json
import math

import pytest
import torch
from torch import nn

from elman.errors import ConfigError, TrainingError
from elman.xray import diagnose, examine
from elman.xray.glance import glance
from elman.xray.layer_record import record
from elman.xray.passes import join
from elman.xray.rerun import rerun
from elman.xray.run_xray import RunXray
from elman.xray_terminal import described

KINDS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


def every_step(layer, x):
    return layer(x)[0].square().mean()


def last_step(layer, x):
    return layer(x)[0][-1].sum()


def scaled(layer, factor):
    """Multiply a layer's recurrent weights; from about 2 on a tanh network is chaotic."""
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            weight.data *= factor
    return layer


def make(kind=nn.RNN, layers=1, two=False, *, factor=10, hidden=48):
    torch.manual_seed(0)
    return scaled(kind(1, hidden, layers, bidirectional=two), factor)


def noise(steps=120):
    return torch.randn(steps, 2, 1, generator=torch.Generator().manual_seed(1))


def quick(layer, x, loss=every_step):
    return examine(layer, x, loss, places=1, exact_up_to=8)


def gap_of(layer, x):
    """Return how far the re-run of a layer is from what it says; it may be refused."""
    return rerun(join(record(layer.eval(), x, every_step).calls)[0], torch.float64)[1]


@pytest.mark.parametrize("factor", [3, 10])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_chaotic_network_is_examined_and_its_distance_is_said(layers, two, factor):
    assert gap_of(make(layers=layers, two=two, factor=factor, hidden=64), noise(200)) > 1e-4
    found = quick(make(layers=layers, two=two, factor=factor, hidden=8), noise(200))
    assert len(found.layers) == layers * (2 if two else 1)
    for flow in found.layers:
        gap = flow.rerun_gap
        assert gap <= 0.01 or any(f"{gap:.2g}" in note and "rounding" in note for note in flow.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_chaotic_layer_is_examined(kind):
    assert gap_of(make(KINDS[kind], 2, True, factor=50), noise()) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_chaotic_layer_in_float64_is_examined(kind):
    layer = scaled(KINDS[kind](1, 48, 2, dtype=torch.float64), 20)
    assert gap_of(layer, noise(200).double()) > 0.1


@pytest.mark.parametrize("kind", ["RNN", "GRU"])
def test_gradients_of_a_chaotic_layer_are_those_at_its_own_states(kind):
    layer, x, ago = make(KINDS[kind], factor=30), noise(), 12
    flow = quick(layer, x, last_step).layers[0]
    assert flow.rerun_gap > 0.1
    state = layer(x)[0][-1 - ago].detach().unsqueeze(0).requires_grad_()
    (gradient,) = torch.autograd.grad(last_step(lambda rest: layer(rest, state), x[-ago:]), state)
    expected = gradient[0].norm(dim=-1).double()
    torch.testing.assert_close(flow.gradient_norms["hidden"][:, -1 - ago], expected, rtol=0.01, atol=0)


class Shifted(nn.RNN):
    """Says something else than its weights: from a step on, with its last state or without."""

    since, by, with_state = 0, 0.02, False

    def forward(self, *arguments):
        output, state = super().forward(*arguments)
        output = output.clone()
        output[self.since :] += self.by
        return output, state + self.by if self.with_state else state


def shifted(layers, two, *, factor=10, **how):
    layer = make(Shifted, layers, two, factor=factor)
    for name, value in how.items():
        setattr(layer, name, value)
    return layer


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("factor", [1, 3, 10])
def test_a_layer_that_changes_what_it_says_is_refused_chaotic_or_not(factor, layers, two, with_state):
    with pytest.raises(ConfigError, match="not the plain RNN_TANH"):
        quick(shifted(layers, two, factor=factor, with_state=with_state), noise())


@pytest.mark.parametrize("factor", [1, 10])
@pytest.mark.parametrize("two", [False, True])
def test_a_change_that_comes_late_is_refused_too(factor, two):
    layer = shifted(1, two, factor=factor, since=60, with_state=True)
    with pytest.raises(ConfigError, match="not the plain RNN_TANH"):
        quick(layer, noise())


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("factor", [1, 10])
def test_a_hook_that_adds_something_is_refused_chaotic_or_not(factor, layers):
    layer = make(nn.LSTM, layers, True, factor=factor)
    layer.register_forward_hook(lambda module, given, said: (said[0] + 0.02, said[1]))
    with pytest.raises(ConfigError, match="not the plain LSTM"):
        quick(layer, noise())


class Passed(nn.RNN):
    """A class of its own that changes nothing."""

    def forward(self, *arguments):
        return super().forward(*arguments)


def test_a_derived_class_that_changes_nothing_is_examined_where_that_can_be_told():
    assert gap_of(make(Passed), noise()) > 1
    assert gap_of(make(Passed, 2), noise()) > 1
    with pytest.raises(ConfigError, match="as much as rounding"):
        gap_of(make(Passed, 3, True), noise())


def rotation(layers=1):
    """Return a tanh network that stays at zero, where it is linear: each step turns, a hundredfold."""
    layer = nn.RNN(1, 2, layers, bias=False)
    turned = torch.tensor([[60.0, -80.0], [80.0, 60.0]])
    for name, weight in layer.named_parameters():
        weight.data = turned.clone() if name.startswith("weight_hh") else torch.ones_like(weight)
    return layer


@pytest.mark.parametrize("exact_up_to", [0, 128])
def test_influence_and_gradients_are_right_up_to_the_largest_number_and_infinite_beyond(exact_up_to):
    found = examine(rotation(), torch.zeros(200, 1, 1), last_step, places=200, exact_up_to=exact_up_to)
    flow = found.layers[0]
    norms, gradients = flow.lag_norms["hidden"], flow.gradient_norms["hidden"][0]
    for lag, influence in zip(norms.lags.tolist(), norms.influence.tolist(), strict=True):
        assert influence == pytest.approx(100.0**lag if lag < 154 else float("inf"), rel=0.5)
    assert not norms.spectral_low[:, [lag & (lag - 1) == 0 for lag in norms.lags.tolist()]][0].isnan().any()
    for ago in (0, 100, 153, 155, 199):
        expected = 2**0.5 * 100.0**ago if ago < 154 else float("inf")
        assert float(gradients[-1 - ago]) == pytest.approx(expected, rel=1e-6)
    assert flow.spectra.lyapunov.tolist() == pytest.approx([math.log(100)] * 2)


@pytest.mark.parametrize("exact_up_to", [0, 128])
def test_influence_beyond_all_numbers_is_an_explosion_of_severity_one(exact_up_to):
    found = examine(rotation(2), torch.zeros(200, 1, 1), last_step, places=2, exact_up_to=exact_up_to)
    ill = [one for one in diagnose(found) if one.name == "exploding"]
    assert [one.severity for one in ill] == [1, 1]
    assert all("outgrows all numbers" in one.evidence for one in ill)
    json.dumps(found.to_json(), allow_nan=False)
    assert described(RunXray("run", found, diagnose(found)))
    assert glance(rotation(2), torch.zeros(200, 1, 1), last_step).layers[0].spectral_radius > 99


def test_states_that_are_not_finite_are_said_to_be():
    layer = scaled(nn.RNN(1, 4, nonlinearity="relu"), 0)
    layer.weight_hh_l0.data.fill_diagonal_(1e6)
    layer.bias_ih_l0.data.fill_(1.0)
    with pytest.raises(TrainingError, match="not finite from step"):
        quick(layer, noise(20), lambda layer, x: layer(x)[0][0].sum())
