"""PADDING, for the encoder-decoder: padding and batch-mates change neither losses, gradients nor outputs.

The padding of sources and targets is filled with garbage; the last tests plant the usual bugs and see the
laws fail.
"""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tolerances import SAME_GRADIENT, SAME_ROW

from elman.nn import attention, encoder
from elman.nn.attention import ATTENTIONS
from elman.nn.decoder import Decoder, DecoderState
from elman.nn.embedding import TokenEmbedding, WordEmbedding
from elman.nn.encoder import LAYERS, Encoder
from elman.padded import Padded
from elman.patterns.translate import STOP, EncoderDecoder

SOURCES, TARGETS = 7, 8
DTYPE = torch.float64


@dataclass
class Batch:
    features: dict[str, Padded]
    target: Padded


def make_pattern(kind="multiplicative", *, cell="lstm", both=True, layers=1, dtype=DTYPE, smoothing=0.1):
    words = WordEmbedding(TokenEmbedding(SOURCES, 3))
    reader = Encoder(3, 4, cell=cell, bidirectional=both, num_layers=layers)
    writer = Decoder(TARGETS, 3, 5, reader, attention=kind, cell=cell, num_layers=layers)
    return EncoderDecoder(words, reader, writer, label_smoothing=smoothing).to(dtype).eval()


def fill(rows, extra, highest):
    data = torch.randint(0, highest, (len(rows), max(map(len, rows)) + extra))
    for place, row in enumerate(rows):
        data[place, : len(row)] = row
    return Padded(data, torch.tensor([len(row) for row in rows]))


def make_pairs(lengths):
    return [
        (
            torch.randint(1, SOURCES, (source,)),
            torch.cat((torch.randint(4, TARGETS, (target,)), torch.tensor([STOP]))),
        )
        for source, target in lengths
    ]


def make_batch(pairs, extra=0):
    sources, targets = zip(*pairs, strict=True)
    return Batch({"tokens": fill(sources, extra, SOURCES)}, fill(targets, extra, TARGETS))


def summed_loss(pattern, batch):
    return pattern.loss(batch) * int(batch.target.lengths.sum())


def gradients(pattern, loss):
    found = torch.autograd.grad(loss, list(pattern.parameters()), allow_unused=True, materialize_grads=True)
    return dict(zip((name for name, _ in pattern.named_parameters()), found, strict=True))


def check_the_law(pattern, lengths, dtype=DTYPE):
    pairs = make_pairs(lengths)
    batch = make_batch(pairs + make_pairs([(6, 5)]), extra=2)
    together = pattern.scores(batch).unpad()
    batch = make_batch(pairs, extra=2)
    close = {"atol": SAME_ROW[dtype], "rtol": SAME_ROW[dtype]}
    sums = {name: torch.zeros_like(parameter) for name, parameter in pattern.named_parameters()}
    for pair, scores in zip(pairs, together, strict=False):
        alone = make_batch([pair])
        torch.testing.assert_close(pattern.scores(alone).unpad()[0], scores, **close)
        for name, gradient in gradients(pattern, summed_loss(pattern, alone)).items():
            sums[name] += gradient
    close = {"atol": SAME_GRADIENT[dtype], "rtol": SAME_GRADIENT[dtype]}
    for name, gradient in gradients(pattern, summed_loss(pattern, batch)).items():
        torch.testing.assert_close(
            gradient, sums[name], **close, msg=lambda text, name=name: f"{name}: {text}"
        )


def check_decoding(pattern, lengths, width=3):
    pairs = make_pairs(lengths)
    together = pattern.decode(make_batch(pairs, extra=2), width=width, max_length=6, n_best=width)
    for pair, found in zip(pairs, together, strict=True):
        alone = pattern.decode(make_batch([pair]), width=width, max_length=6, n_best=width)[0]
        assert [one.tokens for one in alone] == [one.tokens for one in found]
        for one, other in zip(alone, found, strict=True):
            assert abs(one.log_probability - other.log_probability) < 1e-10


def check_scores(pattern, lengths, width=3):
    """The log-probability of each output is that of teacher forcing."""
    pairs = make_pairs(lengths)
    for pair, found in zip(pairs, pattern.decode(make_batch(pairs), width=width, max_length=5), strict=True):
        best = found[0]
        target = torch.tensor([*best.tokens, *[STOP] * best.is_complete])
        scores = pattern.scores(make_batch([(pair[0], target)])).unpad()[0].log_softmax(1)
        expected = scores.gather(1, target.unsqueeze(1)).sum().item()
        assert abs(best.log_probability - expected) < 1e-10


some_lengths = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=4)
seeds = st.integers(0, 2**31)
every_attention = pytest.mark.parametrize("kind", ATTENTIONS)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("cell", LAYERS)
@every_attention
@given(lengths=some_lengths, seed=seeds)
def test_padding_and_batch_mates_do_not_change_an_encoder_decoder(kind, cell, both, lengths, seed):
    torch.manual_seed(seed)
    check_the_law(make_pattern(kind, cell=cell, both=both, layers=2), lengths)


