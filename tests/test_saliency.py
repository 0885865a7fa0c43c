"""What the input did for one number of the output: complete, and exact where the network is linear."""

import pytest
import torch
from test_examine import CASES, make_case
from torch import nn

from elman.errors import ConfigError, ShapeError
from elman.xray.saliency import attribute

OUTPUTS = {
    "classifier": lambda model, batch: model(batch["text"], batch["lengths"])[0, 1],
    "tagger": lambda model, batch: model(batch[0])[-1, 2],
    "seq2seq by layer": lambda model, batch: model(*batch)[0, -1, 3],
    "seq2seq by cell": lambda model, batch: model(*batch)[0, -1, 3],
}


@pytest.mark.parametrize("name", CASES)
def test_integrated_gradients_sum_to_the_difference_of_the_outputs(name):
    model, batch, _ = make_case(name)
    model.double().train()
    found = attribute(model, batch, OUTPUTS[name])
    assert model.training
    model.eval()
    assert found.output == pytest.approx(float(OUTPUTS[name](model, batch).detach()))
    total = float(found.integrated_gradients.sum())
    assert total == pytest.approx(found.output - found.baseline_output, rel=1e-3)
    assert found.gap == pytest.approx(total - (found.output - found.baseline_output), abs=1e-12)
    assert found.output != pytest.approx(found.baseline_output)


def test_other_rows_and_padding_have_no_part_in_a_rows_output():
    model, batch, _ = make_case("classifier")
    found = attribute(model, batch, OUTPUTS["classifier"])
    assert found.lengths.tolist() == [4, 7, 1]
    assert found.by_step[0, :4].all()
    assert not found.by_step[0, 4:].any() and not found.by_step[1:].any()


def test_a_step_that_comes_later_has_no_part_in_an_earlier_output():
    layer = nn.GRU(2, 3)
    found = attribute(layer, torch.randn(5, 1, 2), lambda net, x: net(x)[0][2, 0, 1])
    assert found.by_step[0, :3].all() and not found.by_step[0, 3:].any()


def test_of_a_linear_network_both_are_weight_times_input():
    layer = nn.RNN(2, 1, nonlinearity="relu", bias=False).double()
    layer.weight_ih_l0.data = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    layer.weight_hh_l0.data = torch.tensor([[0.5]], dtype=torch.float64)
    x = torch.rand(4, 1, 2, dtype=torch.float64)
    found = attribute(layer, x, lambda net, x: net(x)[0][-1, 0, 0])
    want = x * layer.weight_ih_l0.detach() * 0.5 ** torch.arange(3, -1, -1).reshape(4, 1, 1)
    torch.testing.assert_close(found.gradient_times_input, want.transpose(0, 1), atol=1e-12, rtol=0)
    torch.testing.assert_close(found.integrated_gradients, want.transpose(0, 1), atol=1e-12, rtol=0)


def test_a_layer_can_be_chosen_by_name():
    model, batch, _ = make_case("seq2seq by cell")
    found = attribute(model.double(), batch, OUTPUTS["seq2seq by cell"], layer="decoder")
    assert found.layer == "decoder" and found.by_step.shape == (3, 5)
    assert float(found.by_step.sum()) == pytest.approx(found.output - found.baseline_output, rel=1e-3)


@pytest.mark.parametrize(
    ("output", "layer", "error", "words"),
    [
        (lambda net, x: net(x)[0], None, ShapeError, "expected one number"),
        (lambda net, x: net(x)[0].sum().detach(), None, ConfigError, "no gradient"),
        (lambda net, x: net(x)[0].sum(), "rnn", ConfigError, "no recurrent layer is called 'rnn'"),
        (lambda net, x: x.sum(), None, ConfigError, "calls none"),
    ],
)
def test_what_cannot_be_attributed_is_said_in_one_message(output, layer, error, words):
    net = nn.RNN(2, 2)
    with pytest.raises(error, match=words):
        attribute(net, torch.ones(3, 1, 2), output, layer=layer)
    assert not net._forward_pre_hooks
