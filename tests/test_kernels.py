"""Choosing a backend, out loud."""

import logging

import pytest
import torch

import elman.nn
from elman.errors import ConfigError
from elman.kernels import BACKENDS, dispatch, held, use
from elman.kernels.dispatch import Backend


@pytest.fixture
def a_picky_backend(monkeypatch):
    """A backend at the head of the table that refuses the GRU and counts its runs."""
    runs = []

    def refuses(stack, input, lengths, reset):
        return "it knows no GRU" if stack.mode == "GRU" else None

    def run(stack, input, state, **options):
        runs.append(stack.mode)
        return BACKENDS["torch"].run(stack, input, state, **options)

    monkeypatch.setattr(dispatch, "BACKENDS", {"picky": Backend(refuses, run), "torch": BACKENDS["torch"]})
    monkeypatch.setattr(dispatch, "_reported", set())
    return runs


def test_the_first_backend_that_does_not_refuse_runs(a_picky_backend):
    elman.nn.LSTM(3, 4)(torch.ones(2, 1, 3))
    elman.nn.GRU(3, 4)(torch.ones(2, 1, 3))
    assert a_picky_backend == ["LSTM"]


def test_a_slower_backend_is_reported_once_with_the_reason(a_picky_backend, caplog):
    layer = elman.nn.GRU(3, 4)
    with caplog.at_level(logging.WARNING, logger="elman"):
        for _ in range(3):
            layer(torch.ones(2, 1, 3))
    assert [record.name for record in caplog.records] == ["elman"]
    assert "it knows no GRU" in caplog.text


def test_a_backend_that_is_insisted_on_and_refuses_is_an_error(a_picky_backend):
    with use("picky"), pytest.raises(ConfigError, match="it knows no GRU"):
        elman.nn.GRU(3, 4)(torch.ones(2, 1, 3))


def test_a_backend_without_packed_data_gets_it_padded(a_picky_backend):
    layer = elman.nn.LSTM(3, 4)
    packed = torch.nn.utils.rnn.pack_sequence([torch.ones(2, 3), torch.ones(4, 3)], enforce_sorted=False)
    output, (hidden, _) = layer(packed)
    assert a_picky_backend == ["LSTM"]
    with use("torch"):
        expected, (expected_hidden, _) = layer(packed)
    assert torch.allclose(output.data, expected.data, atol=1e-6)
    assert torch.allclose(hidden, expected_hidden, atol=1e-6)


def test_use_names_the_nearest_backend_when_there_is_no_such_one():
    with pytest.raises(ConfigError, match="did you mean 'reference'"), use("refrence"):
        pass


def test_use_ends_with_its_block_even_after_an_error():
    with pytest.raises(ZeroDivisionError), use("reference"):
        raise ZeroDivisionError
    assert dispatch._insisted is None


def test_held_padding_is_used_for_full_enough_batches_of_an_lstm_only():
    x, lengths = torch.ones(4, 10, 3), torch.tensor([10, 9, 8, 7])
    state = tuple(torch.zeros(1, 4, 4) for _ in range(2))

    def suits(layer, x=x, state=state, lengths=lengths):
        return held.suits(layer._stack(), x, state, lengths)

    lstm = elman.nn.LSTM(3, 4, batch_first=True)
    assert suits(lstm) == torch.backends.mkldnn.is_available()
    assert not suits(lstm, lengths=torch.tensor([10, 1, 1, 1]))
    assert not suits(lstm, x=x.double())
    assert not suits(elman.nn.LSTM(3, 4, proj_size=2, batch_first=True))
    assert not suits(elman.nn.GRU(3, 4, batch_first=True))
    both = elman.nn.LSTM(3, 4, bidirectional=True, batch_first=True)
    assert not suits(both, state=tuple(torch.ones(2, 4, 4) for _ in range(2)))
