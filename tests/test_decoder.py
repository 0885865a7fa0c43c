"""The decoder and what it looks back with: their equations written out."""

from typing import get_args

import pytest
import torch

from elman.config import AttentionName
from elman.errors import ConfigError
from elman.nn.attention import ATTENTIONS, FixedContext, MultiplicativeAttention, make_attention
from elman.nn.decoder import Bridge, Decoder
from elman.nn.dropout import Regularisation
from elman.nn.encoder import LAYERS, Encoder
from elman.padded import Padded

DOUBLE = torch.float64
EXACT = {"atol": 1e-12, "rtol": 1e-12}


def some_keys():
    torch.manual_seed(0)
    return Padded(torch.randn(2, 4, 3, dtype=DOUBLE), torch.tensor([4, 2])).masked(torch.nan)


def test_the_names_are_those_of_the_settings():
    assert set(get_args(AttentionName)) == set(ATTENTIONS)
    with pytest.raises(ConfigError, match="did you mean 'additive'"):
        make_attention("aditive", 3, 4, num_directions=1)


def test_multiplicative_attention_is_its_equation():
    keys, attention = some_keys(), MultiplicativeAttention(3, 5).double()
    query = torch.randn(2, 6, 5, dtype=DOUBLE)
    context, weights = attention.attend(attention.prepare(keys), query)
    for row, key in enumerate(keys.unpad()):
        share = torch.softmax(query[row] @ attention.from_keys.weight @ key.T, 1)
        torch.testing.assert_close(weights[row, :, : len(key)], share, **EXACT)
        torch.testing.assert_close(context[row], share @ key, **EXACT)


def test_a_fixed_context_is_what_each_direction_ends_with():
    torch.manual_seed(0)
    encoder = Encoder(3, 4, bidirectional=True).double()
    steps, (hidden, _) = encoder(Padded(torch.randn(2, 5, 3, dtype=DOUBLE), torch.tensor([5, 2])))
    fixed = FixedContext(8, num_directions=2)
    context, _ = fixed.attend(fixed.prepare(steps), torch.zeros(2, 1, 1, dtype=DOUBLE))
    torch.testing.assert_close(context[:, 0], torch.cat((hidden[0], hidden[1]), 1), **EXACT)


@pytest.mark.parametrize("cell", LAYERS)
def test_the_bridge_reads_both_directions_of_its_own_layer(cell):
    torch.manual_seed(0)
    parts = 2 if cell == "lstm" else 1
    bridge = Bridge(2, 4, 5, num_layers=2, num_parts=parts).double()
    state = tuple(torch.randn(4, 3, 4, dtype=DOUBLE) for _ in range(parts))
    for index, part in enumerate(bridge(state)):
        assert part.shape == (2, 3, 5)
        for layer in range(2):
            linear = bridge.linears[layer * parts + index]
            both = torch.cat((state[index][2 * layer], state[index][2 * layer + 1]), 1)
            torch.testing.assert_close(part[layer], torch.tanh(linear(both)), **EXACT)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_selecting_rows_is_decoding_those_rows(kind):
    torch.manual_seed(0)
    encoder = Encoder(3, 4, bidirectional=True).double()
    decoder = Decoder(9, 3, 5, encoder, attention=kind).double().eval()
    source = Padded(torch.randn(3, 4, 3, dtype=DOUBLE), torch.tensor([4, 1, 3]))
    state = decoder.begin(*encoder(source))
    tokens, rows = torch.tensor([5, 6, 7]), torch.tensor([2, 0, 0, 1])
    hidden, _, _ = decoder.step(tokens, state)
    chosen, _, _ = decoder.step(tokens[rows], state.select(rows))
    torch.testing.assert_close(chosen, hidden[rows], **EXACT)


@pytest.mark.parametrize(
    "rules", [{"weight_drop": 0.5}, {"recurrent_dropout": 0.5}, {"dropout_kind": "variational"}]
)
def test_masks_that_last_need_a_decoder_that_reads_a_whole_target(rules):
    rules, encoder = Regularisation(**rules), Encoder(3, 4, bidirectional=True)
    with pytest.raises(ConfigError, match="is called step by step"):
        Decoder(9, 3, 4, encoder, attention="additive", regularisation=rules)
    decoder = Decoder(9, 3, 4, encoder, attention="multiplicative", dropout=0.5, regularisation=rules)
    state = decoder.begin(*encoder(Padded(torch.randn(2, 4, 3), torch.tensor([4, 2]))))
    tokens = Padded(torch.full((2, 5), 7), torch.tensor([5, 3]))
    calls = [decoder(tokens, state)[0] for _ in range(2)]
    assert not torch.equal(*calls)  # what is dropped in training
    decoder.eval()
    assert torch.equal(decoder(tokens, state)[0], decoder(tokens, state)[0])
