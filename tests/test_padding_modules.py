"""CHECK PADDING on modules as people write them: squeezed, time first, a list of rows."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.xray import check_padding, examine
from elman.xray.padding_probes import AMOUNT

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


def test_a_buffer_of_zeros_that_became_nan_is_put_back():
    class Spoiled(RunningMean):
        def forward(self, x, lengths):
            self.mean.mul_(torch.nan)
            return self.reader(x)[1]

    module, batch = Spoiled(), torch.randn(2, 5, 3)
    examine(module, batch, lambda model, x: model(x, None).sum())
    assert module.mean.tolist() == [0, 0, 0]


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


class Squeezed(nn.Module):
    """A number for each row, by a `squeeze()` that takes the row away as well where there is one alone."""

    def __init__(self, pool):
        super().__init__()
        self.reader, self.score, self.pool = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1), pool

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        steps, state = self.reader(packed)
        if self.pool == "last":
            return torch.sigmoid(self.score(state[0].squeeze()).squeeze())
        whole = pad_packed_sequence(steps, batch_first=True, total_length=x.size(1))[0]
        if self.pool == "none":
            return self.score(whole).squeeze()
        return -whole.square().sum(-1).squeeze().amin(-1)  # zeros in the padding are the least


@pytest.mark.parametrize("pool", ["last", "none"])
def test_a_squeeze_that_takes_a_lone_row_away_is_no_leak(pool):
    report = check_padding(Squeezed(pool), torch.randn(4, 7, 3), LENGTHS)
    assert report and not report.notes, str(report)


def test_a_minimum_over_padding_is_found_behind_a_squeeze():
    report = check_padding(Squeezed("least"), torch.randn(4, 7, 3), LENGTHS)
    assert {leak.cause for leak in report.leaks} == {AMOUNT}


class TimeFirst(nn.Module):
    """All that an LSTM of two layers and directions gives, as torch gives it."""

    def __init__(self):
        super().__init__()
        self.reader = nn.LSTM(3, 5, 2, bidirectional=True)

    def forward(self, x, lengths):
        steps, state = self.reader(pack_padded_sequence(x.transpose(0, 1), lengths, enforce_sorted=False))
        return pad_packed_sequence(steps), state


@pytest.mark.parametrize("lengths", [[4, 3, 2, 1], [4, 1, 1, 1], [4, 4, 4, 4]])
def test_as_many_steps_as_rows_and_layers_are_told_apart(lengths):
    report = check_padding(TimeFirst(), torch.randn(4, 4, 3), lengths)
    assert report and not any("set beside" in note for note in report.notes), str(report)


class ListOfRows(nn.Module):
    """It reads each row by itself, and gives a list of what it said of them."""

    def __init__(self, *, as_list=True, until=None):
        super().__init__()
        self.reader, self.until = nn.GRU(3, 5, batch_first=True), until
        self.as_list = as_list

    def forward(self, x, lengths):
        rows = [self.reader(x[[row], : self.until or length])[0][0] for row, length in enumerate(lengths)]
        return rows if self.as_list else tuple(row.sum() for row in rows)


def test_a_list_with_a_tensor_for_each_row_is_read_as_rows():
    report = check_padding(ListOfRows(), torch.randn(4, 7, 3), LENGTHS)
    assert report and not report.notes, str(report)


def test_a_leak_in_a_list_of_rows_is_found():
    class Sums(ListOfRows):
        def forward(self, x, lengths):
            return [row.sum(0) for row in super().forward(x, lengths)]

    report = check_padding(Sums(until=7), torch.randn(4, 7, 3), LENGTHS)
    assert {leak.cause for leak in report.leaks} == {"the content of the padding", AMOUNT}


def test_as_many_results_as_rows_are_no_error():
    assert check_padding(ListOfRows(as_list=False), torch.randn(4, 7, 3), LENGTHS).probes


class Flat(nn.Module):
    """A tagger that gives its steps one row after the other, as a loss over tokens takes them."""

    def __init__(self, *, real, both=False):
        super().__init__()
        self.reader, self.real = nn.GRU(3, 5, batch_first=True, bidirectional=both), real

    def forward(self, x, lengths):
        steps = self.reader(x)[0]
        return steps[torch.arange(x.size(1)) < lengths[:, None]] if self.real else steps.flatten(0, 1)


@pytest.mark.parametrize("real", [True, False])
def test_steps_one_row_after_the_other_are_told_apart(real):
    for lengths in (LENGTHS, [7, 7, 7, 7]):
        report = check_padding(Flat(real=real), torch.randn(4, 7, 3), torch.tensor(lengths))
        assert report and not any("set beside" in note for note in report.notes), str(report)


@pytest.mark.parametrize("real", [True, False])
def test_a_leak_among_steps_one_row_after_the_other_is_found(real):
    report = check_padding(Flat(real=real, both=True), torch.randn(4, 7, 3), torch.tensor(LENGTHS))
    assert {leak.submodule for leak in report.leaks} == {"reader"}
