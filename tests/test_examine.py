"""Models as tutorials write them, looked at from outside and left as they were; and what is refused."""

import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

import elman
import elman.nn
from elman.errors import ConfigError, DataError, ShapeError, TrainingError
from elman.nn.embedding import TokenEmbedding, WordEmbedding
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.patterns import Tagger
from elman.xray import examine


class PackedClassifier(nn.Module):
    """A sentiment classifier: embedding, packed two-way LSTM, the two final states."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 5, padding_idx=0)
        self.lstm = nn.LSTM(5, 6, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5)
        self.fc = nn.Linear(12, 2)

    def forward(self, text, lengths):
        packed = pack_padded_sequence(self.embedding(text), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return self.fc(torch.cat((hidden[-2], hidden[-1]), 1))


class SentenceTagger(nn.Module):
    """The part-of-speech tagger of the tutorials: one sentence at a time, time first, no batch."""

    def __init__(self):
        super().__init__()
        self.word_embeddings = nn.Embedding(20, 5)
        self.lstm = nn.LSTM(5, 6)
        self.hidden2tag = nn.Linear(6, 4)

    def forward(self, sentence):
        embeds = self.word_embeddings(sentence)
        out, _ = self.lstm(embeds.view(len(sentence), 1, -1))
        return functional.log_softmax(self.hidden2tag(out.view(len(sentence), -1)), dim=1)


class Seq2Seq(nn.Module):
    """An encoder, and a decoder that is called one token at a time, as a layer or as a cell."""

    def __init__(self, by_cell):
        super().__init__()
        self.by_cell = by_cell
        self.embedding = nn.Embedding(20, 5)
        self.encoder = nn.LSTM(5, 6, batch_first=True)
        self.decoder = nn.LSTMCell(5, 6) if by_cell else nn.LSTM(5, 6, batch_first=True)
        self.out = nn.Linear(6, 20)

    def forward(self, source, target):
        _, (hidden, cell) = self.encoder(self.embedding(source))
        if self.by_cell:
            hidden, cell = hidden[0], cell[0]
        scores, token = [], target[:, 0]
        for step in range(target.size(1) - 1):
            if self.by_cell:
                hidden, cell = self.decoder(self.embedding(token), (hidden, cell))
                scores.append(self.out(hidden))
            else:
                output, (hidden, cell) = self.decoder(self.embedding(token.unsqueeze(1)), (hidden, cell))
                scores.append(self.out(output.squeeze(1)))
            token = target[:, step + 1]
        return torch.stack(scores, 1)


def classifier_loss(model, batch):
    return functional.cross_entropy(model(batch["text"], batch["lengths"]), batch["label"])


def tagger_loss(model, batch):
    return functional.nll_loss(model(batch[0]), batch[1])


def translation_loss(model, batch):
    return functional.cross_entropy(model(*batch).flatten(0, 1), batch[1][:, 1:].flatten())


def make_case(name):
    if name == "classifier":
        text = torch.randint(1, 20, (3, 7))
        batch = {"text": text, "lengths": torch.tensor([4, 7, 1]), "label": torch.tensor([0, 1, 1])}
        return PackedClassifier(), batch, classifier_loss
    if name == "tagger":
        return SentenceTagger(), (torch.randint(20, (6,)), torch.randint(4, (6,))), tagger_loss
    batch = torch.randint(20, (3, 5)), torch.randint(20, (3, 6))
    return Seq2Seq(name.endswith("cell")), batch, translation_loss


CASES = ["classifier", "tagger", "seq2seq by layer", "seq2seq by cell"]


@pytest.mark.parametrize("name", CASES)
def test_a_model_as_tutorials_write_it_is_left_untouched(name):
    model, batch, loss_fn = make_case(name)
    model.train()
    getattr(model, "embedding", model).eval()  # modes that differ
    loss_fn(model, batch).backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    chance = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    hooks = [len(module._forward_hooks) for module in model.modules()]
    found = examine(model, batch, loss_fn)
    assert torch.equal(chance[0], torch.get_rng_state()) and chance[1] == random.getstate()
    assert chance[2] == np.random.get_state()[1].tolist()
    assert modes == [module.training for module in model.modules()]
    assert hooks == [len(module._forward_hooks) for module in model.modules()]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    json.dumps(found.to_json(), allow_nan=False)
    model.eval()
    assert found.loss == pytest.approx(float(loss_fn(model, batch).detach()))
    for flow, parameter in zip(found.parameters, model.parameters(), strict=True):
        loss = torch.autograd.grad(loss_fn(model, batch), parameter)[0]
        assert flow.gradient_norm == pytest.approx(float(loss.norm()), rel=1e-4, abs=1e-9)


def test_a_decoder_called_step_by_step_is_one_sequence():
    for name in CASES[2:]:
        model, batch, loss_fn = make_case(name)
        found = examine(model, batch, loss_fn)
        assert [(flow.name, flow.lengths.tolist()) for flow in found.layers] == [
            ("encoder", [5, 5, 5]),
            ("decoder", [5, 5, 5]),
        ]
        assert found.layers[1].lag_norms["state"].lags.tolist() == [0, 1, 2, 3, 4]
        assert not found.notes


def test_a_cell_a_layer_and_a_layer_step_by_step_say_the_same():
    by_layer, batch, loss_fn = make_case("seq2seq by layer")
    by_cell, _, _ = make_case("seq2seq by cell")
    renamed = {
        key.replace("_l0", "") if key.startswith("decoder") else key: v
        for key, v in by_layer.state_dict().items()
    }
    by_cell.load_state_dict(renamed)
    found, other = examine(by_layer.double(), batch, loss_fn), examine(by_cell.double(), batch, loss_fn)
    for flow, same in zip(found.layers, other.layers, strict=True):
        for part in ("hidden", "cell"):
            torch.testing.assert_close(
                flow.gradient_norms[part], same.gradient_norms[part], atol=1e-12, rtol=0
            )
        torch.testing.assert_close(
            flow.lag_norms["state"].frobenius, same.lag_norms["state"].frobenius, equal_nan=True
        )


def test_gradients_of_a_cell_in_a_loop_are_autograds():
    cell = nn.GRUCell(3, 4).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def loss_fn(cell, x, keep=None):
        hidden, total = torch.zeros(2, 4, dtype=torch.float64), 0.0
        for t, step in enumerate(x):
            hidden = cell(step, hidden)
            if keep is not None:
                hidden.retain_grad()
                keep.append(hidden)
            total = total + (t + 1) * hidden.sin().sum()
        return total

    states = []
    loss_fn(cell, x, states).backward()
    want = torch.stack([state.grad.norm(dim=1) for state in states], 1)
    found = examine(cell, x, loss_fn)
    torch.testing.assert_close(found.layers[0].gradient_norms["hidden"], want, atol=1e-12, rtol=1e-12)


def test_truncation_is_seen_in_the_gradients_and_not_in_the_jacobians():
    layer = nn.GRU(2, 3, batch_first=True).double()
    x = torch.randn(1, 8, 2, dtype=torch.float64)

    def loss_fn(layer, x, cut=True):
        _, state = layer(x[:, :4])
        return layer(x[:, 4:], state.detach() if cut else state)[0][:, -1].sum()

    cut = examine(layer, x, loss_fn).layers[0]
    whole = examine(layer, x, lambda layer, x: loss_fn(layer, x, cut=False)).layers[0]
    assert not cut.gradient_norms["hidden"][0, :4].any() and whole.gradient_norms["hidden"][0, :4].all()
    assert torch.equal(cut.gradient_norms["hidden"][0, 4:], whole.gradient_norms["hidden"][0, 4:])
    torch.testing.assert_close(
        cut.lag_norms["hidden"].frobenius, whole.lag_norms["hidden"].frobenius, equal_nan=True
    )


def test_writing_into_an_output_changes_neither_loss_nor_record():
    layer = nn.RNN(2, 3, batch_first=True).double()
    x = torch.randn(2, 4, 2, dtype=torch.float64)

    def writing(layer, x):
        output, _ = layer(x)
        output[:, 2:] = 0
        return output.sum()

    written = examine(layer, x, writing).layers[0]
    other = examine(layer, x, lambda layer, x: layer(x)[0][:, :2].sum()).layers[0]
    torch.testing.assert_close(written.gradient_norms["hidden"], other.gradient_norms["hidden"])


def test_a_pattern_of_elman_needs_no_loss_function():
    words = WordEmbedding(TokenEmbedding(9, 3, kind="sparse"))
    tagger = Tagger(words, Encoder(3, 4, bidirectional=True, num_layers=2), num_labels=5, crf=True)
    tokens = Padded(torch.randint(1, 9, (2, 4)), torch.tensor([4, 2]))
    batch = SimpleNamespace(features={"tokens": tokens}, target=tokens.with_data(torch.ones(2, 4).long()))
    found = elman.xray.examine(tagger, batch)
    assert found.loss == pytest.approx(float(tagger.eval().loss(batch).detach()))
    assert [(flow.layer, flow.direction) for flow in found.layers] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert not any(flow.gradient_norms["hidden"][1, 2:].any() for flow in found.layers)


def test_frozen_layers_are_seen_through():
    model, batch, loss_fn = make_case("classifier")
    want = examine(model, batch, loss_fn).layers
    for parameter in (*model.embedding.parameters(), *model.lstm.parameters()):
        parameter.requires_grad_(False)
    found = examine(model, batch, loss_fn)
    for flow, same in zip(found.layers, want, strict=True):
        torch.testing.assert_close(flow.gradient_norms["hidden"], same.gradient_norms["hidden"])
    assert all(flow.gradient_norm is None for flow in found.parameters if flow.name.startswith("lstm"))


def test_half_precision_is_re_run_in_float64_and_that_is_said():
    layer = nn.GRU(2, 3).to(torch.bfloat16)
    found = examine(layer, torch.randn(4, 1, 2, dtype=torch.bfloat16), lambda net, x: net(x)[0].float().sum())
    assert any("bfloat16, the re-run in torch.float64" in note for note in found.layers[0].notes)


def test_gates_count_what_is_saturated_and_what_is_dead():
    layer = nn.LSTM(1, 2, batch_first=True).double()
    for parameter in layer.parameters():
        parameter.data.zero_()
    layer.bias_ih_l0.data[2] = 9.0  # the first unit's forget gate
    found = examine(layer, torch.ones(1, 3, 1, dtype=torch.float64), lambda net, x: net(x)[0].sum())
    gates = {gate.name: gate for gate in found.layers[0].gates}
    assert gates["forget_gate"].saturated.tolist() == [1.0, 0.0]
    assert gates["forget_gate"].mean.tolist() == pytest.approx([1 / (1 + np.exp(-9)), 0.5])
    assert gates["input_gate"].saturated_share == 0
    relu = nn.RNN(1, 3, nonlinearity="relu").double()
    relu.weight_ih_l0.data.fill_(1.0)
    relu.bias_ih_l0.data = torch.tensor([0.0, -99.0, 0.0], dtype=torch.float64)
    (gate,) = (
        examine(relu, torch.ones(4, 1, 1, dtype=torch.float64), lambda net, x: net(x)[0].sum())
        .layers[0]
        .gates
    )
    assert gate.dead == (1,)


def test_gradients_of_gates_sum_to_those_of_the_biases():
    layer = nn.GRU(
        2, 1, batch_first=True
    ).double()  # of one unit and one row a gate's gradient has one number
    x = torch.randn(1, 1, 2, dtype=torch.float64)
    found = examine(layer, x, lambda net, x: net(x)[0].sum())
    layer(x)[0].sum().backward()
    got = torch.cat([gate.gradient_norm[0] for gate in found.layers[0].gates])
    torch.testing.assert_close(got, layer.bias_ih_l0.grad.abs(), atol=1e-12, rtol=0)


def total(net, x):
    return net(x)[0].sum()


class Scaled(nn.GRU):
    """A layer that is not what it seems."""

    def forward(self, *arguments):
        output, state = super().forward(*arguments)
        return 2 * output, state


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.linear = nn.RNN(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return (self.linear(x),)


def went_back(model, batch):
    loss = total(model, batch)
    loss.backward()
    return loss


NORMED = elman.nn.Regularisation(layer_norm=True)


@pytest.mark.parametrize(
    ("model", "batch", "loss_fn", "error", "words"),
    [
        (nn.Linear(2, 2), torch.ones(1, 2), total, ConfigError, "no recurrent layer"),
        (Unused(), torch.ones(3, 2), total, ConfigError, "never calls rnn"),
        (nn.RNN(2, 2), torch.ones(3, 1, 2), None, ConfigError, "needs a loss_fn"),
        (
            nn.RNN(2, 2),
            (torch.ones(1), {"x": torch.tensor([torch.nan])}),
            total,
            DataError,
            r"batch\[1\]\['x'\]",
        ),
        (nn.RNN(2, 2), torch.ones(3, 1, 2), lambda net, x: net(x)[0], ShapeError, r"\(3, 1, 2\)"),
        (
            nn.RNN(2, 2),
            torch.ones(3, 1, 2),
            lambda net, x: total(net, x).detach(),
            ConfigError,
            "no gradient",
        ),
        (nn.RNN(2, 2), torch.ones(3, 1, 2), lambda net, x: total(net, x) / 0, TrainingError, "comes after"),
        (nn.RNN(2, 2), torch.ones(3, 0, 2), total, ShapeError, "no rows"),
        (nn.RNN(2, 2), torch.ones(3, 1, 2), went_back, ConfigError, "before any backward pass"),
        (Scaled(2, 2), torch.ones(3, 1, 2), total, ConfigError, "not the plain GRU"),
        (elman.nn.LSTM(2, 2, regularisation=NORMED), torch.ones(3, 1, 2), total, ConfigError, "layer_norm"),
    ],
)
def test_what_cannot_be_examined_is_said_in_one_message(model, batch, loss_fn, error, words):
    with pytest.raises(error, match=words):
        examine(model, batch, loss_fn)
    assert all(not module._forward_hooks for module in model.modules())
    assert all(module.training for module in model.modules())


def test_a_layer_that_is_held_and_never_called_is_noted():
    model, batch, loss_fn = make_case("tagger")
    model.spare = nn.GRU(2, 2)
    assert any("'spare' is never called" in note for note in examine(model, batch, loss_fn).notes)


@pytest.mark.parametrize("lengths", [[0, 0], [1, 0]])
def test_rows_without_steps_are_empty_and_not_nan(lengths):
    layer = elman.nn.LSTM(2, 3, batch_first=True, bidirectional=True)
    found = examine(layer, torch.ones(2, 1, 2), lambda net, x: net(x, lengths=lengths)[0].sum())
    for flow in found.layers:
        assert not flow.gradient_norms["hidden"][1].any() and flow.memory_horizon is None
        assert all(gate.mean.isfinite().all() for gate in flow.gates)
    json.dumps(found.to_json(), allow_nan=False)


def test_the_same_seed_gives_the_same_numbers():
    layer = nn.GRU(2, 9)
    x = torch.randn(30, 4, 2)
    first, second, other = (
        examine(layer, x, total, places=5, exact_up_to=4, seed=seed).to_json() for seed in (1, 1, 2)
    )
    assert first == second != other


def test_no_places_are_refused():
    with pytest.raises(ConfigError, match="places is 0"):
        examine(nn.GRU(2, 3), torch.ones(3, 1, 2), total, places=0)


def test_what_is_measured_is_told_layer_by_layer():
    told = []
    layer = nn.GRU(2, 3, num_layers=2, bidirectional=True)
    examine(
        nn.ModuleDict({"rnn": layer}), torch.ones(3, 1, 2), lambda m, x: total(m["rnn"], x), tell=told.append
    )
    ways = ("forward", "backward")
    assert told == [f"rnn layer {number} of 2 {way}" for number in (2, 1) for way in ways]
