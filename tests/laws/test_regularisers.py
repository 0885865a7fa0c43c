"""The laws of what happens inside and between the steps: dropout over time, weight drop, zoneout, layer norm.

Masks that a law needs are dealt out by `FixedMasks`, so that a row alone meets the masks that it met in its
batch. The last tests plant the usual bugs, and see the checks fail.
"""

import copy
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import Case, cases, every_case, gradients, largest_difference, parts_of
from tolerances import SAME_GRADIENT, SAME_ROW

import elman.nn
from elman.errors import ConfigError
from elman.kernels import dispatch, regularised, use
from elman.nn import Regularisation, recurrent
from elman.nn.dropout import DROPOUTS, VariationalDropout, draw_mask
from elman.padded import mask_of

TOLERANCE = SAME_ROW[torch.float64]
GRADIENT_TOLERANCE = SAME_GRADIENT[torch.float64]

RULES = {
    "recurrent dropout": Regularisation(recurrent_dropout=0.4),
    "zoneout": Regularisation(zoneout=0.3),
    "layer norm": Regularisation(layer_norm=True),
    "weight drop": Regularisation(weight_drop=0.4),
    "all": Regularisation("variational", 0.3, 0.3, 0.3, True),
}
every_rule = pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
some_rules = st.sampled_from(list(RULES.values()))

SIGMAS = 5
"""How far from its expectation a mean may lie: chance goes there once in two million tests."""


class FixedMasks:
    """Deals out masks drawn once for a whole batch: to all of it, or to some rows and steps of it."""

    def __init__(self, layer, case):
        rules, self.made, self.between = layer.regularisation, [], []
        random = torch.Generator().manual_seed(case.seed + 9)
        rows = 2 if case.bidirectional else 1
        sizes = [case.output_size, case.hidden_size][: 2 if case.kind.startswith("LSTM") else 1]
        for _ in range(case.num_layers * rows):
            shape = (case.batch, case.output_size)
            hidden = 2.0 * (torch.rand(shape, generator=random) < 0.5).to(case.dtype)
            held = tuple(
                torch.rand(case.steps, case.batch, size, generator=random) < rules.zoneout for size in sizes
            )
            hidden = hidden if rules.recurrent_dropout else None
            self.made.append((hidden, held if rules.zoneout else None))
        wide = (case.batch, case.output_size * rows)
        self.between = [2.0 * (torch.rand(wide, generator=random) < 0.5).to(case.dtype) for _ in range(2)]

    @contextmanager
    def dealt(self, rows=slice(None), steps=slice(None)):
        turns, gaps = iter(self.made), iter(self.between)

        def masks(stack, count, state):
            hidden, held = next(turns)
            hidden = None if hidden is None else hidden[rows]
            held = None if held is None else tuple(part[steps, rows] for part in held)
            return regularised.Masks(hidden, held)

        # Weights are dropped before anything else is drawn, so a seed fixes them.
        torch.manual_seed(5)
        with (
            patch.object(regularised, "draw_masks", masks),
            patch.object(recurrent, "draw_mask", lambda *_: next(gaps)[rows]),
        ):
            yield


def make(case, rules):
    drops = case.num_layers > 1 and rules.dropout_kind == "variational"
    layer = case.make(regularisation=rules, dropout=0.5 if drops else 0.0)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith(("gain", "shift")):  # or their gradients' errors would hide behind ones
                parameter.copy_(torch.randn(parameter.shape) + 0.5)
    return layer


def pieces_alone(case, layer, masks, x, state, lengths, reset):
    """Run each piece of each row by itself, each with its own part of the masks."""
    outputs, finals = [], []
    forward = slice(0, None, 2 if case.bidirectional else 1)
    for row, length in enumerate(lengths.tolist()):
        own = slice(row, row + 1)
        cuts = [t for t in range(length) if reset[row, t]]
        ended = [part[:, own].clone() for part in state]
        pieces = [x.new_zeros(0, case.output_size * (2 if case.bidirectional else 1))]
        for start, end in pairwise(sorted({0, *cuts, length})):
            begin = [torch.zeros_like(part[:, own]) for part in state]
            for fresh, given_ in zip(begin, state, strict=True):
                if start == 0 and 0 not in cuts:
                    fresh[forward] = given_[forward, own]
                if end == length and case.bidirectional:
                    fresh[1::2] = given_[1::2, own]
            begin = tuple(begin) if case.kind.startswith("LSTM") else begin[0]
            with masks.dealt(own, slice(start, end)):
                output, final = case.run(layer, x[own, start:end], begin)
            pieces.append(output[0])
            for kept, part in zip(ended, final, strict=True):
                if end == length:
                    kept[forward] = part[forward]
                if start == 0 and case.bidirectional:
                    kept[1::2] = part[1::2]
        outputs.append(torch.nn.functional.pad(torch.cat(pieces), (0, 0, 0, case.steps - length)))
        finals.append(ended)
    return torch.stack(outputs), tuple(torch.cat(parts, 1) for parts in zip(*finals, strict=True))


