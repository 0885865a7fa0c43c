"""Truncated backpropagation cuts exactly where it says, and nowhere when the window is long enough."""

import numpy as np
import pytest
import torch
from tiny_training import TinyPattern, tiny_batches

from elman.data.batches import Encoded, collate
from elman.errors import ConfigError
from elman.training.bptt import FullBPTT, GradientRule, TruncatedBPTT


def gradients(rule: GradientRule) -> tuple[float, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    pattern, batches = TinyPattern().double().eval(), tiny_batches()
    loss = rule.backward(pattern, batches.batch(list(range(8))))
    assert not loss.requires_grad
    return loss.item(), {name: p.grad for name, p in pattern.named_parameters()}


@pytest.mark.parametrize("window", [8, 9, 1000])
def test_a_window_as_long_as_the_sequence_gives_the_full_gradient(window: int) -> None:
    full_loss, full = gradients(FullBPTT())
    loss, truncated = gradients(TruncatedBPTT(window))
    assert loss == pytest.approx(full_loss, abs=1e-12)
    for name in full:
        torch.testing.assert_close(truncated[name], full[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", [1, 3])
def test_a_shorter_window_keeps_the_loss_and_changes_the_gradient(window: int) -> None:
    full_loss, full = gradients(FullBPTT())
    loss, truncated = gradients(TruncatedBPTT(window))
    assert loss == pytest.approx(full_loss, abs=1e-12)
    assert not torch.allclose(truncated["encoder.layers.weight_hh_l0"], full["encoder.layers.weight_hh_l0"])


def test_no_gradient_reaches_tokens_before_the_last_cut() -> None:
    torch.manual_seed(1)
    pattern = TinyPattern().eval()
    # The cuts are after steps 3 and 6, and the loss is at step 7.
    batch = collate([Encoded(7, tokens=np.arange(2, 9), target=0)])
    TruncatedBPTT(3).backward(pattern, batch)
    moved = pattern.input_layer.tokens.weight.grad.abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == [8]


def test_a_window_of_no_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 step"):
        TruncatedBPTT(0)
