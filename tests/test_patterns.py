"""Patterns: their loss, what they decode, and that each can learn what only it can learn."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ConfigError
from elman.metrics import is_legal, legal_transitions, tag_scheme
from elman.nn.embedding import NumberInput, TokenEmbedding, WordEmbedding
from elman.nn.encoder import Encoder
from elman.nn.pooling import POOLINGS
from elman.padded import Padded, pad
from elman.patterns import PATTERNS, Classifier, Tagger

BIO = ["O", "B-X", "I-X", "B-Y", "I-Y"]
BIOES = ["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in "XY")]


def make_batch(rows, target=None):
    return SimpleNamespace(
        features={"tokens": pad([torch.tensor(row, dtype=torch.int64) for row in rows])}, target=target
    )


def make(name, *, vocabulary=9, hidden=8, bidirectional=True, **options):
    words = WordEmbedding(TokenEmbedding(vocabulary, 6))
    if name == "fill":
        readers = [Encoder(6, hidden) for _ in range(2)]
        return PATTERNS[name](words, *readers, **({"num_labels": 3, "dropout": 0.0, "gap_id": 2} | options))
    encoder = Encoder(6, hidden, bidirectional=bidirectional and name != "generate")
    outputs = {"generate": {"num_outputs": vocabulary}, "regress": {"num_targets": 3}}
    outputs["regress_steps"] = outputs["regress"]
    return PATTERNS[name](
        words, encoder, **(outputs.get(name, {"num_labels": 3}) | {"dropout": 0.0} | options)
    )


def train(pattern, batch, *, steps=150, rate=0.02):
    optimizer = torch.optim.Adam(pattern.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = pattern.loss(batch)
        loss.backward()
        optimizer.step()
    return loss.item()


def test_a_classifier_s_loss_is_the_mean_over_rows():
    pattern = make("classify")
    batch = make_batch([[1, 2, 3], [4], [5, 6]], torch.tensor([0, 2, 1]))
    expected = -pattern.scores(batch).log_softmax(1)[[0, 1, 2], [0, 2, 1]].mean()
    torch.testing.assert_close(pattern.loss(batch), expected)


@pytest.mark.parametrize("crf", [False, True])
def test_a_tagger_s_loss_is_divided_by_real_steps(crf):
    pattern = make("tag", crf=crf)
    lengths = [3, 1, 2]
    target = Padded(torch.randint(3, (3, 3)), lengths)
    batch = make_batch([[1, 2, 3], [4], [5, 6]], target)
    alone = [
        pattern.loss(make_batch([row], Padded(target.data[place : place + 1, : len(row)], [len(row)]))).item()
        for place, row in enumerate([[1, 2, 3], [4], [5, 6]])
    ]
    expected = sum(loss * length for loss, length in zip(alone, lengths, strict=True)) / 6
    assert pattern.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_weigh_rows_and_are_not_saved():
    weights = torch.tensor([1.0, 2.0, 5.0])
    pattern = make("classify", class_weights=weights)
    assert "class_weights" not in pattern.state_dict()
    batch = make_batch([[1, 2, 3], [4]], torch.tensor([0, 2]))
    losses = -pattern.scores(batch).log_softmax(1)[[0, 1], [0, 2]]
    torch.testing.assert_close(pattern.loss(batch), (losses[0] + 5 * losses[1]) / 6)


@pytest.mark.parametrize("crf", [False, True])
def test_loss_and_steps_adds_up_to_the_loss_and_leaves_out_what_is_not_known(crf):
    pattern = make("tag", crf=crf)
    rows = [[1, 2, 3], [4], [5, 6]]
    target = Padded(torch.randint(3, (3, 3)), [3, 1, 2])
    batch = make_batch(rows, target)
    total, steps = pattern.loss_and_steps(batch, pattern.scores(batch))
    assert steps == 6
    assert total / steps == pytest.approx(pattern.loss(batch).item(), rel=1e-5)
    target.data[0, 1] = -1
    _, known = pattern.loss_and_steps(batch, pattern.scores(batch))
    assert known == (3 if crf else 5)
    target.data[:] = -1
    assert pattern.loss_and_steps(batch, pattern.scores(batch)) == (0.0, 0)


@pytest.mark.parametrize("labels", [BIO, BIOES], ids=["BIO", "BIOES"])
@pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 2**31))
def test_no_illegal_span_is_ever_decoded(crf, labels, lengths, seed):
    torch.manual_seed(seed)
    pattern = make("tag", num_labels=len(labels), crf=crf, legal=legal_transitions(labels)).eval()
    with torch.no_grad():
        pattern.linear.weight.mul_(50)  # far from the mild scores of a network that has learnt nothing
    batch = make_batch([torch.randint(9, (length,)).tolist() for length in lengths])
    for tags, length in zip(pattern.decode(batch).tags, lengths, strict=True):
        assert len(tags) == length
        assert is_legal([labels[tag] for tag in tags], tag_scheme(labels))


@pytest.mark.parametrize("crf", [False, True])
def test_probabilities_are_those_of_the_decoded_tags(crf):
    pattern = make("tag", crf=crf).double().eval()
    batch = make_batch([[1, 2, 3], [4]])
    decoded = pattern.decode(batch)
    every = pattern.crf.marginals(decoded.scores).data if crf else decoded.scores.data.softmax(2)
    for row, (tags, sure) in enumerate(zip(decoded.tags, decoded.probabilities, strict=True)):
        np.testing.assert_allclose(sure, [float(every[row, t, tag].detach()) for t, tag in enumerate(tags)])


@pytest.mark.parametrize("name", POOLINGS)
def test_a_classifier_learns_which_of_two_tokens_came_first(name):
    """An order that no bag of words can tell."""
    rows = [[2, 4, 3], [3, 4, 2], [2, 3], [3, 2], [4, 2, 4, 3], [4, 3, 4, 2]]
    batch = make_batch(rows, torch.tensor([0, 1, 0, 1, 0, 1]))
    pattern = make("classify", num_labels=2, pooling=name)
    assert train(pattern, batch) < 0.05
    assert pattern.scores(batch).argmax(1).tolist() == batch.target.tolist()


@pytest.mark.parametrize("crf", [False, True])
def test_a_tagger_learns_a_tag_that_depends_on_what_follows(crf):
    rows = [[2, 3], [2, 4], [5, 2, 3], [5, 5, 2, 4]]
    tags = [[0, 2], [1, 2], [2, 0, 2], [2, 2, 1, 2]]  # the 2 is tagged by its right neighbour
    batch = make_batch(rows, pad([torch.tensor(row) for row in tags]))
    pattern = make("tag", crf=crf)
    assert train(pattern, batch) < 0.05
    assert pattern.eval().decode(batch).tags == tags


def test_dropout_acts_where_it_is_asked_for():
    pattern = make("classify", dropout=0.5, input_dropout=0.0)
    assert (pattern.input_dropout.p, pattern.output_dropout.p) == (0.0, 0.5)
    pattern = make("tag", dropout=0.4)
    assert (pattern.input_dropout.p, pattern.output_dropout.p) == (0.4, 0.4)
    batch = make_batch([[1, 2, 3]])
    assert not torch.equal(pattern.train().scores(batch).data, pattern.scores(batch).data)
    assert torch.equal(pattern.eval().scores(batch).data, pattern.scores(batch).data)


def test_sparse_embeddings_get_sparse_gradients_through_a_whole_network():
    words = WordEmbedding(TokenEmbedding(9, 6, kind="sparse"))
    pattern = Classifier(words, Encoder(6, 4), num_labels=2)
    pattern.loss(make_batch([[1, 2], [3]], torch.tensor([0, 1]))).backward()
    gradient = words.tokens.weight.grad
    assert gradient.is_sparse
    assert sorted(set(gradient._indices()[0].tolist())) == [0, 1, 2, 3] or not gradient.to_dense()[4:].any()


def test_the_vectors_of_tokens_are_given_where_there_are_any():
    pattern = make("classify")
    assert pattern.token_vectors() is pattern.input_layer.tokens.weight
    with pytest.raises(ConfigError, match="numbers, or one-hot"):
        Classifier(NumberInput(3), Encoder(3, 4), num_labels=2).token_vectors()


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="gives 3 features but the encoder reads 4"):
        Tagger(NumberInput(3), Encoder(4, 4), num_labels=2)
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        make("classify", pooling="meen")


def test_a_window_of_a_bidirectional_network_is_refused():
    with pytest.raises(ConfigError, match="one direction"):
        make("classify").loss(make_batch([[1, 2]], torch.tensor([0])), window=1)


@pytest.mark.parametrize("name", PATTERNS)
def test_weights_are_saved_and_loaded(name):
    first, second = make(name), make(name)
    second.load_state_dict(first.state_dict())
    batch = make_batch([[1, 2, 3], [4]])
    left, right = (pattern.eval().scores(batch) for pattern in (first, second))
    assert torch.equal(*(part.data if isinstance(part, Padded) else part for part in (left, right)))
