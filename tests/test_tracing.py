"""Traces: the layer's own numbers, step by step, as text, JSON and a drawing; and the eigenvalue rule."""

import json
import re
import xml.etree.ElementTree as ElementTree

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

import elman
import elman.nn
from elman.errors import ConfigError, ShapeError
from elman.nn.embedding import NumberInput
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns.tag import Tagger
from elman.xray.eigenvalue_rule import CLASSIC, classic_numbers, eigenvalue_rule
from elman.xray.state_neighbours import nearest_states
from elman.xray.trace_drawing import draw
from elman.xray.tracing import COLUMNS, KINDS, marked, trace, trace_pattern

WORDS = ["I", "love", "machine", "learning"]
SAME_AS_LAYER = {torch.float64: 1e-12, torch.float32: 1e-6}


@pytest.mark.parametrize("dtype", SAME_AS_LAYER)
def test_i_love_machine_learning_on_the_blackboard(dtype):
    embedding, layer = nn.Embedding(4, 4, dtype=dtype), elman.nn.RNN(4, 8, dtype=dtype)
    output = nn.Linear(8, 2, dtype=dtype)
    vectors = embedding(torch.arange(4))
    wanted = layer(vectors)[0]
    traced = elman.xray.trace(layer, vectors, labels=WORDS, output=output)
    assert np.abs(traced.output - wanted.detach().double().numpy()).max() <= SAME_AS_LAYER[dtype]
    assert np.abs(traced.scores - output(wanted).detach().double().numpy()).max() <= SAME_AS_LAYER[dtype]
    text = traced.to_text()
    for t, word in enumerate(WORDS):
        assert f"t={t + 1}  {word}\n" in text
    # Every number of every matrix and state stands there, with four digits.
    shown = {float(found) for found in re.findall(r"-?\d+\.\d{4}", text)}
    for values in (vectors, wanted, layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_hh_l0):
        assert all(min(abs(value - one) for one in shown) < 1e-4 for value in values.flatten().tolist())


def test_a_step_on_the_blackboard_is_the_equation():
    layer = nn.RNN(1, 1)
    for parameter, value in zip(layer.parameters(), (0.5, 2.0, 0.1, 0.2), strict=True):
        nn.init.constant_(parameter, value)
    text = trace(layer, torch.tensor([[1.0], [3.0]])).to_text()
    first = np.tanh(0.5 + 0.1 + 0.2)
    a = 0.5 * 3 + 0.1 + 2 * first + 0.2
    row = f"1 {1.6:.4f} {2 * first + 0.2:.4f} {a:.4f} {np.tanh(a):.4f}^"
    assert row in re.sub(" +", " ", text)


@pytest.mark.parametrize("mode", COLUMNS)
def test_every_recurrence_has_its_blackboard(mode):
    kind = mode.split("_")[0]
    options = {"nonlinearity": "relu"} if mode == "RNN_RELU" else {}
    layer = getattr(elman.nn, kind)(2, 3, num_layers=2, bidirectional=True, **options)
    traced = trace(layer, torch.randn(3, 2))
    text = traced.to_text()
    for column in COLUMNS[mode]:
        assert column in text
    assert [part.name for part in traced.layers] == [
        "layer 1, forward", "layer 1, backward", "layer 2, forward", "layer 2, backward"
    ]  # fmt: skip
    assert KINDS.keys() == COLUMNS.keys()


def test_a_projection_is_traced_too():
    layer = nn.LSTM(2, 4, proj_size=3)
    text = trace(layer, torch.ones(2, 2)).to_text()
    assert "W_p = " in text


def test_json_holds_the_same_numbers():
    layer = elman.nn.GRU(2, 3)
    traced = trace(layer, torch.randn(4, 2))
    read = json.loads(json.dumps(traced.to_json()))
    assert np.array_equal(np.array(read["output"]), traced.output)
    gates = read["layers"][0]["steps"][1]["gates"]
    assert list(gates) == ["reset_gate", "update_gate", "candidate"]
    before = np.array(read["layers"][0]["steps"][0]["hidden"])
    z, n = np.array(gates["update_gate"]), np.array(gates["candidate"])
    assert np.allclose((1 - z) * n + z * before, read["layers"][0]["steps"][1]["hidden"], rtol=0, atol=1e-15)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_drawing_has_a_box_for_every_number_and_an_arrow_for_every_reading(bidirectional):
    layer = elman.nn.LSTM(2, 3, num_layers=2, bidirectional=bidirectional)
    directions = 2 if bidirectional else 1
    output = nn.Linear(3 * directions, 2)
    picture = draw(trace(layer, torch.randn(4, 2), labels=["<s>", "a", "b", "c&d"], output=output))
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}rect")) == 1 + 4 * (2 + 2 * directions * 3 + 2)
    assert {"<s>", "c&d"} <= {words.text for words in root.iter(f"{space}text")}
    over_time = 3 * 2 * directions
    upward = 4 * (directions + directions**2 + directions)
    arrows = [one for one in root.iter() if one.get("marker-end")]
    assert len(arrows) == over_time + upward


