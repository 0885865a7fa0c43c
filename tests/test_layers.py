"""The layers take the place of torch.nn's: construction, errors, copies, changed weights, autocast.

What they compute is held by tests/laws/test_layers_*.py.
"""

import copy

import pytest
import torch
from tolerances import SAME_AS_TORCH
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_sequence

import elman.nn
from elman.errors import ConfigError, ElmanError, ShapeError
from elman.nn.initialise import INITIALISERS

LAYERS = ["RNN", "GRU", "LSTM"]
CELLS = ["RNNCell", "GRUCell", "LSTMCell"]
FLOAT32 = SAME_AS_TORCH[torch.float32]


def both(name, *args, **options):
    """Make the same layer twice, ours and torch's."""
    made = []
    for library in (elman.nn, torch.nn):
        torch.manual_seed(3)
        made.append(getattr(library, name)(*args, **options))
    return made


def flat(result):
    output, state = result
    return [output, *(state if isinstance(state, tuple) else (state,))]


def close(first, second, tolerance=FLOAT32):
    return all((a - b).abs().max() <= tolerance for a, b in zip(flat(first), flat(second), strict=True))


def outcome(call):
    """Give what a call raises, for comparison: the builtin kind of error."""
    try:
        call()
    except Exception as error:
        return next(
            kind for kind in (ValueError, RuntimeError, TypeError, IndexError) if isinstance(error, kind)
        )
    return None


CONSTRUCTIONS = {
    "defaults": ((3, 4), {}),
    "positional": ((3, 4, 2), {"bias": False, "batch_first": True, "bidirectional": True}),
    "no input": ((0, 4), {}),
    "no hidden": ((3, 0), {}),
    "no layers": ((3, 4, 0), {}),
    "dropout above one": ((3, 4, 2), {"dropout": 1.5}),
    "dropout is a bool": ((3, 4, 2), {"dropout": True}),
    "bias is a number": ((3, 4), {"bias": 1}),
    "batch_first is a word": ((3, 4), {"batch_first": "yes"}),
    "sizes are floats": ((3.0, 4), {}),
    "projection as wide as the state": ((3, 4), {"proj_size": 4}),
    "projection below zero": ((3, 4), {"proj_size": -1}),
    "no projection": ((3, 4), {"proj_size": 0}),
    "unknown argument": ((3, 4), {"colour": "red"}),
}