@every_attention
@given(lengths=some_lengths, seed=seeds)
def test_in_single_precision_a_row_alone_is_the_row_in_a_batch(kind, lengths, seed):
    torch.manual_seed(seed)
    check_the_law(make_pattern(kind, dtype=torch.float32), lengths, torch.float32)


@every_attention
@given(lengths=some_lengths, seed=seeds)
def test_padding_and_batch_mates_do_not_change_what_search_finds(kind, lengths, seed):
    torch.manual_seed(seed)
    check_decoding(make_pattern(kind), lengths)


@every_attention
@given(lengths=some_lengths, seed=seeds)
def test_the_log_probability_of_an_output_is_that_of_teacher_forcing(kind, lengths, seed):
    torch.manual_seed(seed)
    check_scores(make_pattern(kind), lengths)


@pytest.mark.parametrize("cell", LAYERS)
@every_attention
@given(lengths=some_lengths, seed=seeds)
def test_a_whole_target_at_once_is_the_target_step_by_step(kind, cell, lengths, seed):
    torch.manual_seed(seed)
    pattern = make_pattern(kind, cell=cell, layers=2)
    batch = make_batch(make_pairs(lengths), extra=1)
    real, weights = pattern.decoder(batch.target, pattern.begin(batch))
    state, hiddens, each = pattern.begin(batch), [], []
    for place in range(batch.target.data.size(1)):
        hidden, weight, state = pattern.decoder.step(batch.target.data[:, place], state)
        hiddens.append(hidden)
        each.append(weight)
    mask = batch.target.mask
    torch.testing.assert_close(torch.stack(hiddens, 1)[mask], real, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(torch.stack(each, 1)[mask], weights[mask], atol=1e-12, rtol=1e-12)


@every_attention
def test_reading_only_right_tokens_is_teacher_forcing(kind):
    torch.manual_seed(0)
    pattern = make_pattern(kind)
    batch = make_batch(make_pairs([(3, 4), (5, 1)]))
    # A rate that no draw of `rand` reaches: the path of scheduled sampling, with the right token every time.
    almost = 1 - 1e-9
    torch.testing.assert_close(
        pattern.loss(batch, truth_rate=almost), pattern.loss(batch), atol=1e-12, rtol=0
    )


@every_attention
def test_a_rate_of_zero_reads_what_greedy_search_writes(kind):
    torch.manual_seed(3)
    pattern = make_pattern(kind)
    batch = make_batch(make_pairs([(4, 4)]))
    target = batch.target.data
    hidden = pattern._sampled(target, pattern.begin(batch), 0.0)
    own = pattern.decoder.scores(hidden).argmax(2)
    fed = batch.target.with_data(torch.cat((torch.full_like(own[:, :1], 2), own[:, :-1]), 1))
    led = pattern.decoder(fed, pattern.begin(batch))[0].view_as(hidden)
    torch.testing.assert_close(led, hidden, atol=1e-12, rtol=1e-12)


@every_attention
def test_weights_beyond_a_source_are_exactly_zero(kind):
    torch.manual_seed(1)
    batch = make_batch(make_pairs([(2, 3), (5, 2)]), extra=2)
    weights = make_pattern(kind).attention_weights(batch).unpad()[0]
    torch.testing.assert_close(weights.sum(1), torch.ones(4, dtype=DTYPE))
    if kind != "none":
        assert weights[:, 2:].abs().max() == 0


# The bugs that such code usually has, each planted in turn: a law must notice.


def softmax_over_padding(scores, mask):
    return scores.softmax(-1)


def layers_without_lengths(self, data, lengths, state):
    output, final = self.layers(data, None if state is None else tuple(state))
    return Padded(output, lengths), tuple(final)


def state_that_stays(self, rows):
    return (
        DecoderState(self.parts, self.memory, self.sentence)
        if len(rows) == len(self.sentence)
        else SELECT(self, rows)
    )


SELECT = DecoderState.select


def test_the_law_notices_a_softmax_over_padding(monkeypatch):
    torch.manual_seed(0)
    check_the_law(make_pattern(), [(5, 2), (2, 3)])
    monkeypatch.setattr(attention, "masked_softmax", softmax_over_padding)
    with pytest.raises(AssertionError):
        check_the_law(make_pattern(), [(5, 2), (2, 3)])


def test_the_law_notices_a_backward_state_that_began_in_the_padding(monkeypatch):
    torch.manual_seed(0)
    check_the_law(make_pattern("none"), [(5, 2), (2, 3)])
    monkeypatch.setattr(encoder.Encoder, "_read", layers_without_lengths)
    with pytest.raises(AssertionError):
        check_the_law(make_pattern("none"), [(5, 2), (2, 3)])


def test_the_law_notices_a_state_that_is_not_reordered_with_its_beams(monkeypatch):
    def all_seeds():
        for seed in range(10):
            torch.manual_seed(seed)
            pattern = make_pattern()
            for parameter in pattern.parameters():
                parameter.data.mul_(3)  # surer outputs, so that beams change places
            check_scores(pattern, [(5, 2), (2, 3)])

    all_seeds()
    monkeypatch.setattr(DecoderState, "select", state_that_stays)
    with pytest.raises(AssertionError):
        all_seeds()
