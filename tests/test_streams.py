"""Streams: every step once an epoch, in order; and carrying the state is reading the whole."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tolerances import SAME_ROW

from elman.data.batches import StreamBatches
from elman.data.split import split_stream
from elman.data.streams import Lanes, Piece
from elman.errors import CheckpointError, ConfigError, DataError, ShapeError
from elman.nn.embedding import TokenEmbedding, WordEmbedding
from elman.nn.encoder import LAYERS, Encoder
from elman.padded import Padded
from elman.patterns import LanguageModel
from elman.training.bptt import FullBPTT, StreamBPTT

sizes = {"tokens": st.integers(2, 90), "lanes": st.integers(1, 5), "window": st.integers(1, 12)}


def make_lanes(tokens, lanes, window, seed=0):
    assume(tokens > lanes)
    return Lanes(tokens, lanes, window, seed)


@given(**sizes, epoch=st.integers(0, 5))
def test_each_lane_is_read_from_end_to_end_and_no_step_twice(tokens, lanes, window, epoch):
    cut = make_lanes(tokens, lanes, window)
    pieces = cut.pieces(epoch)
    assert len(pieces) == cut.num_windows
    targets = []
    for lane in range(lanes):
        position = pieces[0][lane].start
        for number, row in enumerate(pieces):
            assert 1 <= row[lane].length <= window
            assert row[lane].start == position and row[lane].continues == (number > 0)
            targets += range(position + 1, position + 1 + row[lane].length)
            position += row[lane].length
    assert len(targets) == len(set(targets)) == lanes * cut.steps > tokens - 1 - lanes
    assert min(targets) >= 1 and max(targets) < tokens


@given(**sizes, epoch=st.integers(0, 5), seed=st.integers(0, 9))
def test_the_order_is_a_pure_function_of_seed_and_epoch(tokens, lanes, window, epoch, seed):
    first, second = (make_lanes(tokens, lanes, window, seed) for _ in range(2))
    second.pieces(epoch + 3)
    assert first.pieces(epoch) == second.pieces(epoch)


def test_the_cuts_fall_elsewhere_in_another_epoch():
    cut = Lanes(100_000, 8, 128, 0)
    firsts = {cut.windows(epoch)[0][1] for epoch in range(20)}
    assert len(firsts) > 10


@given(start=st.integers(0, 9999), length=st.integers(1, 12), continues=st.booleans())
def test_a_piece_is_its_number(start, length, continues):
    cut = Lanes(10_100, 2, 12, 0)
    piece = Piece(start, length, continues)
    assert cut.piece(cut.number(piece)) == piece


def test_batches_hold_what_follows_each_token():
    tokens = np.random.default_rng(0).integers(2, 30, 101)
    stream = StreamBatches(tokens, Lanes(101, 4, 7, 0))
    for rows in stream.order(epoch=2):
        batch = stream.batch(rows)
        for place, row in enumerate(rows):
            piece = stream.lanes.piece(row)
            text = tokens[piece.start : piece.start + piece.length + 1].tolist()
            assert batch.features["tokens"].data[place].tolist() == text[:-1]
            assert batch.target.data[place].tolist() == text[1:]


def test_too_few_tokens_lanes_and_windows_are_refused():
    with pytest.raises(DataError, match="too few to be read in 8 lanes"):
        Lanes(8, 8, 4, 0)
    with pytest.raises(ConfigError, match="at least 1"):
        Lanes(8, 1, 0, 0)
    stream = StreamBatches(np.arange(30), Lanes(30, 2, 4, 0))
    first, second = stream.order(0)[:2]
    with pytest.raises(ShapeError, match="different windows"):
        stream.batch([first[0], second[1]])


@given(length=st.integers(2, 300), percent=st.integers(1, 99))
def test_the_end_of_a_text_is_held_out_and_nothing_is_lost(length, percent):
    text = "".join(chr(97 + place % 26) for place in range(length))
    fraction = percent / 100
    assume(length - -(-length * percent // 100) >= 1)
    stay, held = split_stream(text, fraction)
    assert stay + held == text
    assert len(held) == -(-length * percent // 100)  # rounded up, in whole numbers


# The state


def make_model(cell, layers=2):
    torch.manual_seed(0)
    words = WordEmbedding(TokenEmbedding(9, 3))
    encoder = Encoder(3, 4, cell=cell, num_layers=layers)
    return LanguageModel(words, encoder, num_outputs=9, dropout=0.0).double()


def gradients_of(pattern):
    found = {name: weight.grad.clone() for name, weight in pattern.named_parameters()}
    pattern.zero_grad()
    return found


@pytest.mark.parametrize("cell", LAYERS)
def test_a_window_as_long_as_the_stream_gives_the_full_gradient(cell):
    pattern = make_model(cell)
    tokens = np.random.default_rng(1).integers(2, 9, 41)
    stream = StreamBatches(tokens, Lanes(41, 2, 20, 0))
    (rows,) = stream.order(0)
    batch = stream.batch(rows)
    full, carried = FullBPTT(), StreamBPTT()
    assert full.backward(pattern, batch).item() == pattern.loss(batch).item()
    expected = gradients_of(pattern)
    carried.backward(pattern, batch)
    for name, gradient in gradients_of(pattern).items():
        assert torch.equal(gradient, expected[name])


@pytest.mark.parametrize("cell", LAYERS)
@given(window=st.integers(1, 25), epoch=st.integers(0, 3))
def test_windows_with_the_carried_state_are_the_whole_in_value(cell, window, epoch):
    pattern = make_model(cell)
    tokens = np.random.default_rng(1).integers(2, 9, 41)
    cut = Lanes(41, 2, window, 0)
    stream, rule, total = StreamBatches(tokens, cut), StreamBPTT(), 0.0
    for rows in stream.order(epoch):
        batch = stream.batch(rows)
        total += float(rule.backward(pattern, batch)) * batch.steps
    starts = [piece.start for piece in cut.pieces(epoch)[0]]
    lanes = torch.stack([torch.from_numpy(tokens[start : start + cut.steps + 1]) for start in starts])
    lengths = torch.full((2,), cut.steps)
    whole = SimpleNamespace(
        features={"tokens": Padded(lanes[:, :-1], lengths)}, target=Padded(lanes[:, 1:], lengths)
    )
    expected = pattern.loss(whole).item() * 2 * cut.steps
    assert abs(total - expected) < 1e3 * SAME_ROW[torch.float64]


def test_the_gradient_stops_at_the_window_and_the_state_does_not():
    pattern = make_model("gru", layers=1)
    stream = StreamBatches(np.random.default_rng(1).integers(2, 9, 41), Lanes(41, 2, 5, 0))
    rule = StreamBPTT()
    first, second = (stream.batch(rows) for rows in stream.order(0)[:2])
    rule.backward(pattern, first)
    before = rule.carried()["0"]
    assert before.abs().sum() > 0 and not before.requires_grad
    pattern.zero_grad()
    loss = rule.backward(pattern, second)
    after = gradients_of(pattern)
    expected = pattern.loss_and_state(second, (before,))[0]
    expected.backward()
    assert torch.equal(loss, expected.detach())
    for name, gradient in gradients_of(pattern).items():
        assert torch.equal(gradient, after[name])


def test_a_new_epoch_starts_afresh_and_a_broken_state_is_dropped():
    pattern = make_model("lstm", layers=1)
    stream = StreamBatches(np.random.default_rng(1).integers(2, 9, 41), Lanes(41, 2, 5, 0))
    rule = StreamBPTT()
    batches = [stream.batch(rows) for rows in stream.order(0)]
    fresh = rule.backward(pattern, batches[0])
    rule.backward(pattern, batches[1])
    assert torch.equal(rule.backward(pattern, batches[0]), fresh)
    with torch.no_grad():
        pattern.linear.weight += 0  # the weights stay; only the state breaks
    rule.state = tuple(torch.full_like(part, torch.nan) for part in rule.state)
    assert not torch.isfinite(rule.backward(pattern, batches[1]))
    assert rule.carried() == {}


def test_a_carried_state_is_not_taken_up_where_nothing_is_carried():
    with pytest.raises(CheckpointError, match="running text"):
        FullBPTT().carry_on({"0": torch.zeros(1)})
    rule = StreamBPTT()
    rule.carry_on({"0": torch.ones(1, 2, 3), "1": torch.zeros(1, 2, 3)})
    assert [part.sum().item() for part in rule.state] == [6.0, 0.0]
