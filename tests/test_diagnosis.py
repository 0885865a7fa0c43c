"""Each rule finds what it is for in a network made ill on purpose, and is silent on healthy ones."""

import math
import shlex

import numpy as np
import pytest
import torch
from torch import nn

import elman
from elman.cli.flags import read_train
from elman.tasks.lag_alarm import lag_alarm
from elman.xray import diagnose, examine
from elman.xray.rules import RULES

STEPS = 8
LAYERS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def last_loss(layer, x):
    return layer(x)[0][-1].square().sum()


def every_loss(layer, x):
    return layer(x)[0].square().mean()


def look(layer, steps=STEPS, loss=last_loss, inputs=2, rows=4, **more):
    return diagnose(examine(layer, torch.randn(steps, rows, inputs), loss, places=4), **more)


def named(found, name):
    found = [one for one in found if one.name == name]
    for one in found:
        assert one.evidence and one.explanation.endswith(".") and 0 <= one.severity <= 1
    return found


def scale_recurrent(layer, factor):
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            weight.data *= factor
    return layer


def set_bias(layer, gate, value):
    cell = elman.cells.MODES[layer.mode]
    size, place = layer.hidden_size, cell.gates.index(gate)
    layer.bias_ih_l0.data[place * size : (place + 1) * size] = value
    return layer


@pytest.mark.parametrize("loss", [last_loss, every_loss])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", LAYERS)
def test_no_rule_speaks_of_a_fresh_network_on_short_sequences(kind, seed, loss):
    torch.manual_seed(seed)
    layer = LAYERS[kind](2, 8, num_layers=2, bidirectional=True)
    curve = [(step, 2 * math.exp(-step / 40) + 0.1 * float(torch.rand(()))) for step in range(100)]
    scores = {"exposure_gap": 0.01, "accuracy": 0.9}
    assert look(layer, loss=loss, curve=curve, norms=curve, scores=scores, leaks=[]) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_no_rule_speaks_of_chrono_gates_on_the_sequences_they_are_made_for(cell, seed):
    torch.manual_seed(seed)
    encoder = elman.nn.encoder.Encoder(2, 16, cell=cell, init="chrono", memory_steps=50)

    def loss(network, x):
        lengths = torch.full((len(x),), x.size(1))
        return network(elman.padded.Padded(x, lengths))[0].last().square().sum()

    found = examine(encoder, torch.randn(4, 50, 2), loss, places=4)
    assert diagnose(found, memory_steps=49) == []


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_tiny_recurrent_weights_are_vanishing_gradients(backward):
    layer = scale_recurrent(nn.RNN(2, 16, bidirectional=backward), 0.1)

    def first(layer, x):
        return layer(x)[0][0, :, 16:].square().sum()

    found = named(look(layer, 20, loss=first if backward else last_loss), "vanishing")
    assert found[0].severity == 1 and found[0].remedy.startswith(
        "--cell lstm --init chrono --memory-steps 20"
    )
    assert found[0].layer == ("layer 1 backward" if backward else "layer 1")
    assert len(found) == 1


def test_the_share_that_is_left_of_a_linear_network_is_a_power():
    layer = nn.RNN(1, 1, nonlinearity="relu", dtype=torch.float64)
    for parameter, value in zip(layer.parameters(), (1.0, 0.5, 0.0, 1.0), strict=True):
        parameter.data.fill_(value)
    found = examine(layer, torch.ones(16, 3, 1, dtype=torch.float64), lambda net, x: net(x)[0][-1].sum())
    (one,) = named(diagnose(found), "vanishing")
    assert f"{0.5**15:.2g} of its largest" in one.evidence
    assert one.severity == pytest.approx(math.log(0.5**15) / math.log(1e-7))


def test_huge_recurrent_weights_are_exploding_gradients():
    layer = nn.RNN(2, 16, nonlinearity="relu")
    for parameter in layer.parameters():
        parameter.data.abs_()
    layer.weight_hh_l0.data = 2 * torch.eye(16)
    found = named(diagnose(examine(layer, torch.rand(20, 4, 2), last_loss)), "exploding")
    assert f"{2.0**19:.3g} times" in found[0].evidence and "19 steps" in found[0].evidence
    assert found[0].severity == 1 and "--clip-norm 1" in found[0].remedy


