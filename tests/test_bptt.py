"""Truncated backpropagation cuts exactly where it says, and nowhere when the window is long enough."""

import pytest
import torch
from tiny_training import TinyBatches, TinyPattern

from elman.errors import ConfigError
from elman.training.bptt import FullBPTT, GradientRule, TruncatedBPTT


def gradients(rule: GradientRule) -> tuple[float, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    pattern, batches = TinyPattern().double().eval(), TinyBatches()
    loss = rule.backward(pattern, batches.batch(list(range(8))))
    assert not loss.requires_grad
    return loss.item(), {name: p.grad for name, p in pattern.named_parameters()}


@pytest.mark.parametrize("window", [7, 8, 1000])
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
    assert not torch.allclose(truncated["lstm.weight_hh_l0"], full["lstm.weight_hh_l0"])


def test_no_gradient_reaches_tokens_before_the_last_cut() -> None:
    torch.manual_seed(1)
    pattern = TinyPattern().eval()
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6, 7]])  # cuts after steps 3 and 6; the loss is at step 7
    TruncatedBPTT(3).backward(pattern, (tokens, torch.tensor([0])))
    moved = pattern.embedding.weight.grad.abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == [7]


def test_a_window_of_no_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 step"):
        TruncatedBPTT(0)