@pytest.mark.parametrize("case", CONSTRUCTIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_construction_succeeds_or_fails_as_in_torch(name, case):
    args, options = CONSTRUCTIONS[case]
    ours, theirs = (outcome(lambda: getattr(lib, name)(*args, **options)) for lib in (elman.nn, torch.nn))  # noqa: B023
    assert ours == theirs
    if ours is None:
        ours, theirs = both(name, *args, **options)
        assert str(ours) == str(theirs)
        assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_an_unknown_nonlinearity_fails_as_in_torch():
    for library in (elman.nn, torch.nn):
        with pytest.raises(ValueError, match="Unknown nonlinearity 'sin'"):
            library.RNN(3, 4, 1, "sin")


def test_dropout_on_a_single_layer_warns_as_in_torch():
    for library in (elman.nn, torch.nn):
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
            library.GRU(3, 4, dropout=0.5)


def state_of(name, *shape):
    return (torch.zeros(*shape), torch.zeros(*shape)) if name.startswith("LSTM") else torch.zeros(*shape)


CALLS = {
    "one dimension": lambda name: (torch.ones(3),),
    "four dimensions": lambda name: (torch.ones(1, 1, 1, 3),),
    "another input size": lambda name: (torch.ones(2, 1, 5),),
    "another dtype": lambda name: (torch.ones(2, 1, 3).double(),),
    "integers": lambda name: (torch.ones(2, 1, 3).long(),),
    "no steps": lambda name: (torch.ones(0, 1, 3),),
    "state for another batch": lambda name: (torch.ones(2, 1, 3), state_of(name, 1, 2, 4)),
    "state of another size": lambda name: (torch.ones(2, 1, 3), state_of(name, 1, 1, 5)),
    "state of too many layers": lambda name: (torch.ones(2, 1, 3), state_of(name, 2, 1, 4)),
    "2-D state for a batch": lambda name: (torch.ones(2, 1, 3), state_of(name, 1, 4)),
    "3-D state without a batch": lambda name: (torch.ones(2, 3), state_of(name, 1, 1, 4)),
    "packed, another input size": lambda name: (pack_sequence([torch.ones(2, 5)]),),
    "packed, state for another batch": lambda name: (
        pack_sequence([torch.ones(2, 3)]),
        state_of(name, 1, 2, 4),
    ),
    "state of another dtype": lambda name: (
        torch.ones(2, 1, 3),
        (torch.zeros(1, 1, 4).double(), torch.zeros(1, 1, 4).double())
        if name == "LSTM"
        else torch.zeros(1, 1, 4).double(),
    ),
    "nothing wrong": lambda name: (torch.ones(2, 1, 3), state_of(name, 1, 1, 4)),
    "an empty batch": lambda name: (torch.ones(2, 0, 3),),
}


@pytest.mark.parametrize("case", CALLS)
@pytest.mark.parametrize("name", LAYERS)
def test_calls_succeed_or_fail_as_in_torch(name, case):
    ours, theirs = (outcome(lambda: layer(*CALLS[case](name))) for layer in both(name, 3, 4))  # noqa: B023
    if name == "LSTM" and case in ("packed, another input size", "packed, state for another batch"):
        theirs = RuntimeError  # torch.nn.LSTM does not look, and reads past the end of what it was given
    assert ours == theirs


CELL_CALLS = {
    "three dimensions": lambda name: (torch.ones(1, 2, 3),),
    "another input size": lambda name: (torch.ones(2, 5),),
    "3-D state": lambda name: (torch.ones(2, 3), state_of(name, 1, 2, 4)),
    "state for another batch": lambda name: (torch.ones(2, 3), state_of(name, 3, 4)),
    "a batch": lambda name: (torch.ones(2, 3), state_of(name, 2, 4)),
    "one vector": lambda name: (torch.ones(3),),
    "one vector with a state": lambda name: (torch.ones(3), state_of(name, 4)),
}


@pytest.mark.parametrize("case", CELL_CALLS)
@pytest.mark.parametrize("name", CELLS)
def test_cell_modules_equal_torch_and_fail_as_in_torch(name, case):
    ours, theirs = both(name, 3, 4)
    assert str(ours) == str(theirs)
    failures = [outcome(lambda: cell(*CELL_CALLS[case](name))) for cell in (ours, theirs)]  # noqa: B023
    assert failures[0] == failures[1]
    if failures[0] is None:
        results = [cell(*CELL_CALLS[case](name)) for cell in (ours, theirs)]
        pairs = zip(*results, strict=True) if name == "LSTMCell" else [tuple(results)]
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_relu_cell_equals_torch_and_an_unknown_one_fails_at_its_first_step():
    ours, theirs = both("RNNCell", 3, 4, nonlinearity="relu")
    assert torch.equal(ours(torch.ones(2, 3)), theirs(torch.ones(2, 3)))
    for cell in both("RNNCell", 3, 4, nonlinearity="sin"):
        with pytest.raises(RuntimeError, match="Unknown nonlinearity: sin"):
            cell(torch.ones(2, 3))


@pytest.mark.parametrize("name", LAYERS)
def test_state_dicts_load_both_ways(name):
    ours, theirs = both(name, 3, 4, 2, bidirectional=True)
    for parameter in theirs.parameters():
        parameter.data.uniform_()
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(torch.ones(5, 2, 3))[0], theirs(torch.ones(5, 2, 3))[0])
    theirs.load_state_dict(ours.state_dict())
    ours.flatten_parameters()
    names = [[len(weights) for weights in layer.all_weights] for layer in (ours, theirs)]
    assert names[0] == names[1]


@pytest.mark.parametrize("name", LAYERS)
def test_copies_are_independent_and_equal(name):
    layer = getattr(elman.nn, name)(3, 4, initial_state="learned")
    other = copy.deepcopy(layer)
    x = torch.ones(5, 2, 3)
    assert close(layer(x), other(x), 0)
    other.weight_hh_l0.data.add_(1)
    assert not close(layer(x), other(x))