def test_what_is_saturated_is_marked():
    assert [marked("gate", value) for value in (0.05, 0.1, 0.9, 0.95)] == ["v", "", "", "^"]
    assert [marked("tanh", value) for value in (-0.95, -0.9, 0.9, 0.95)] == ["v", "", "", "^"]
    assert [marked("relu", value) for value in (0.0, 5.0)] == ["o", ""]
    layer = elman.nn.LSTM(1, 1, forget_bias=20.0)
    assert "1.0000^" in trace(layer, torch.ones(1, 1)).to_text()


def test_a_pattern_is_traced_as_it_reads():
    pattern = Tagger(NumberInput(2, 3), Encoder(3, 4, cell="gru", bidirectional=True), num_labels=2)
    numbers = Padded(torch.randn(2, 5, 2), torch.tensor([5, 3]))
    traced = trace_pattern(pattern, {"numbers": numbers}, labels=["a", "b", "c"], row=1)
    assert pattern.training
    pattern.eval()
    wanted = pattern.encoder(pattern.input_layer({"numbers": numbers}))[0].data[1, :3]
    assert np.abs(traced.output - wanted.detach().numpy()).max() < 1e-6


def test_the_nearest_states_are_those_with_the_largest_cosine():
    layer = elman.nn.RNN(2, 5)
    mine, others = trace(layer, torch.randn(3, 2)), [trace(layer, torch.randn(n, 2)) for n in (4, 6)]
    found = nearest_states(mine, 1, others, count=10)
    wanted = torch.nn.functional.cosine_similarity(
        torch.from_numpy(np.concatenate([other.output for other in others])),
        torch.from_numpy(mine.output[1])[None],
    )
    assert np.allclose([one.similarity for one in found], wanted.sort(descending=True).values)
    assert [others[one.sequence].labels[one.step] for one in found] == [one.label for one in found]
    with pytest.raises(ConfigError, match="expected 0 to 2"):
        nearest_states(mine, 3, others)
    with pytest.raises(ConfigError, match="traces of one layer"):
        nearest_states(mine, 0, [trace(elman.nn.RNN(2, 4), torch.ones(1, 2))])


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"expected \(steps, 2\)"):
        trace(nn.RNN(2, 3), torch.ones(4, 3))
    with pytest.raises(ShapeError, match="2 labels for 4 steps"):
        trace(nn.RNN(2, 3), torch.ones(4, 2), labels=["a", "b"])
    with pytest.raises(ShapeError, match="expected what the layer gives, 6"):
        trace(nn.RNN(2, 3, bidirectional=True), torch.ones(4, 2), output=nn.Linear(3, 2))
    with pytest.raises(ConfigError, match="zoneout"):
        trace(elman.nn.RNN(2, 3, regularisation=elman.nn.Regularisation(zoneout=0.1)), torch.ones(4, 2))


@given(seed=st.integers(0, 2**31), size=st.integers(1, 4), steps=st.integers(0, 8))
def test_the_gradient_after_k_steps_is_the_kth_power_and_below_the_bound(seed, size, steps):
    weight = np.random.default_rng(seed).normal(size=(size, size))
    rule = eigenvalue_rule(weight, steps)
    powers = [np.linalg.norm(np.linalg.matrix_power(weight, k), 2) for k in range(steps + 1)]
    assert np.allclose(rule.sizes, powers, rtol=1e-9)
    k = np.arange(steps + 1)
    assert (rule.sizes <= rule.largest_singular**k * (1 + 1e-9)).all()
    assert (rule.sizes >= rule.radius**k * (1 - 1e-9)).all()


def test_the_gradient_is_the_one_that_autograd_measures():
    weight = torch.tensor(
        CLASSIC["two units, eigenvalues 0.5 twice, but sigma above 3: it grows, then vanishes"]
    )
    start = torch.zeros(2, requires_grad=True)

    def last(state):
        for _ in range(4):
            state = weight @ state
        return state

    jacobian = torch.autograd.functional.jacobian(last, start)
    measured = torch.linalg.matrix_norm(jacobian, 2).item()
    assert eigenvalue_rule(weight, 4).sizes[4] == pytest.approx(measured, rel=1e-6)


def test_the_classic_numbers():
    assert np.allclose(eigenvalue_rule([[0.1]], 3).sizes, [1, 0.1, 0.01, 0.001])
    assert np.allclose(eigenvalue_rule([[5.0]], 3).sizes, [1, 5, 25, 125])
    text = classic_numbers(3)
    assert "0.0010" in text and "125.0000" in text
    with pytest.raises(ShapeError, match="a recurrent weight"):
        eigenvalue_rule([[1.0, 2.0]], 3)
    with pytest.raises(ConfigError, match="0 or more"):
        eigenvalue_rule([[1.0]], -1)
