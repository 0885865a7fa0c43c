"""Embeddings: what moves and what does not, how often a word is hidden, and spellings of any length."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from elman.errors import ConfigError, ShapeError
from elman.nn.embedding import EMBEDDINGS, CharacterSummary, NumberInput, TokenEmbedding, WordEmbedding
from elman.padded import Padded, pad

EXACT = 1e-12
KINDS = ("recurrent", "convolution")


def make(kind, **options):
    return TokenEmbedding(6, None if kind == "one-hot" else 4, kind=kind, **options)


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_padding_gives_zeros_and_tokens_do_not(kind):
    vectors = make(kind)(torch.tensor([[2, 0], [5, 0]]))
    assert not vectors[:, 1].any()
    assert vectors[:, 0].any(1).all()


@pytest.mark.parametrize("kind", ["trainable", "sparse"])
def test_only_the_rows_in_use_move_and_padding_never_does(kind):
    embedding = make(kind)
    before = embedding.weight.detach().clone()
    embedding(torch.tensor([[2, 0, 3, 2]])).pow(2).sum().backward()
    gradient = embedding.weight.grad.to_dense()
    assert embedding.weight.grad.is_sparse == (kind == "sparse")
    assert gradient.any(1).tolist() == [False, False, True, True, False, False]
    torch.testing.assert_close(gradient[2], 4 * before[2])  # the sum of two uses of the derivative 2 v
    torch.testing.assert_close(gradient[3], 2 * before[3])


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_padding_stays_zero_under_optimisers_with_memory_and_decay(name):
    embedding = make("trainable")
    optimizer = getattr(torch.optim, name)(embedding.parameters(), lr=0.1, weight_decay=0.1)
    for ids in ([[2, 0]], [[3, 0]], [[0, 0]]):
        optimizer.zero_grad()
        embedding(torch.tensor(ids)).sum().backward()
        optimizer.step()
    assert not embedding.weight[0].any()


def test_frozen_vectors_stay_as_given_and_are_saved():
    vectors = torch.randn(6, 4)
    embedding = make("frozen", vectors=vectors)
    assert not embedding.weight.requires_grad
    assert torch.equal(embedding(torch.tensor([3])), vectors[3:4])
    other = make("frozen")
    other.load_state_dict(embedding.state_dict())
    assert torch.equal(other.weight, embedding.weight)


def test_given_vectors_are_copied_and_their_padding_row_is_cleared():
    vectors = torch.ones(6, 4)
    embedding = make("trainable", vectors=vectors)
    assert not embedding.weight[0].any()
    assert vectors[0].all()
    assert embedding.weight[1:].all()


def test_one_hot_vectors_are_the_rows_of_the_identity_but_for_padding():
    expected = torch.eye(6, dtype=torch.float64)
    expected[0, 0] = 0
    embedding = make("one-hot").double()
    assert torch.equal(embedding(torch.arange(6)), expected)
    assert not list(embedding.parameters())
    assert not embedding.state_dict()


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_tokens_are_hidden_as_often_as_their_count_says(kind):
    counts = torch.tensor([0, 0, 1, 3, 12, 0])
    embedding = make(kind, counts=counts, unknown_rate=0.25)
    ids = torch.arange(6).repeat(20_000, 1)
    unknown = embedding.eval()(torch.tensor([1]))
    hidden = (embedding.train()(ids) == unknown).all(2).double().mean(0).tolist()
    expected = [0.0, 1.0, 0.25 / 1.25, 0.25 / 3.25, 0.25 / 12.25, 1.0]
    # Four standard deviations of a share of 20,000 draws.
    assert hidden == pytest.approx(expected, abs=4 * (0.25 / 20_000) ** 0.5)


def test_nothing_is_hidden_outside_training_or_without_a_rate():
    counts = torch.ones(6)
    ids = torch.arange(6)
    embedding = make("trainable", counts=counts, unknown_rate=100.0)
    assert torch.equal(embedding.eval()(ids), embedding.weight)
    state = torch.get_rng_state()
    make("trainable", counts=counts).train()(ids)  # its weights are drawn, hence the state is taken again
    plain = make("trainable", counts=counts).train()
    state = torch.get_rng_state()
    assert torch.equal(plain(ids), plain.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_hiding_follows_torch_s_generator_so_that_it_can_be_resumed():
    embedding = make("trainable", counts=torch.ones(6), unknown_rate=1.0).train()
    ids = torch.randint(6, (50,))
    state = torch.get_rng_state()
    first = embedding(ids)
    torch.set_rng_state(state)
    assert torch.equal(embedding(ids), first)
    assert not torch.equal(embedding(ids), first)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": 4, "kind": "trainable_"}, ConfigError, "did you mean 'trainable'"),
        ({}, ConfigError, "needs a size"),
        ({"kind": "one-hot", "size": 4}, ConfigError, "one number a token, 6"),
        ({"kind": "one-hot", "vectors": torch.eye(6)}, ConfigError, "leave out size and vectors"),
        ({"vectors": torch.ones(5, 4)}, ShapeError, r"expected \(6, any\)"),
        ({"size": 3, "vectors": torch.ones(6, 4)}, ShapeError, r"expected \(6, 3\)"),
        ({"size": 4, "unknown_rate": 0.5}, ConfigError, "no counts"),
        ({"size": 4, "unknown_rate": 0.5, "counts": torch.ones(5)}, ShapeError, "one a token"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        TokenEmbedding(6, **options)


words = st.lists(st.lists(st.integers(1, 8), max_size=7), min_size=1, max_size=5)


@pytest.mark.parametrize("kind", KINDS)
@given(words, st.integers(0, 4), st.integers(0, 2**31))
def test_a_word_s_summary_does_not_depend_on_padding_or_other_words(kind, spellings, extra, seed):
    torch.manual_seed(seed)
    summary = CharacterSummary(9, 4, kind=kind, embedding_size=3).double().eval()
    batch = pad([torch.tensor(word, dtype=torch.long) for word in spellings])
    garbage = torch.randint(9, (len(spellings), batch.data.size(1) + extra))
    garbage[:, : batch.data.size(1)] = torch.where(batch.mask, batch.data, garbage[:, : batch.data.size(1)])
    together = summary(Padded(garbage, batch.lengths))
    for word, vector in zip(spellings, together, strict=True):
        alone = summary(Padded(torch.tensor([word], dtype=torch.long), [len(word)]))[0]
        torch.testing.assert_close(vector, alone, atol=EXACT, rtol=EXACT)
        assert word or not vector.any()


@given(st.lists(st.integers(1, 8), min_size=1, max_size=7), st.integers(0, 2**31))
def test_the_convolution_is_its_definition(word, seed):
    """max over places of filter . window + b, zeros around the word, relu."""
    torch.manual_seed(seed)
    summary = CharacterSummary(9, 4, kind="convolution", embedding_size=3).double()
    vectors = summary.embedding(torch.tensor(word))
    expected = []
    for layer in summary.reader.filters:
        width = layer.weight.size(2)
        around = torch.zeros(width // 2, 3, dtype=torch.float64)
        padded = torch.cat([around, vectors, around])
        windows = torch.stack([padded[place : place + width].T for place in range(len(word))])
        expected.append(((windows.unsqueeze(1) * layer.weight).sum((2, 3)) + layer.bias).max(0).values)
    found = summary(Padded(torch.tensor([word]), [len(word)]))[0]
    torch.testing.assert_close(found, torch.cat(expected).relu(), atol=EXACT, rtol=EXACT)


@given(words, st.integers(0, 2**31))
def test_the_convolution_and_its_gradients_are_those_of_torch(spellings, seed):
    torch.manual_seed(seed)
    summary = CharacterSummary(9, 6, kind="convolution", embedding_size=3).double()
    batch = pad([torch.tensor(word, dtype=torch.long) for word in spellings])
    if not batch.data.size(1):
        return
    leaves = list(summary.parameters())

    def slopes(found):
        upstream = torch.arange(found.numel(), dtype=found.dtype).cos().view_as(found)
        return torch.autograd.grad(found, leaves, upstream, allow_unused=True, materialize_grads=True)

    vectors = batch.with_data(summary.embedding(batch.data)).masked().data.transpose(1, 2)
    maps = [
        functional.conv1d(vectors, layer.weight, layer.bias, padding=layer.weight.size(2) // 2)
        for layer in summary.reader.filters
    ]
    hidden = torch.cat(maps, 1).masked_fill(~batch.mask.unsqueeze(1), -torch.inf).amax(2)
    expected = torch.where(batch.lengths.unsqueeze(1) > 0, hidden.relu(), 0.0)
    found = summary(batch)
    torch.testing.assert_close(found, expected, atol=EXACT, rtol=EXACT)
    # Places that share a maximum show the same characters: wherever its gradient goes, the sums are the same.
    for own, plain in zip(slopes(found), slopes(expected), strict=True):
        torch.testing.assert_close(own, plain, atol=EXACT, rtol=EXACT)


def test_the_recurrent_summary_is_what_both_directions_end_with():
    summary = CharacterSummary(9, 4, embedding_size=3, cell="gru").double()
    word = torch.tensor([[3, 1, 4, 1, 5]])
    _, final = summary.reader.layer(summary.embedding(word))
    torch.testing.assert_close(summary(Padded(word, [5]))[0], final[:, 0].flatten(), atol=EXACT, rtol=EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_no_words_at_all_have_no_summaries(kind):
    summary = CharacterSummary(9, 4, kind=kind)
    assert summary(Padded(torch.zeros(0, 3, dtype=torch.long), [])).shape == (0, 4)
    assert summary(Padded(torch.zeros(2, 0, dtype=torch.long), [0, 0])).tolist() == [[0.0] * 4] * 2


def test_words_and_their_spellings_stand_side_by_side():
    layer = WordEmbedding(TokenEmbedding(9, 4), CharacterSummary(7, 6, kind="convolution"))
    tokens = Padded(torch.tensor([[3, 2, 3], [2, 0, 0]]), torch.tensor([3, 1]))
    which = Padded(torch.tensor([[1, 0, 1], [0, 0, 0]]), tokens.lengths)
    spellings = Padded(torch.tensor([[4, 5], [6, 0]]), torch.tensor([2, 1]))
    found = layer({"tokens": tokens, "spellings": spellings, "spelling_of": which})
    summary = layer.characters(spellings)
    assert found.data.shape == (2, 3, layer.output_size)
    assert torch.equal(found.data[0, 0], torch.cat([layer.tokens.weight[3], summary[1]]))
    assert torch.equal(found.data[1, 0], torch.cat([layer.tokens.weight[2], summary[0]]))


def test_the_vector_of_a_pair_is_added_to_that_of_its_second_token():
    layer = WordEmbedding(TokenEmbedding(9, 4), pairs=TokenEmbedding(5, 4))
    tokens, pairs = Padded(torch.tensor([[3, 2]]), [2]), Padded(torch.tensor([[0, 4]]), [2])
    found = layer({"tokens": tokens, "pairs": pairs}).data[0]
    assert torch.equal(found[0], layer.tokens.weight[3])
    assert torch.equal(found[1], layer.tokens.weight[2] + layer.pairs.weight[4])
    with pytest.raises(ConfigError, match="make them alike"):
        WordEmbedding(TokenEmbedding(9, 4), pairs=TokenEmbedding(5, 3))


def test_a_batch_without_words_is_read():
    layer = WordEmbedding(TokenEmbedding(9, 4), CharacterSummary(7, 6))
    nothing = Padded(torch.zeros(2, 1, dtype=torch.long), [0, 0])
    spellings = Padded(torch.zeros(0, 1, dtype=torch.long), [])
    assert layer({"tokens": nothing, "spelling_of": nothing, "spellings": spellings}).data.shape == (2, 1, 10)


def test_numbers_pass_as_they_are_or_through_a_line():
    numbers = Padded(torch.randn(2, 3, 4), [3, 1])
    assert NumberInput(4)({"numbers": numbers}) is numbers
    layer = NumberInput(4, 5)
    found = layer({"numbers": numbers}).data[0]
    torch.testing.assert_close(found, numbers.data[0] @ layer.linear.weight.T + layer.linear.bias)


def test_features_of_another_kind_are_refused():
    with pytest.raises(ShapeError, match="the batch has no 'numbers', only tokens"):
        NumberInput(4)({"tokens": Padded(torch.zeros(1, 1), [1])})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 5}, "even number"),
        ({"size": 4, "kind": "recurent"}, "'recurrent'"),
        ({"size": 4, "cell": "x"}, "cell"),
    ],
)
def test_a_summary_that_cannot_be_made_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        CharacterSummary(9, **options)