@pytest.mark.parametrize("name", LAYERS)
def test_another_dtype_moves_weights_and_results(name):
    layer = getattr(elman.nn, name)(3, 4, initial_state="learned").to(torch.float64)
    assert {part.dtype for part in flat(layer(torch.ones(5, 2, 3).double()))} == {torch.float64}


@pytest.mark.parametrize("name", LAYERS)
def test_weights_are_read_at_each_call(name):
    ours, theirs = both(name, 3, 4)
    x = torch.ones(5, 2, 3)
    ours(x)
    for layer in (ours, theirs):  # leaves `_version` as it was
        layer.weight_hh_l0.data.mul_(2)
    assert close(ours(x), theirs(x))
    new = {key: value + 1 for key, value in theirs.state_dict().items()}
    called = torch.func.functional_call(ours, new, (x,))
    assert close(called, torch.func.functional_call(theirs, new, (x,)))
    assert close(ours(x), theirs(x))


@pytest.mark.parametrize("name", LAYERS)
def test_dropped_weights_are_used_and_get_gradients(name):
    """Weight drop: the parameter goes under another name, and an ordinary tensor takes its place."""
    layer = getattr(elman.nn, name)(3, 4)
    raw = torch.nn.Parameter(layer.weight_hh_l0.detach().clone())
    del layer.weight_hh_l0
    layer.register_parameter("weight_hh_l0_raw", raw)
    layer.weight_hh_l0 = raw * 0
    output, _ = layer(torch.ones(5, 2, 3))
    theirs = getattr(torch.nn, name)(3, 4)
    values = {key.removesuffix("_raw"): value for key, value in layer.state_dict().items()}
    theirs.load_state_dict(values | {"weight_hh_l0": torch.zeros_like(raw)})
    assert torch.allclose(output, theirs(torch.ones(5, 2, 3))[0], atol=FLOAT32)
    output.sum().backward()
    assert raw.grad is not None


