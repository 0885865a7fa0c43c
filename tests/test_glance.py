"""A glance says what an examination says, of the same rows, and leaves everything as it was."""

import pytest
import torch
from torch import nn

import elman
from elman.xray import examine
from elman.xray.glance import glance, spectral_radius

LENGTHS = torch.tensor([9, 4, 1, 7])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def padded_loss(layer, x):
    return layer(x, lengths=LENGTHS)[0].sin().square().sum()


def last_loss(layer, x):
    return layer(x)[0][-1].square().sum()


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_glance_and_an_examination_agree(kind, layers, both):
    layer = getattr(elman.nn, kind)(3, 5, layers, bidirectional=both, batch_first=True)
    x = torch.randn(4, 9, 3)
    brief, whole = glance(layer, x, padded_loss), examine(layer, x, padded_loss, places=2)
    assert brief.loss == pytest.approx(whole.loss)
    assert [(one.layer, one.direction) for one in brief.layers] == [
        (one.layer, one.direction) for one in whole.layers
    ]
    for one, flow in zip(brief.layers, whole.layers, strict=True):
        norms = torch.stack(list(flow.gradient_norms.values())).norm(dim=0)
        for step, value in zip(one.steps.tolist(), one.gradient_norms.tolist(), strict=True):
            rows = (step < LENGTHS).nonzero()[:, 0]
            place = torch.full_like(rows, step) if flow.direction else LENGTHS[rows] - 1 - step
            assert value == pytest.approx(float(norms[rows, place].mean()), rel=1e-4)
        for gate in flow.gates:
            assert one.gates[gate.name][0] == pytest.approx(float(gate.mean.mean()), rel=1e-4)
            assert one.gates[gate.name][1] == pytest.approx(gate.saturated_share)
        block = flow.spectra.recurrent["hidden" if kind == "RNN" else "candidate"]
        assert one.spectral_radius == pytest.approx(block.radius, rel=0.02)
    for parameter in whole.parameters:
        assert brief.parameters[parameter.name] == pytest.approx(
            (parameter.gradient_norm, parameter.weight_norm), rel=1e-4
        )


def test_the_horizon_of_a_scaled_rotation_is_exact():
    layer = nn.RNN(2, 2, nonlinearity="relu")
    for parameter in layer.parameters():
        parameter.data.abs_()
    layer.weight_hh_l0.data = torch.tensor([[0.0, 0.5], [0.5, 0.0]])
    found = glance(layer, torch.rand(20, 3, 2), last_loss).layers[0]
    assert found.horizon == 7  # 0.5^7 < 0.01 < 0.5^6
    assert found.spectral_radius == pytest.approx(0.5, rel=0.01)
    assert glance(layer, torch.rand(7, 3, 2), last_loss).layers[0].horizon is None
    want = found.gradient_norms[0] * 0.5 ** torch.arange(20.0)
    assert found.gradient_norms.max() == found.gradient_norms[0]
    assert (found.gradient_norms < 3 * want).all() and (found.gradient_norms > want / 3).all()


def test_long_rows_are_told_of_at_64_steps():
    found = glance(nn.GRU(2, 3), torch.randn(200, 2, 2), last_loss).layers[0]
    assert len(found.steps) == len(found.gradient_norms) == 64
    assert found.steps[0] == 0 and found.steps[-1] == 199


@pytest.mark.parametrize("size", [1, 5, 60])
def test_spectral_radius_is_that_of_the_eigenvalues(size):
    matrix = torch.randn(size, size)
    want = float(torch.linalg.eigvals(matrix).abs().max())
    assert spectral_radius(matrix) == pytest.approx(want, rel=0.02)
    assert spectral_radius(torch.zeros(size, size)) == 0
    assert spectral_radius(torch.triu(torch.ones(5, 5), 1)) == 0


def test_a_glance_leaves_model_gradients_and_random_state_alone():
    model = nn.GRU(2, 3, 2, dropout=0.5)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    glance(model, torch.randn(6, 2, 2, generator=torch.Generator()), last_loss)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training and all(value.grad is None for value in model.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_chaotic_networks_are_looked_at_too():
    layer = nn.RNN(2, 64)
    layer.weight_hh_l0.data *= 50
    assert glance(layer, torch.randn(50, 2, 2), last_loss).layers[0].gates["hidden"][1] > 0.5
