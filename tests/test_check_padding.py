"""CHECK PADDING: planted leaks are found and named, sound modules are cleared, nothing is left changed."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import elman
from elman.errors import ConfigError, DataError, ShapeError
from elman.padded import Padded
from elman.xray.padding import check_padding
from elman.xray.padding_probes import AMOUNT, CONTENT, MATES
from elman.xray.recorded_calls import Sizes, find_axes

LENGTHS = [6, 4, 3, 1]
COLUMNS, UNITS = 3, 4


def example(*, rows=4, steps=7, dtype=torch.float32):
    return torch.randn(rows, steps, COLUMNS, dtype=dtype)


def mask_of(x, lengths):
    return torch.arange(x.size(1)) < torch.as_tensor(lengths).unsqueeze(1)


class Reads(nn.Module):
    """A sound reader, and what comes after it."""

    def __init__(self, head=None, *, both=False):
        super().__init__()
        self.reader = elman.nn.GRU(COLUMNS, UNITS, batch_first=True, bidirectional=both)
        self.head = head

    def forward(self, x, lengths):
        steps = self.reader(x, lengths=lengths)[0]
        return steps if self.head is None else self.head(steps, lengths)


class MaxOverZeros(nn.Module):
    def forward(self, steps, lengths):
        return steps.max(1).values


class MeanOverPadding(nn.Module):
    def forward(self, steps, lengths):
        return steps.mean(1)


class Scores(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.share = nn.Linear(UNITS, 1), nn.Softmax(1)

    def forward(self, steps, lengths):
        return (steps * self.share(self.score(steps))).sum(1)


class Conv(nn.Module):
    def __init__(self, norm=False):
        super().__init__()
        self.first = nn.Linear(COLUMNS, UNITS)
        self.mix = nn.BatchNorm1d(UNITS) if norm else nn.Conv1d(UNITS, UNITS, 3, padding=1)

    def forward(self, x, lengths):
        return self.mix(self.first(x).transpose(1, 2)).transpose(1, 2)


class BackwardFromThePadding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(COLUMNS, UNITS)
        self.reader = nn.LSTM(UNITS, UNITS, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * UNITS, 2)

    def forward(self, x, lengths):
        return self.head(self.reader(self.embed(x))[0])


class FinalState(nn.Module):
    def __init__(self):
        super().__init__()
        self.reader = nn.LSTM(COLUMNS, UNITS, batch_first=True)

    def forward(self, x, lengths):
        return self.reader(x)[1][0][-1]


class LastStep(FinalState):
    def forward(self, x, lengths):
        return self.reader(x)[0][:, -1]


class LossOverAll(nn.Module):
    def __init__(self):
        super().__init__()
        self.reader = Reads()

    def forward(self, x, lengths):
        steps = self.reader(x, lengths)
        loss = (steps.square() * mask_of(x, lengths).unsqueeze(2)).mean()
        return {"loss": loss, "steps": steps}


class CentredOnTheBatch(nn.Module):
    def forward(self, steps, lengths):
        last = steps[torch.arange(len(steps)), torch.as_tensor(lengths) - 1]
        return last - last.mean(0)


class GradientOfPadding(nn.Module):
    """Values are right; what is added to them is zero, but not its gradient."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(COLUMNS, UNITS)

    def forward(self, x, lengths):
        steps = self.first(x)
        everything = steps.sum(1, keepdim=True)
        return steps + everything - everything.detach()