def check_padding_and_resets(case, rules, has_cuts=True):
    layer, x, state, lengths = make(case, rules), case.input(), case.state(), case.lengths()
    masks = FixedMasks(layer, case)
    reset = case.reset() if has_cuts else torch.zeros(case.batch, case.steps, dtype=torch.bool)
    dirty = torch.where(mask_of(lengths, case.steps).unsqueeze(-1), x, torch.nan)

    def together():
        with masks.dealt():
            return case.run(layer, dirty, state, lengths=lengths, reset=reset if has_cuts else None)

    def alone():
        return pieces_alone(case, layer, masks, x, parts_of(state), lengths, reset)

    assert largest_difference(together(), alone()) <= TOLERANCE
    leaves = [*parts_of(state)]
    assert largest_difference(gradients(layer, leaves, together), gradients(layer, leaves, alone)) <= (
        GRADIENT_TOLERANCE
    )


@every_rule
@given(case=cases(), has_cuts=st.booleans())
def test_a_padded_and_cut_batch_equals_its_pieces_alone(rules, case, has_cuts):
    check_padding_and_resets(case, rules, has_cuts)


@pytest.mark.parametrize("case", every_case(batch=2, steps=4)[::3], ids=str)
@every_rule
def test_gradients_equal_finite_differences(rules, case):
    layer = make(case, rules)
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *weights):
        torch.manual_seed(1)
        named = dict(zip(names, weights, strict=True))
        output, final = torch.func.functional_call(layer, named, (x,), {"lengths": torch.tensor([4, 2])})
        return output, *parts_of(final)

    weights = [value.detach().requires_grad_() for value in layer.parameters()]
    assert torch.autograd.gradcheck(run, (case.input().requires_grad_(), *weights), fast_mode=True)


@pytest.mark.parametrize("name", ["recurrent dropout", "weight drop", "variational"])
@pytest.mark.parametrize("case", [c for c in every_case() if c.bias], ids=str)
def test_outside_of_training_nothing_is_dropped_to_the_last_bit(case, name):
    rules = RULES.get(name, Regularisation("variational"))
    layer, plain = make(case, rules).eval(), case.make().eval()
    results = [case.run(each, case.input(), lengths=[4, 0, 2]) for each in (layer, plain)]
    assert largest_difference(*results) == 0
    assert layer.state_dict().keys() == plain.state_dict().keys()


@given(case=cases(directions=(False,)), rules=some_rules)
def test_step_by_step_equals_the_whole_outside_of_training(case, rules):
    layer, x, state = make(case, rules).eval(), case.input(), case.state()
    whole, final = case.run(layer, x, state)
    step = layer.stepper(state)
    one_by_one = torch.stack([step(x[:, t]).clone() for t in range(case.steps)], 1)
    assert largest_difference(one_by_one, whole) <= TOLERANCE
    assert largest_difference(tuple(step.state), final) <= TOLERANCE


@given(case=cases(), rules=some_rules)
def test_a_packed_batch_equals_the_padded_one(case, rules):
    lengths = case.lengths().clamp(min=1).sort(descending=True).values
    case = replace(case, batch_first=True)
    layer, x = make(case, rules), case.input()[:, : int(lengths.max())]
    masks = FixedMasks(layer, replace(case, steps=x.size(1)))
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    with masks.dealt():
        output, final = layer(packed)
    with masks.dealt():
        expected = layer(x, lengths=lengths)
    padded = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)[0]
    assert largest_difference((padded, parts_of(final)), (expected[0], parts_of(expected[1]))) <= TOLERANCE