def test_a_jump_of_the_gradient_norm_is_an_explosion():
    norms = [(step, 1.0) for step in range(50)]
    assert named(look(nn.GRU(2, 4), norms=[*norms, (50, 99.0)]), "exploding") == []
    (one,) = named(look(nn.GRU(2, 4), norms=[*norms, (50, 101.0)]), "exploding")
    assert one.layer is None
    chosen = {"clip_norm": 1.0, "learning_rate": 0.01}
    (one,) = named(look(nn.GRU(2, 4), norms=[*norms, (50, 101.0)], chosen=chosen), "exploding")
    assert one.remedy.endswith("--clip-norm 0.25 --learning-rate 0.005")
    assert named(look(nn.GRU(2, 4), norms=[*norms, (50, math.inf)]), "exploding")[0].severity == 1


@pytest.mark.parametrize("bias", [-10, 10])
@pytest.mark.parametrize(
    ("kind", "gate"), [("GRU", "reset_gate"), ("LSTM", "input_gate"), ("LSTM", "output_gate")]
)
def test_gates_with_large_biases_are_saturated(kind, gate, bias):
    found = named(look(set_bias(LAYERS[kind](2, 16), gate, bias)), "saturated gates")
    assert len(found) == 1 and gate.replace("_", " ") in found[0].evidence and found[0].severity == 1


def test_a_tanh_network_of_huge_weights_is_saturated():
    layer = scale_recurrent(nn.RNN(2, 64), 50)
    examined = examine(layer, torch.randn(STEPS, 4, 2), last_loss, places=4)
    found = named(diagnose(examined), "saturated gates")
    assert len(found) == 1 and "beyond 0.95" in found[0].evidence


@pytest.mark.parametrize(("kind", "gate"), [("GRU", "update_gate"), ("LSTM", "forget_gate")])
def test_shut_keeping_gates_forget_too_fast_and_open_ones_never(kind, gate):
    (one,) = named(look(set_bias(LAYERS[kind](2, 16), gate, -10)), "forgets too fast")
    assert one.remedy == f"--init chrono --memory-steps {STEPS} --clip-norm 1" and one.severity > 0.9
    (one,) = named(look(set_bias(LAYERS[kind](2, 16), gate, 10)), "never forgets")
    assert "100%" in one.evidence


def test_what_must_be_remembered_and_is_not_is_forgotten_too_fast():
    assert named(look(nn.LSTM(2, 16), 40, every_loss), "forgets too fast") == []
    (one,) = named(look(nn.LSTM(2, 16), 40, every_loss, memory_steps=35), "forgets too fast")
    assert "after 35 steps" in one.evidence and "--memory-steps 35" in one.remedy
    assert named(look(nn.LSTM(2, 16), 40, every_loss, memory_steps=3), "forgets too fast") == []


def test_a_tanh_layer_is_not_trusted_to_hold_what_a_gated_one_may():
    layer = nn.RNN(2, 16)
    nn.init.orthogonal_(layer.weight_hh_l0)
    layer.weight_ih_l0.data *= 0.01
    (one,) = named(look(layer, 40, memory_steps=30), "forgets too fast")
    assert "without a gate" in one.evidence and one.severity == pytest.approx((1 - 10 / 30) / 2)
    assert one.remedy.startswith("--cell lstm")
    assert named(look(layer, 40, memory_steps=10), "forgets too fast") == []
    assert named(look(layer, 40), "forgets too fast") == []


def test_a_half_open_gate_that_can_still_learn_weighs_less_than_none():
    plain, gated = nn.RNN(2, 16), nn.LSTM(2, 16)
    for layer in (plain, gated):
        for name, value in layer.named_parameters():
            value.data *= 0.1 if "weight" in name else 0.0
    (worse,) = named(look(plain, 40), "vanishing")
    (better,) = named(look(gated, 40), "vanishing")
    assert better.severity == pytest.approx(worse.severity / 4, rel=0.05)
    gated.bias_ih_l0.data[16:32] = -20.0  # shut for good
    (shut,) = named(look(gated, 40), "vanishing")
    assert shut.severity > 0.9


def test_relu_units_with_negative_biases_are_dead():
    layer = nn.RNN(2, 16, nonlinearity="relu")
    layer.bias_ih_l0.data[:10] = -100.0
    (one,) = named(look(layer), "dead ReLU")
    dead = round(16 * (1 - 16**-one.severity))
    assert 10 <= dead < 16 and f"{dead} of 16 units" in one.evidence
    layer.bias_ih_l0.data[:] = -100.0
    assert named(look(layer), "dead ReLU")[0].severity == 1.0


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.rnn = nn.GRU(4, 8)

    def forward(self, ids):
        return self.rnn(self.embedding(ids))[0].square().mean()


