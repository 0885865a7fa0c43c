"""Additive attention: a weighted mean of the steps, the weights computed from the steps themselves.

Shape legend: B batch, T time.
"""

import torch
from torch import Tensor, nn

from elman.padded import Padded


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return softmax over the last dimension, among what the mask lets through.

    Args:
        scores: any shape.
        mask: True where a score counts; of the same shape, or one that expands to it.

    Returns:
        Weights that sum to 1 over True places and are exactly 0 elsewhere; all 0 where nothing is True.

    Example:
        >>> masked_softmax(torch.tensor([[1., 1., 9.]]), torch.tensor([[True, True, False]]))
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    if scores.size(-1) == 0:
        return scores
    hidden = torch.where(mask, scores, -torch.inf)
    # A row without a true place has the maximum -inf; zero in its stead keeps -inf - -inf (NaN) out.
    peak = hidden.amax(-1, keepdim=True).detach()
    exponentials = torch.exp(hidden - torch.where(peak == -torch.inf, 0.0, peak))
    total = exponentials.sum(-1, keepdim=True)
    return exponentials / torch.where(total == 0, 1.0, total)


class AdditiveAttention(nn.Module):
    """Score each step by a small network, and give the mean of the steps weighted by the scores' softmax.

    ``e_t = v . tanh(W key_t + b [+ U query])``, ``a = softmax(e)`` over real steps,
    ``context = sum_t a_t key_t``

    Args:
        key_size: features of a step.
        attention_size: units of the small network.
        query_size: features of the query; None for attention without one, where what to look for is learnt.

    Source: Bahdanau et al. 2015, section 3.1 and appendix A.1.2 (keys and query are their h_j and s_i-1).
    Without a query: Yang et al. 2016, Hierarchical attention networks, eq. 5-7.

    Example:
        >>> attention = AdditiveAttention(4, 8)
        >>> context, weights = attention(Padded(torch.ones(2, 3, 4), torch.tensor([3, 0])))
        >>> context.shape, weights.sum(1).tolist()
        (torch.Size([2, 4]), [1.0, 0.0])
    """

    def __init__(self, key_size: int, attention_size: int, *, query_size: int | None = None) -> None:
        super().__init__()
        self.from_keys = nn.Linear(key_size, attention_size)
        self.from_query = nn.Linear(query_size, attention_size, bias=False) if query_size else None
        self.score = nn.Linear(attention_size, 1, bias=False)

    def forward(self, keys: Padded, query: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the context [B, key_size] and the weights [B, T]; both zero for rows of length zero.

        Args:
            keys: Padded *[B, T, key_size]*.
            query: *[B, query_size]*, where the attention was made for one.
        """
        keys = keys.masked()
        summed = self.from_keys(keys.data)
        if self.from_query is not None and query is not None:
            summed = summed + self.from_query(query).unsqueeze(1)
        weights = masked_softmax(self.score(torch.tanh(summed)).squeeze(-1), keys.mask)
        return torch.bmm(weights.unsqueeze(1), keys.data).squeeze(1), weights
