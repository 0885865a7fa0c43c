"""CHECK PADDING on modules as people write them: squeezed, sorted, time first, a list of rows, with a state."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.xray import check_padding, examine
from elman.xray.padding_probes import AMOUNT, MATES

LENGTHS = [7, 5, 4, 2]


class RunningMean(nn.Module):
    """It puts a new tensor in the place of its buffer at each call, and fills another."""

    def __init__(self):
        super().__init__()
        self.reader = nn.GRU(3, 4, batch_first=True)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("last", None)

    def forward(self, x, lengths):
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean((0, 1))
        self.last = x.detach()[:, -1]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.reader(packed)[1]


def test_a_buffer_that_the_forward_replaces_is_put_back():
    module = RunningMean()
    mean = module.mean
    check_padding(module, torch.randn(4, 7, 3), LENGTHS)
    assert module.mean is mean and not mean.any() and module.last is None
    batch = torch.randn(2, 5, 3), torch.tensor([5, 2])
    examine(module, batch, lambda model, given: model(*given).sum())
    assert module.mean is mean and not mean.any() and module.last is None


class CountsFromZero(nn.Module):
    """It makes places of the last steps out of the lengths, in their own place."""

    def __init__(self):
        super().__init__()
        self.reader = nn.GRU(3, 4, batch_first=True)

    def forward(self, x, lengths):
        lengths -= 1
        return self.reader(x)[0][torch.arange(len(x)), lengths]


def test_lengths_that_the_forward_writes_into_stay_as_they_were():
    lengths = torch.tensor(LENGTHS)
    assert check_padding(CountsFromZero(), torch.randn(4, 7, 3), lengths)
    assert lengths.tolist() == LENGTHS