def test_embeddings_without_a_gradient_do_not_learn():
    tagger, ids = Tagger(), torch.randint(9, (STEPS, 4))
    assert diagnose(examine(tagger, ids, lambda net, x: net(x))) == []
    tagger.rnn.weight_ih_l0.data.zero_()
    (one,) = named(diagnose(examine(tagger, ids, lambda net, x: net(x))), "embeddings not learning")
    assert one.layer == "embedding.weight" and "its gradient is 0" in one.evidence


def test_losses_that_jump_are_spikes_and_noise_is_not():
    random = np.random.default_rng(0)
    noise = [(step, float(value)) for step, value in enumerate(random.gamma(8.0, 0.1, 2000))]
    assert named(look(nn.GRU(2, 4), curve=noise), "loss spikes") == []
    calm = [(step, 1.0 + 0.01 * float(value)) for step, value in enumerate(random.normal(size=100))]
    one_spike = [*calm[:50], (50, 3.0), *calm[51:]]
    assert named(look(nn.GRU(2, 4), curve=one_spike), "loss spikes") == []
    two = [*one_spike[:80], (80, 4.0), *one_spike[81:]]
    (one,) = named(look(nn.GRU(2, 4), curve=two, chosen={"learning_rate": 0.01}), "loss spikes")
    assert one.evidence.startswith("2 of 100 losses") and "first at step 50" in one.evidence
    assert one.remedy.endswith("--learning-rate 0.005")
    (one,) = named(look(nn.GRU(2, 4), curve=[*calm, (100, math.nan)]), "loss spikes")
    assert one.severity == 1


def test_scores_of_the_run_are_read():
    assert look(nn.GRU(2, 4), scores={"exposure_gap": 0.05, "alarms": []}) == []
    (one,) = look(nn.GRU(2, 4), scores={"exposure_gap": 0.25})
    assert one.name == "exposure bias" and "25.0 points" in one.evidence
    walk = np.cumsum(np.random.default_rng(0).normal(size=200))
    alarm = lag_alarm(walk[1:, None], walk[:-1, None], walk[:-1])
    (one,) = look(nn.GRU(2, 4), scores={"alarms": [alarm]})
    assert one.name == "last-value forecaster" and "squared distance" in one.evidence


def test_leaks_are_passed_on():
    (one,) = look(nn.GRU(2, 4), leaks=["values change with the amount of padding"])
    assert one.name == "padding leak" and one.severity == 1


def ill_networks():
    """Yield diagnoses of every rule."""
    yield from look(scale_recurrent(nn.RNN(2, 16), 0.1), 20)
    yield from look(nn.LSTM(2, 16), 40, chosen={"init": "chrono", "memory_steps": 30})
    yield from look(set_bias(nn.LSTM(2, 16), "forget_gate", 10))
    yield from look(set_bias(nn.LSTM(2, 16), "forget_gate", -10))
    yield from look(set_bias(nn.LSTM(2, 16), "output_gate", 10))
    dead = nn.RNN(2, 16, nonlinearity="relu")
    dead.bias_ih_l0.data.fill_(-100.0)
    yield from look(dead)
    for chosen in ({}, {"clip_norm": 1.0, "learning_rate": 0.01}):
        jumps = [(step, 1.0 + 2e6 * (step % 30 == 29)) for step in range(100)]
        yield from look(nn.GRU(2, 4), curve=jumps, norms=jumps, chosen=chosen)
    yield from look(nn.GRU(2, 4), scores={"exposure_gap": 0.5, "alarms": ["it repeats"]}, leaks=["a leak"])
    tagger = Tagger()
    tagger.rnn.weight_ih_l0.data.zero_()
    yield from diagnose(examine(tagger, torch.zeros(3, 2, dtype=torch.long), lambda net, x: net(x)))


def test_every_remedy_is_flags_that_train_takes():
    names = set()
    for one in ill_networks():
        names.add(one.name)
        read_train(["--task", "classify", "--train", "a.csv", *shlex.split(one.remedy)])
    assert names == set(RULES)


def test_the_worst_comes_first():
    found = look(set_bias(nn.LSTM(2, 16), "input_gate", 10), 20, scores={"exposure_gap": 0.2})
    severities = [one.severity for one in found]
    assert len(found) >= 2 and severities == sorted(severities, reverse=True)