torch.manual_seed(0)  # a maximum over zeros does not show where every unit is above zero
PLANTED = {
    "maximum over zeros": (Reads(MaxOverZeros()), "head", {AMOUNT}),
    "mean over padding": (Reads(MeanOverPadding()), "head", {AMOUNT}),
    "softmax over padding": (Reads(Scores()), "head.share", {AMOUNT}),
    "convolution over the edge": (Conv(), "mix", {CONTENT, AMOUNT}),
    "backward from the padding": (BackwardFromThePadding(), "reader", {CONTENT, AMOUNT}),
    "final state of T": (FinalState(), "reader", {CONTENT, AMOUNT}),
    "last step of T": (LastStep(), "", {CONTENT, AMOUNT}),
    "loss over B * T": (LossOverAll(), "", {AMOUNT}),
    "centred on the batch": (Reads(CentredOnTheBatch()), "head", {MATES}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_found_and_its_submodule_named(name):
    module, submodule, causes = PLANTED[name]
    report = check_padding(module, example(), LENGTHS)
    assert not report
    assert {leak.cause for leak in report.leaks} == causes
    assert {leak.submodule for leak in report.leaks} == {submodule}
    assert all(leak.what == "values" and leak.difference > 1e-3 for leak in report.leaks)
    assert all(str(leak).rstrip().endswith(leak.remedy) for leak in report.leaks)
    assert len(str(report).splitlines()) == len(report.leaks) + len(report.notes)


def test_normalisation_over_the_batch_is_found_in_training_mode_alone():
    module = Conv(norm=True)
    assert check_padding(module, example(), LENGTHS)
    report = check_padding(module, example(), LENGTHS, training=True)
    assert {leak.submodule for leak in report.leaks} == {"mix"}
    assert {leak.cause for leak in report.leaks} == {CONTENT, AMOUNT, MATES}
    assert {leak.mode for leak in report.leaks} == {"training"}
    assert "Normalise real steps" in str(report)


def test_a_leak_of_gradients_alone_is_found():
    module = GradientOfPadding()
    report = check_padding(module, example(), LENGTHS)
    found = {(leak.what, leak.cause) for leak in report.leaks}
    assert ("gradients", CONTENT) in found
    assert all(what == "gradients" for what, _ in found)


def test_the_row_that_differs_most_is_named():
    class OneRow(nn.Module):
        def forward(self, x, lengths):
            total = torch.zeros(len(x))
            total[2] = x[2].sum()
            return total

    leaks = check_padding(OneRow(), example(), LENGTHS).leaks
    assert next(leak for leak in leaks if leak.cause == CONTENT).row == 2


# Networks of torch.nn as people write them.


class PackedClassifier(nn.Module):
    """Sound: packs, and takes the final states of both directions."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 5, padding_idx=0)
        self.reader = nn.LSTM(5, 6, num_layers=2, dropout=0.3, batch_first=True, bidirectional=True)
        self.dropout, self.head = nn.Dropout(0.5), nn.Linear(12, 3)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.reader(packed)
        return self.head(self.dropout(torch.cat([hidden[-2], hidden[-1]], 1)))


class PackedTagger(nn.Module):
    """Sound: packs, unpacks to the longest row, and wants rows sorted."""

    def __init__(self):
        super().__init__()
        self.reader, self.head = nn.GRU(COLUMNS, 6, bidirectional=True), nn.Linear(12, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x.transpose(0, 1), lengths)
        steps, counted = pad_packed_sequence(self.reader(packed)[0])
        return self.head(steps).transpose(0, 1), counted


class HopefulClassifier(nn.Module):
    """Leaks: packs, and then takes the mean over the longest row's steps."""

    def __init__(self):
        super().__init__()
        self.reader, self.head = nn.GRU(COLUMNS, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        steps, _ = pad_packed_sequence(self.reader(packed)[0], batch_first=True)
        return self.head(steps.mean(1))


def test_packed_networks_of_torch_are_cleared():
    ids = torch.randint(1, 9, (4, 7))
    report = check_padding(PackedClassifier(), ids, LENGTHS, training=True)
    assert report and not report.notes
    report = check_padding(PackedTagger(), example(), LENGTHS)
    assert report
    assert len(report.notes) == 1 and "rows in another order" in report.notes[0]


def test_a_mean_over_unpacked_steps_is_found_through_the_rows_beside_it():
    report = check_padding(HopefulClassifier(), example(), LENGTHS)
    assert [(leak.cause, leak.submodule) for leak in report.leaks] == [(MATES, "")]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", [elman.nn.RNN, elman.nn.GRU, elman.nn.LSTM])
def test_our_layers_are_cleared(kind, both):
    layer = kind(COLUMNS, UNITS, 2, batch_first=True, bidirectional=both, dropout=0.5)
    report = check_padding(layer, example(), [6, 0, 3, 1], training=True)
    assert report and not report.notes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_every_dtype_has_a_bound_that_clears_sound_networks_and_finds_leaks(dtype):
    data = example(dtype=dtype)
    assert check_padding(PackedTagger().to(dtype), data, LENGTHS)
    assert not check_padding(FinalState().to(dtype), data, LENGTHS)


def test_nan_that_spreads_is_a_note_and_no_leak():
    class Masked(nn.Module):
        def forward(self, x, lengths):
            return (x * mask_of(x, lengths).unsqueeze(2)).sum(1)

    report = check_padding(Masked(), example(), LENGTHS)
    assert report
    assert len(report.notes) == 1 and report.notes[0].startswith("with NaN in the padding the values")


def test_the_module_is_left_as_it_was():
    module = Conv(norm=True)
    module.mix.momentum = 0.5
    module.first.weight.grad = torch.ones_like(module.first.weight)
    module.train()
    module.mix.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random = torch.get_rng_state()
    with torch.no_grad():
        check_padding(module, example(), LENGTHS, training=True)
    # `example` draws before the check: compare with the state after a draw of that size.
    after = torch.get_rng_state()
    torch.set_rng_state(random)
    example()
    assert torch.equal(torch.get_rng_state(), after)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training and module.first.training and not module.mix.training
    assert torch.equal(module.first.weight.grad, torch.ones_like(module.first.weight))
    assert module.first.bias.grad is None
    assert not any(inner._forward_hooks for inner in module.modules())


def test_one_row_and_equal_lengths_say_what_they_cannot_show():
    alone = check_padding(Reads(), example(rows=1, steps=1), [1])
    assert alone and len(alone.notes) == 1 and "batch-mates" in alone.notes[0]
    equal = check_padding(Reads(), example(steps=5), [5, 5, 5, 5])
    assert equal and len(equal.notes) == 1 and "unequal length" in equal.notes[0]
    assert not check_padding(LastStep(), example(rows=1, steps=1), [1])


def test_zero_as_the_only_id_is_said():
    module = nn.Sequential(nn.Embedding(3, 2))
    module.forward = lambda x, lengths: module[0](x)
    report = check_padding(module, torch.zeros(2, 3, dtype=torch.long), [3, 1])
    assert report and any("0 is the only id" in note for note in report.notes)


def test_a_module_that_cannot_be_called_is_one_message_with_its_own_error():
    with pytest.raises(ConfigError, match=r"failed: TypeError: .*takes 2 positional") as caught:
        check_padding(nn.Linear(COLUMNS, 2), example(), LENGTHS)
    assert "\n" not in str(caught.value).strip()
    with pytest.raises(ConfigError, match="batch_first=True"):
        check_padding(elman.nn.GRU(COLUMNS, 2), example(), LENGTHS)


def test_a_module_without_tensors_or_with_chance_is_refused():
    class Nothing(nn.Module):
        def forward(self, x, lengths):
            return "no tensor"

    class Chance(nn.Module):
        def forward(self, x, lengths):
            return x + torch.rand(()) * self.training if self.quiet else x + torch.rand(())

    with pytest.raises(ConfigError, match="gave no tensor"):
        check_padding(Nothing(), example(), LENGTHS)
    noisy = Chance()
    noisy.quiet = False
    with pytest.raises(ConfigError, match="run twice in evaluation mode"):
        check_padding(noisy, example(), LENGTHS)
    noisy.quiet = True
    report = check_padding(noisy, example(), LENGTHS, training=True)
    assert report and any("draws at random in its own forward" in note for note in report.notes)


def test_wrong_examples_are_refused():
    wrong = example()
    wrong[1, 3, 0] = torch.nan
    with pytest.raises(DataError, match=r"example\[1, 3, 0\] is nan"):
        check_padding(Reads(), wrong, LENGTHS)
    wrong[1, 3, 0], wrong[1, 5, 0] = 0.0, torch.nan
    assert check_padding(Reads(), wrong, LENGTHS), "NaN in the padding of an example is no matter"
    with pytest.raises(ShapeError, match="lengths\\[0\\] is 9"):
        check_padding(Reads(), example(), [9, 4, 3, 1])
    with pytest.raises(ShapeError, match="expected a tensor"):
        check_padding(Reads(), torch.zeros(3), [1])


@pytest.mark.parametrize(
    "shape, alone, longer, rows, steps",
    [
        ((4, 7, 3), (1, 7, 3), (4, 10, 3), 0, 1),
        ((7, 4, 3), (7, 1, 3), (10, 4, 3), 1, 0),
        ((4, 3, 7), (1, 3, 7), (4, 3, 10), 0, 2),
        ((2, 4, 7), (2, 1, 7), (2, 4, 7), 1, None),
        ((4, 6, 7), (1, 1, 7), (4, 6, 7), 0, 1),
        ((4, 4, 7), (4, 1, 7), (4, 4, 7), 1, None),
        ((), (), (), None, None),
    ],
    ids=["rows first", "steps first", "channels", "state", "unpacked", "four layers", "one number"],
)
def test_axes_are_told_apart_by_what_changes(shape, alone, longer, rows, steps):
    axes = find_axes(shape, [alone], longer, Sizes(rows=4, steps=7, longest=6, alone=1, more=3))
    assert (axes.rows, axes.steps) == (rows, steps)


def test_a_padded_output_is_read():
    class Gives(nn.Module):
        def forward(self, x, lengths):
            return Padded(x.cumsum(1), lengths)

    assert check_padding(Gives(), example(), LENGTHS)


class MasksById(nn.Module):
    """Knows padding by its id alone, as many are written."""

    def __init__(self, pad):
        super().__init__()
        self.pad = pad
        self.embedding = nn.Embedding(9, 4, padding_idx=pad)
        self.reader = nn.GRU(4, 5, batch_first=True)

    def forward(self, ids, lengths):
        mask = (ids != self.pad).unsqueeze(-1)
        states = self.reader(self.embedding(ids))[0]
        return (states * mask).sum(1) / mask.sum(1)


@pytest.mark.parametrize("pad", [0, 1, 8])
def test_padding_may_be_known_by_its_id(pad):
    ids = torch.randint(2, 8, (4, 7))
    for row, length in enumerate(LENGTHS):
        ids[row, length:] = pad
    report = check_padding(MasksById(pad), ids, LENGTHS)
    assert report, str(report)
    (note,) = report.notes
    assert "other ids in the padding" in note and f"the id {pad}" in note
    wrong = MasksById(pad)
    wrong.pad = 9 - pad  # takes padding for words
    assert [leak.cause for leak in check_padding(wrong, ids, LENGTHS).leaks][:1] == ["the amount of padding"]
