"""ATTENTION: a weighted mean of the steps, the weights computed from the steps and from what is looked for.

Shape legend: B batch, T time, S source time (the steps attended to), U steps that ask, K features of a key,
A features that are compared.

What depends on the keys alone is computed once, by `prepare`; `attend` then answers one query or all of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from elman.config import unknown_name
from elman.errors import ConfigError
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


@dataclass(frozen=True, eq=False)
class Memory:
    """What a decoder looks back at, prepared for every query.

    Args:
        keys [B, S, K]: the steps, zero beyond their lengths.
        compared [B, S, A]: what queries are compared with.
        mask [B, S]: True where a step is real.
    """

    keys: Tensor
    compared: Tensor
    mask: Tensor

    def select(self, rows: Tensor) -> "Memory":
        """Return the memory of these rows, in this order."""
        return Memory(self.keys[rows], self.compared[rows], self.mask[rows])


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
        memory = self.prepare(keys)
        asked = None if query is None else query.unsqueeze(1)
        context, weights = self.attend(memory, asked)
        return context.squeeze(1), weights.squeeze(1)

    def prepare(self, keys: Padded) -> Memory:
        """Return ``W key + b`` of every step, beside the steps."""
        keys = keys.masked()
        return Memory(keys.data, self.from_keys(keys.data), keys.mask)

    def attend(self, memory: Memory, query: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the contexts [B, U, K] and the weights [B, U, S] of queries [B, U, query_size]."""
        summed_BUSA = memory.compared.unsqueeze(1)
        if self.from_query is not None and query is not None:
            summed_BUSA = summed_BUSA + self.from_query(query).unsqueeze(2)
        scores_BUS = self.score(torch.tanh(summed_BUSA)).squeeze(-1)
        weights = masked_softmax(scores_BUS, memory.mask.unsqueeze(1))
        return torch.bmm(weights, memory.keys), weights


class MultiplicativeAttention(nn.Module):
    """Score each step by its product with the query through a matrix, and give the mean of the steps.

    ``e_s = query . W key_s``, ``a = softmax(e)`` over real steps, ``context = sum_s a_s key_s``

    Args:
        key_size: features of a step.
        query_size: features of the query.

    Source: Luong, Pham and Manning 2015, eq. 7 and 8, "general".

    Example:
        >>> attention = MultiplicativeAttention(4, 8)
        >>> memory = attention.prepare(Padded(torch.ones(2, 3, 4), torch.tensor([3, 1])))
        >>> context, weights = attention.attend(memory, torch.randn(2, 5, 8))
        >>> context.shape, weights[1, 0].tolist()
        (torch.Size([2, 5, 4]), [1.0, 0.0, 0.0])
    """

    def __init__(self, key_size: int, query_size: int) -> None:
        super().__init__()
        self.from_keys = nn.Linear(key_size, query_size, bias=False)

    def prepare(self, keys: Padded) -> Memory:
        """Return ``W key`` of every step, beside the steps."""
        keys = keys.masked()
        return Memory(keys.data, self.from_keys(keys.data), keys.mask)

    def attend(self, memory: Memory, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return the contexts [B, U, K] and the weights [B, U, S] of queries [B, U, query_size]."""
        scores_BUS = torch.bmm(query, memory.compared.transpose(1, 2))
        weights = masked_softmax(scores_BUS, memory.mask.unsqueeze(1))
        return torch.bmm(weights, memory.keys), weights


class FixedContext(nn.Module):
    """Look at nothing but a summary of the whole sequence: what was, before there was attention.

    ``context = [h_forward at the end; h_backward at the start]``: what each direction gave when it had read
    everything; the same context whatever is asked.

    Args:
        key_size: features of a step, the directions one after the other.
        num_directions: 1 or 2.

    Source: Cho et al. 2014, section 2.2 (their c; Sutskever, Vinyals and Le 2014 hand it over once, as the
    decoder's first state, which the decoder's bridge does here too).

    Example:
        >>> fixed = FixedContext(4, num_directions=2)
        >>> memory = fixed.prepare(Padded(torch.arange(12.0).view(1, 3, 4), torch.tensor([2])))
        >>> fixed.attend(memory, torch.zeros(1, 1, 8))[0].tolist()
        [[[4.0, 5.0, 2.0, 3.0]]]
    """

    def __init__(self, key_size: int, *, num_directions: int) -> None:
        super().__init__()
        self.forward_size = key_size // num_directions

    def prepare(self, keys: Padded) -> Memory:
        """Return the summary as the one step there is to look at."""
        keys = keys.masked()
        last, first = keys.last(), keys.data[:, 0]
        summary = torch.cat((last[:, : self.forward_size], first[:, self.forward_size :]), 1).unsqueeze(1)
        return Memory(summary, summary, torch.ones_like(summary[..., 0], dtype=torch.bool))

    def attend(self, memory: Memory, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summary for each query, [B, U, K], and weights of one, [B, U, 1]."""
        steps = query.size(1)
        return memory.keys.expand(-1, steps, -1), query.new_ones(query.size(0), steps, 1)


ATTENTIONS = ("additive", "multiplicative", "none")
"""What a decoder may look back with, by name."""


def make_attention(
    kind: str, key_size: int, query_size: int, *, num_directions: int
) -> AdditiveAttention | MultiplicativeAttention | FixedContext:
    """Return the attention of a decoder, by its name in `ATTENTIONS`.

    Raises:
        ConfigError: an unknown name.
    """
    if kind == "additive":
        return AdditiveAttention(key_size, query_size, query_size=query_size)
    if kind == "multiplicative":
        return MultiplicativeAttention(key_size, query_size)
    if kind == "none":
        return FixedContext(key_size, num_directions=num_directions)
    raise ConfigError(unknown_name("attention", kind, list(ATTENTIONS)))
