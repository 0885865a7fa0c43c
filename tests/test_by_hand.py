"""Backpropagation by hand: equal to autograd for every cell and loss, and every planted error is named."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import elman.nn
from elman.cells import MODES
from elman.errors import ConfigError, ShapeError
from elman.losses import cross_entropy
from elman.padded import Padded
from elman.xray.by_hand import Exercise, calculate
from elman.xray.hand_cells import HAND_CELLS
from elman.xray.hand_check import by_autograd, compare, relative_difference
from elman.xray.hand_losses import HAND_LOSSES, HandLoss
from elman.xray.textbook_errors import TEXTBOOK_ERRORS, detect, gradients_of_error

LAYERS = {
    "RNN_TANH": lambda *sizes, **options: elman.nn.RNN(*sizes, **options),
    "RNN_RELU": lambda *sizes, **options: elman.nn.RNN(*sizes, nonlinearity="relu", **options),
    "GRU": lambda *sizes, **options: elman.nn.GRU(*sizes, **options),
    "LSTM": lambda *sizes, **options: elman.nn.LSTM(*sizes, **options),
}
SAME_AS_AUTOGRAD = 1e-8  # relative, float64; rounding is 1e-15, a missing factor is far above


def make_target(kind, steps, outputs, generator):
    """Draw a target, and the loss for it."""
    numbers = torch.randn(steps, outputs, generator=generator, dtype=torch.float64)
    classes = torch.randint(outputs, (steps,), generator=generator)
    if kind == "cross_entropy":
        weights = tuple((0.1 + torch.rand(outputs, generator=generator)).tolist())
        return classes, HandLoss(kind, class_weights=weights, label_smoothing=0.1)
    if kind == "crf":
        sizes = ((outputs,), (outputs, outputs), (outputs,))
        return classes, HandLoss(
            kind, chain=tuple(torch.randn(s, generator=generator).numpy() for s in sizes)
        )
    if kind == "bernoulli":
        return (numbers > 0).double(), HandLoss(kind)
    if kind in ("quantile", "gaussian"):
        levels = tuple((torch.arange(outputs) + 0.5).div(outputs).tolist()) if kind == "quantile" else ()
        return numbers[:, 0], HandLoss(kind, levels=levels)
    numbers[0, 0] = torch.nan  # a target that is not known
    return numbers, HandLoss(kind)


def make_exercise(mode, kind, seed, *, at="each", steps=4, sizes=(3, 4, 3), bias=True):
    """Draw a network and a sequence."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    inputs, hidden, outputs = sizes
    outputs = 2 if kind == "gaussian" else outputs
    mask = torch.rand(steps, generator=generator) < 0.6
    mask[-1] = True
    at = "each" if kind == "crf" else mask.tolist() if at == "mask" else at
    scored = {"each": steps, "last": 1}.get(at if isinstance(at, str) else "", int(mask.sum()))
    target, loss = make_target(kind, scored, outputs, generator)
    layer = LAYERS[mode](inputs, hidden, bias=bias).double()
    with torch.no_grad():  # wider than torch draws them: gates and activations that are not all in the middle
        for parameter in layer.parameters():
            parameter.mul_(2)
    x = torch.randn(steps, inputs, generator=generator, dtype=torch.float64)
    return Exercise(layer, nn.Linear(hidden, outputs, bias=bias).double(), x, target, loss, at)