@pytest.mark.parametrize("name", LAYERS)
def test_parametrized_weights_equal_torch(name):
    x = torch.ones(5, 2, 3)
    results = []
    for layer in both(name, 3, 4):
        parametrizations.weight_norm(layer, "weight_hh_l0")
        layer.parametrizations.weight_hh_l0.original0.data.mul_(2)
        output, _ = layer(x)
        output.sum().backward()
        results.append((output, layer.parametrizations.weight_hh_l0.original0.grad))
    assert all((a - b).abs().max() <= 10 * FLOAT32 for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", LAYERS)
def test_autocast_gives_the_dtype_and_the_numbers_of_torch(name):
    ours, theirs = both(name, 3, 4)
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = ours(x), theirs(x)
        shorter = [ours(x, lengths=lengths) for lengths in ([5, 4], [1, 1], [0, 0])]
        cut = ours(x, reset=torch.eye(2, 5).bool())
    assert [part.dtype for part in flat(found)] == [part.dtype for part in flat(expected)]
    assert close(found, expected)
    for result in (*shorter, cut):
        assert [part.dtype for part in flat(result)] == [part.dtype for part in flat(expected)]


def test_dropout_between_layers_acts_in_training_alone():
    for options in ({}, {"lengths": [5, 5, 4]}, {"reset": torch.eye(3, 5).bool()}):
        for name in LAYERS:
            layer = getattr(elman.nn, name)(3, 4, 2, dropout=0.5)
            x = torch.ones(5, 3, 3)
            assert not torch.equal(layer(x, **options)[0], layer(x, **options)[0])
            layer.eval()
            assert torch.equal(layer(x, **options)[0], layer(x, **options)[0])


@pytest.mark.parametrize("name", LAYERS)
def test_a_learned_initial_state_starts_at_zero_and_is_trained(name):
    torch.manual_seed(0)
    learned = getattr(elman.nn, name)(3, 4, 2, initial_state="learned")
    torch.manual_seed(0)
    plain = getattr(elman.nn, name)(3, 4, 2)
    x = torch.ones(5, 2, 3)
    assert close(learned(x), plain(x), 0)
    extra = set(learned.state_dict()) - set(plain.state_dict())
    assert extra == ({"initial_hidden", "initial_cell"} if name == "LSTM" else {"initial_hidden"})
    learned(x)[0].sum().backward()
    assert all(learned.get_parameter(part).grad.any() for part in extra)


@pytest.mark.parametrize("name", LAYERS)
def test_a_random_initial_state_is_drawn_in_training_and_zero_otherwise(name):
    layer = getattr(elman.nn, name)(3, 4, initial_state="random")
    x = torch.ones(5, 2, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    cut = torch.ones(2, 5, dtype=torch.bool)
    same = layer(x, reset=cut)[0][1:]
    assert not torch.equal(same[0], same[1])  # each cut draws its own
    layer.eval()
    plain = getattr(elman.nn, name)(3, 4)
    plain.load_state_dict(layer.state_dict())
    assert close(layer(x), plain(x), 0)


def test_the_forget_bias_changes_the_forget_part_of_the_input_bias_alone():
    torch.manual_seed(0)
    plain = elman.nn.LSTM(3, 4, 2, bidirectional=True)
    torch.manual_seed(0)
    biased = elman.nn.LSTM(3, 4, 2, bidirectional=True, forget_bias=1.5)
    for (name, value), expected in zip(biased.named_parameters(), plain.parameters(), strict=True):
        expected = expected.detach().clone()
        if name.startswith("bias_ih"):
            expected[4:8] = 1.5
        assert torch.equal(value, expected)


def test_options_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match="there are no biases"):
        elman.nn.LSTM(3, 4, bias=False, forget_bias=1.0)
    with pytest.raises(ConfigError, match="expected one of zeros, random, learned"):
        elman.nn.GRU(3, 4, initial_state="ones")


REFUSED = {
    "too long": ({"lengths": [6, 1]}, "lengths\\[0\\] is 6"),
    "too few": ({"lengths": [1]}, "expected \\(2,\\)"),
    "time first": ({"reset": torch.zeros(5, 2, dtype=torch.bool)}, "whatever batch_first"),
    "numbers": ({"reset": torch.zeros(2, 5)}, "torch.bool"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_lengths_and_resets_that_do_not_fit_are_refused(case):
    options, message = REFUSED[case]
    with pytest.raises(ShapeError, match=message):
        elman.nn.GRU(3, 4)(torch.ones(5, 2, 3), **options)


def test_lengths_and_resets_are_not_for_packed_sequences():
    packed = pack_sequence([torch.ones(2, 3)])
    for options in ({"lengths": [2]}, {"reset": torch.zeros(1, 2, dtype=torch.bool)}):
        with pytest.raises(ElmanError, match="PackedSequence"):
            elman.nn.LSTM(3, 4)(packed, **options)


def test_a_sequence_without_a_batch_takes_a_length_and_resets():
    layer = elman.nn.GRU(3, 4)
    x = torch.randn(5, 3)
    output, hidden = layer(x, lengths=torch.tensor(3), reset=torch.tensor([False, True, False, False, False]))
    assert torch.allclose(output[1:3], layer(x[1:3])[0], atol=FLOAT32)
    assert not output[3:].any()
    assert torch.equal(hidden[0], output[2])


@pytest.mark.parametrize("name", LAYERS)
def test_orthogonal_blocks_come_from_the_global_generator(name):
    layer = getattr(elman.nn, name)(3, 4, 2, bidirectional=True)
    inputs = layer.weight_ih_l0.detach().clone()
    torch.manual_seed(5)
    INITIALISERS["orthogonal"](layer)
    again = copy.deepcopy(layer)
    torch.manual_seed(5)
    INITIALISERS["orthogonal"](again)
    assert torch.equal(layer.weight_ih_l0, inputs)
    for key, weight in layer.named_parameters():
        assert torch.equal(weight, again.get_parameter(key))
        if key.startswith("weight_hh"):
            for block in weight.split(4):
                assert torch.allclose(block.T @ block, torch.eye(4), atol=1e-5)
