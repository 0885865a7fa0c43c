"""Masks of any size: the large ones, which numpy draws, keep the rules of the small ones."""

import pytest
import torch

from elman.nn.dropout import MANY, Dropout, draw_mask

every_size = pytest.mark.parametrize("size", [MANY - 1, MANY, MANY + 1])


@every_size
@pytest.mark.parametrize("rate", [1e-17, 1e-12])
def test_a_rate_too_small_for_the_draws_drops_nothing(size, rate):
    assert draw_mask((size,), rate, torch.ones(())).min() == 1


@every_size
def test_the_seed_of_torch_says_what_is_dropped(size):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    masks = [draw_mask((size,), 0.5, torch.ones(())) for _ in range(2)]
    torch.set_rng_state(state)
    assert all(torch.equal(mask, draw_mask((size,), 0.5, torch.ones(()))) for mask in masks)
    assert not torch.equal(*masks)


@every_size
def test_rows_of_a_transformed_call_have_masks_of_their_own(size):
    made = torch.func.vmap(Dropout(0.5), randomness="different")(torch.ones(2, size))
    assert set(made.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(*made)


@every_size
def test_a_traced_call_draws_anew(size):
    traced = torch.fx.experimental.proxy_tensor.make_fx(Dropout(0.5))(torch.ones(size))
    assert not torch.equal(traced(torch.ones(size)), traced(torch.ones(size)))


@every_size
def test_masks_lie_where_the_numbers_do_whatever_the_default_device(size):
    with torch.device("meta"):
        assert draw_mask((size,), 0.5, torch.ones((), device="cpu")).is_cpu
