"""Additive attention: its equation written out, and what the mask hides."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.nn.attention import AdditiveAttention, masked_softmax
from elman.padded import Padded

EXACT = 1e-12


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 2**31))
def test_the_context_is_the_weighted_mean_of_the_equation(lengths, seed):
    torch.manual_seed(seed)
    attention = AdditiveAttention(3, 5, query_size=2).double()
    query = torch.randn(len(lengths), 2, dtype=torch.float64)
    keys = Padded(torch.randn(len(lengths), max(lengths) + 1, 3, dtype=torch.float64), torch.tensor(lengths))
    context, weights = attention(keys.masked(torch.nan), query)
    w, b = attention.from_keys.weight, attention.from_keys.bias
    u, v = attention.from_query.weight, attention.score.weight[0]
    for row, key in enumerate(keys.unpad()):
        energy = (
            torch.stack([v @ torch.tanh(w @ step + b + u @ query[row]) for step in key])
            if len(key)
            else key[:, 0]
        )
        share = torch.softmax(energy, 0)
        torch.testing.assert_close(weights[row, : len(key)], share, atol=EXACT, rtol=EXACT)
        torch.testing.assert_close(context[row], (share.unsqueeze(1) * key).sum(0), atol=EXACT, rtol=EXACT)
    assert not weights[~keys.mask].any()


def test_softmax_is_torch_s_where_nothing_is_masked():
    scores = torch.tensor([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]], dtype=torch.float64)
    everything = torch.ones(2, 3, dtype=torch.bool)
    torch.testing.assert_close(masked_softmax(scores, everything), scores.softmax(1), atol=0, rtol=EXACT)


def test_softmax_over_nothing_is_zero_and_so_is_its_gradient():
    scores = torch.tensor([[5.0, torch.nan]], requires_grad=True)
    weights = masked_softmax(scores, torch.zeros(1, 2, dtype=torch.bool))
    weights.sum().backward()
    assert weights.tolist() == [[0.0, 0.0]]
    assert scores.grad.tolist() == [[0.0, 0.0]]


def test_softmax_has_the_gradient_of_finite_differences():
    scores = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False, True], [False] * 4, [True, False, False, False]])
    assert torch.autograd.gradcheck(lambda scores: masked_softmax(scores, mask), scores)