def layer_normed_lstm(x, state, layer):
    """Ba et al. 2016, supplement, eq. 20-22, written out."""

    def norm(a, gain, shift):
        centred = a - a.mean(-1, keepdim=True)
        return gain * centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() + shift

    hidden, cell, outputs = state[0][0], state[1][0], []
    for x_t in x.unbind(1):
        products = norm(x_t @ layer.weight_ih_l0.T, layer.gain_ih_l0, layer.bias_ih_l0)
        products = products + norm(hidden @ layer.weight_hh_l0.T, layer.gain_hh_l0, layer.bias_hh_l0)
        i, f, g, o = products.chunk(4, -1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * norm(cell, layer.gain_cell_l0, layer.shift_cell_l0).tanh()
        outputs.append(hidden)
    return torch.stack(outputs, 1)


def test_a_layer_normalised_lstm_is_that_of_its_source():
    case = Case("LSTM", 1, False, True, True, batch=3, steps=5, seed=2)
    layer = make(case, Regularisation(layer_norm=True))
    output, _ = layer(case.input(), case.state())
    torch.testing.assert_close(output, layer_normed_lstm(case.input(), case.state(), layer))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_layer_norm_lets_the_scale_of_the_weights_be(kind):
    case = Case(kind, 1, False, False, True, batch=2, steps=4, seed=3, input_size=6)
    layer = make(case, Regularisation(layer_norm=True))
    before, x = layer(case.input())[0], case.input()
    with torch.no_grad():
        layer.weight_ih_l0.mul_(1000)
    assert largest_difference(layer(x)[0], before) <= 1e-3  # but for the constant that keeps zero off


def test_zoneout_moves_on_average_as_it_does_outside_of_training():
    rate, rows = 0.3, 20_000
    for kind in ("RNN", "GRU", "LSTM"):
        case = Case(kind, 1, False, True, True, batch=1, steps=1, seed=4)
        layer, x = make(case, Regularisation(zoneout=rate)), case.input()
        begin = case.state()
        many = [part.expand(-1, rows, -1).contiguous() for part in parts_of(begin)]
        many = tuple(many) if kind == "LSTM" else many[0]
        _, drawn = case.run(layer, x.expand(rows, -1, -1).contiguous(), many)
        with use("reference"):
            _, plain = case.run(case.make(), x, begin)
        _, mean = case.run(layer.eval(), x, begin)
        for some, old, new, expected in zip(drawn, parts_of(begin), plain, mean, strict=True):
            torch.testing.assert_close(expected, rate * old + (1 - rate) * new)
            bound = SIGMAS * (old - new).abs() * (rate * (1 - rate) / rows) ** 0.5
            assert ((some.mean(1, keepdim=True) - expected).abs() <= bound + 1e-12).all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masks_have_the_expectation_one_and_the_rate_that_is_asked_for(rate):
    numbers = 100_000
    mask = draw_mask((numbers,), rate, torch.zeros((), dtype=torch.float64))
    assert set(mask.tolist()) <= {0.0, 1 / (1 - rate)}
    assert abs(mask.mean().item() - 1) <= SIGMAS * (rate / (1 - rate) / numbers) ** 0.5


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    for rules in RULES.values():
        layer = elman.nn.LSTM(3, 8, 2, dropout=0.5, regularisation=rules)
        seen = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            seen.append(layer(torch.ones(5, 4, 3))[0])
        assert torch.equal(seen[0], seen[1])
        assert not torch.equal(seen[0], seen[2])


@every_rule
def test_what_is_saved_or_copied_computes_the_same(rules):
    layer = elman.nn.GRU(3, 4, 2, dropout=0.2, bidirectional=True, regularisation=rules)
    again = elman.nn.GRU(3, 4, 2, dropout=0.2, bidirectional=True, regularisation=rules)
    again.load_state_dict(layer.state_dict())
    for other in (again, copy.deepcopy(layer)):
        for training in (False, True):
            results = []
            for each in (layer, other):
                torch.manual_seed(0)
                results.append(each.train(training)(torch.ones(5, 2, 3))[0])
            assert torch.equal(*results)


def test_a_backend_that_cannot_step_says_so_when_it_is_forced():
    layer = elman.nn.LSTM(3, 4, regularisation=Regularisation(zoneout=0.1))
    for name in ("torch", "cpu"):
        with use(name), pytest.raises(ConfigError, match="inside each step"):
            layer(torch.ones(5, 2, 3))


def test_the_slower_backend_is_said_once_and_only_where_it_runs(monkeypatch, caplog):
    monkeypatch.setattr(dispatch, "_reported", set())
    elman.nn.LSTM(3, 4, regularisation=Regularisation(weight_drop=0.5))(torch.ones(5, 2, 3))
    assert "inside each step" not in caplog.text
    layer = elman.nn.LSTM(3, 4, regularisation=Regularisation(recurrent_dropout=0.5))
    layer.eval()(torch.ones(5, 2, 3))
    assert "inside each step" not in caplog.text
    for _ in range(3):
        layer.train()(torch.ones(5, 2, 3))
    assert caplog.text.count("a slower backend runs instead of 'torch'") == 1


@pytest.mark.parametrize("name", ["weight_drop", "zoneout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_outside_of_its_range_is_refused(name, rate):
    with pytest.raises(ConfigError, match=f"{name} is .*at least 0 and below 1"):
        Regularisation(**{name: rate})
    with pytest.raises(ConfigError, match="at least 0 and below 1"):
        VariationalDropout(rate)
    with pytest.raises(ConfigError, match="did you mean 'variational'"):
        Regularisation(dropout_kind="variationl")


# The checks, and the bugs that they must notice.


def check_constant_over_time():
    """With W = I, relu and nothing read, a unit is 0 from the first step on or grows by 1 / (1 - p)."""
    layer = elman.nn.RNN(1, 64, nonlinearity="relu", bias=False, dtype=torch.float64,
                         regularisation=Regularisation(recurrent_dropout=0.5))  # fmt: skip
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.copy_(torch.eye(64))
    output, _ = layer(torch.zeros(6, 2, 1, dtype=torch.float64), torch.ones(1, 2, 64, dtype=torch.float64))
    alive = output[0] > 0
    assert 0 < alive.sum() < alive.numel()
    assert not torch.equal(alive[0], alive[1]), "rows share a mask"
    for t in range(6):
        assert torch.equal(output[t], torch.where(alive, 2.0 ** (t + 1), 0.0))


def check_same_features_at_all_steps(kind):
    steps = DROPOUTS[kind](0.5)(torch.ones(3, 7, 32))
    assert torch.equal(steps, steps[:, :1].expand_as(steps))
    assert not torch.equal(steps[0], steps[1])


def check_dropped_weights_learn():
    layer = elman.nn.LSTM(3, 8, regularisation=Regularisation(weight_drop=0.5))
    before = layer.weight_hh_l0.detach().clone()
    layer(torch.randn(4, 2, 3))[0].sum().backward()
    gradient = layer.weight_hh_l0.grad
    assert gradient is not None, "the dropped weights have no gradient"
    share = (gradient != 0).double().mean().item()
    assert abs(share - 0.5) <= SIGMAS * (0.25 / gradient.numel()) ** 0.5
    assert torch.equal(layer.weight_hh_l0, before)


def test_recurrent_masks_are_constant_over_time():
    check_constant_over_time()


def test_variational_dropout_switches_off_the_same_features_at_all_steps():
    check_same_features_at_all_steps("variational")


def test_gradients_reach_the_dropped_weights():
    check_dropped_weights_learn()


class RedrawnMasks(regularised.Masks):
    """A mask that is another one each time it is looked at."""

    @property
    def hidden(self):
        return draw_mask((2, 64), 0.5, torch.zeros((), dtype=torch.float64))

    @hidden.setter
    def hidden(self, value):
        pass


def test_a_mask_drawn_anew_at_each_step_is_noticed(monkeypatch):
    monkeypatch.setattr(regularised, "draw_masks", lambda *_: RedrawnMasks(None, None))
    with pytest.raises(AssertionError):
        check_constant_over_time()
    with pytest.raises(AssertionError):
        check_same_features_at_all_steps("each-step")


def test_dropped_weights_without_a_gradient_are_noticed(monkeypatch):
    monkeypatch.setattr(
        recurrent, "drop_weight", lambda weight, rate: weight.detach() * draw_mask(weight.shape, rate, weight)
    )
    with pytest.raises(AssertionError, match="no gradient"):
        check_dropped_weights_learn()


def test_a_backward_direction_that_starts_in_the_padding_is_noticed(monkeypatch):
    case = Case("GRU", 1, True, True, True, batch=3, steps=5, seed=1)
    check_padding_and_resets(case, RULES["zoneout"], has_cuts=False)
    right = recurrent.dispatch.run

    def without_lengths(stack, input, state, *, lengths, reset, fresh):
        return right(stack, input.nan_to_num(0.0), state, lengths=None, reset=reset, fresh=fresh)

    monkeypatch.setattr(recurrent.dispatch, "run", without_lengths)
    with pytest.raises(AssertionError):
        check_padding_and_resets(case, RULES["zoneout"], has_cuts=False)