def test_every_recurrence_can_be_calculated_by_hand():
    assert set(HAND_CELLS) == set(MODES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HAND_LOSSES)
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=50)
@given(data=st.data())
def test_gradients_by_hand_are_those_of_autograd(mode, kind, data):
    sizes = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4)))
    exercise = make_exercise(
        mode,
        kind,
        data.draw(st.integers(0, 2**31)),
        at=data.draw(st.sampled_from(["each", "last", "mask"])),
        steps=data.draw(st.integers(1, 6)),
        sizes=sizes,
        bias=data.draw(st.booleans()),
    )
    done = calculate(exercise)
    loss, gradients = by_autograd(exercise)
    assert done.loss == pytest.approx(loss, rel=1e-10, abs=1e-12)
    assert done.gradients.keys() == gradients.keys()
    scale = max(np.abs(gradient).max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        # Relative to the parameter's largest number, and to one where all of it is rounding.
        size = max(np.abs(gradient).max(), 1e-4 * scale, 1e-6)
        assert np.abs(done.gradients[name] - gradient).max() <= SAME_AS_AUTOGRAD * size, name


@pytest.mark.parametrize("mode", MODES)
def test_finite_differences_agree_too(mode):
    rows = compare(make_exercise(mode, "cross_entropy", 1)).rows
    assert max(row.autograd for row in rows) < SAME_AS_AUTOGRAD
    assert max(row.differences for row in rows) < 1e-5


def test_the_terms_of_all_steps_sum_to_the_gradient_and_to_the_error():
    done = calculate(make_exercise("LSTM", "cross_entropy", 2))
    for name, gradient in done.gradients.items():
        assert np.allclose(sum(step.terms[name] for step in done.steps), gradient, rtol=0, atol=1e-15)
    assert not done.steps[-1].through_time.any()
    for before, after in zip(done.steps, done.steps[1:], strict=False):
        assert np.array_equal(before.through_time, after.backward.hidden_before)
        assert np.allclose(before.direct, done.output_weight.T @ before.d_y)


@pytest.mark.parametrize("mode", MODES)
def test_rows_by_hand_sum_to_the_gradient_of_a_padded_batch(mode):
    layer, output = LAYERS[mode](2, 3, batch_first=True).double(), nn.Linear(3, 4).double()
    lengths = torch.tensor([4, 1, 3])
    x = torch.randn(3, 4, 2, dtype=torch.float64)
    target = torch.randint(4, (3, 4))
    hidden = layer(x, lengths=lengths)[0]
    loss = cross_entropy(Padded(output(hidden), lengths), Padded(target, lengths))
    loss.backward()
    rows = [
        calculate(Exercise(layer, output, x[row, :n], target[row, :n]))
        for row, n in enumerate(lengths.tolist())
    ]
    for name, parameter in [("weight_hh", layer.weight_hh_l0), ("output.weight", output.weight)]:
        shares = [row.gradients[name] * n / 8 for row, n in zip(rows, lengths.tolist(), strict=True)]
        assert relative_difference(sum(shares), parameter.grad.numpy()) < 1e-12


def test_a_learned_initial_state_is_where_the_calculation_starts():
    layer = elman.nn.LSTM(2, 3, initial_state="learned").double()
    with torch.no_grad():
        layer.initial_hidden.normal_()
        layer.initial_cell.normal_()
    exercise = Exercise(layer, nn.Linear(3, 2), torch.randn(3, 2), torch.tensor([1]), at="last")
    assert max(row.autograd for row in compare(exercise).rows) < SAME_AS_AUTOGRAD


CRF_LOSS = HandLoss("crf", chain=((), (), ()))
PLANTED = [(mode, name) for name, error in TEXTBOOK_ERRORS.items() for mode in error.modes]


@pytest.mark.parametrize(("mode", "name"), PLANTED)
def test_a_planted_error_is_named(mode, name):
    alone = 0
    for seed in range(8):
        exercise = make_exercise(mode, "cross_entropy", seed, steps=5)
        right, wrong = calculate(exercise).gradients, gradients_of_error(exercise, name)
        if max(relative_difference(wrong[key], right[key]) for key in right) < 2e-3:
            continue  # relu units that are off make some errors harmless
        verdict = detect(exercise, wrong)
        assert not verdict.is_right
        assert name in verdict.errors
        assert name in verdict.to_text()
        alone += verdict.errors == [name]
    assert alone >= 3  # nothing else is named beside it, but where units are off


@pytest.mark.parametrize("mode", MODES)
def test_the_right_gradient_is_not_accused(mode):
    for seed in range(5):
        for kind in HAND_LOSSES:
            exercise = make_exercise(mode, kind, seed)
            verdict = detect(exercise, by_autograd(exercise)[1])
            assert verdict.is_right and verdict.errors == []


def test_an_unknown_error_is_not_taken_for_a_known_one():
    exercise = make_exercise("GRU", "cross_entropy", 3)
    wrong = {name: 1.1 * gradient for name, gradient in calculate(exercise).gradients.items()}
    verdict = detect(exercise, wrong)
    assert not verdict.is_right and verdict.errors == []
    assert "No known error" in verdict.to_text()


def test_one_gradient_alone_can_be_judged_and_every_error_that_fits_is_named():
    exercise = make_exercise("RNN_TANH", "cross_entropy", 4, steps=1)
    # With a single step there is no past: nothing through time is missed.
    assert detect(
        exercise, {"weight_ih": gradients_of_error(exercise, "without_recurrent_term")["weight_ih"]}
    )
    twice = 2 * calculate(exercise).gradients["bias_ih"]
    assert detect(exercise, {"bias_ih": twice}).errors == ["bias_counted_twice"]


def test_the_blackboard_shows_each_term_with_its_numbers():
    layer, output = nn.RNN(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for parameter in (*layer.parameters(), *output.parameters()):
        nn.init.constant_(parameter, 0.5)
    exercise = Exercise(layer, output, torch.ones(2, 1), torch.zeros(1, 1), HandLoss("mse"), "last")
    first = np.tanh(0.5)
    second = np.tanh(0.5 + 0.5 * first)
    error = 2 * 0.5 * second  # dL/dy
    back = error * 0.5 * (1 - second**2)  # dL/da_2
    text = calculate(exercise).to_text()
    for line in [
        f"h_2     = [ {second:.4f} ]",
        f"L = {(0.5 * second) ** 2:.4f}",
        f"dL/dh_2 = direct       [ {0.5 * error:.4f} ]",
        f"+ through time [ {0.5 * back:.4f} ]   from step 2",
        f"dL/dW_h = [ {back * first:.4f} ]",
        f"dL/dW_x = [ {back + 0.5 * back * (1 - first**2):.4f} ]",
    ]:
        assert line in text


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"layer": nn.RNN(2, 3, num_layers=2)}, ConfigError, "too much for one blackboard"),
        ({"layer": nn.RNN(2, 3, bidirectional=True)}, ConfigError, "one direction"),
        ({"x": torch.ones(3, 5)}, ShapeError, "expected \\(steps, 2\\)"),
        ({"output": nn.Linear(4, 2)}, ShapeError, "reads 4 numbers"),
        ({"target": torch.tensor([0])}, ShapeError, "1 targets for 3 scored steps"),
        ({"at": "first"}, ConfigError, "expected \"each\""),
        ({"at": [True]}, ShapeError, "a mask of"),
        ({"at": "last", "target": torch.tensor([0]), "loss": CRF_LOSS}, ConfigError,
         "whole sequences"),
    ],
)  # fmt: skip
def test_an_exercise_that_does_not_fit_is_refused(change, error, words):
    given = {
        "layer": nn.RNN(2, 3),
        "output": nn.Linear(3, 2),
        "x": torch.ones(3, 2),
        "target": torch.tensor([0, 1, 0]),
    }
    with pytest.raises(error, match=words):
        Exercise(**(given | change))


def test_wrong_names_are_answered_with_the_right_ones():
    exercise = make_exercise("GRU", "cross_entropy", 0)
    with pytest.raises(ConfigError, match="wieght_ih"):
        detect(exercise, {"wieght_ih": 0})
    with pytest.raises(ConfigError, match="no gradients"):
        detect(exercise, {})
    with pytest.raises(ShapeError, match="that of the parameter"):
        detect(exercise, {"weight_ih": torch.ones(2)})
    with pytest.raises(ConfigError, match="is an error of LSTM"):
        gradients_of_error(exercise, "without_cell_path")
    with pytest.raises(ConfigError, match="nonsense"):
        gradients_of_error(exercise, "nonsense")
    with pytest.raises(ConfigError, match="no levels"):
        HandLoss("quantile")
    with pytest.raises(ConfigError, match="mea"):
        HandLoss("mea")
    with pytest.raises(ConfigError, match="layer norm"):
        rules = elman.nn.Regularisation(layer_norm=True)
        calculate(Exercise(elman.nn.RNN(2, 3, regularisation=rules), nn.Linear(3, 2), torch.ones(1, 2), [0]))
