"""Batches: collating against one-by-one padding, and an order that is a pure function."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.batches import POOL_BATCHES, Batches, Encoded, batch_order, collate
from elman.errors import ShapeError

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=30)


def encode(lengths, seed=0, words=6):
    """Return random examples with every kind of feature, and a table of spellings."""
    random = np.random.default_rng(seed)
    table = [random.integers(2, 9, length) for length in random.integers(0, 5, words)]
    encoded = [
        Encoded(
            length=length,
            tokens=random.integers(2, 50, length),
            spellings=random.integers(0, words, length),
            numbers=random.normal(size=(length, 3)).astype(np.float32),
            target=random.integers(0, 4, length),
        )
        for length in lengths
    ]
    return encoded, table


@given(LENGTHS, st.integers(0, 99))
def test_a_batch_holds_its_examples_and_zeros(lengths, seed):
    encoded, table = encode(lengths, seed)
    rows = list(np.random.default_rng(seed).permutation(len(lengths))[:7])
    batch = collate(encoded, rows, table)
    assert batch.rows == rows and len(batch) == len(rows) and batch.steps == sum(lengths[row] for row in rows)
    assert batch.lengths.tolist() == [lengths[row] for row in rows]
    for place, row in enumerate(rows):
        length = lengths[row]
        for name, expected in [("tokens", encoded[row].tokens), ("numbers", encoded[row].numbers)]:
            data = batch.features[name].data[place].numpy()
            np.testing.assert_array_equal(data[:length], expected)
            assert not data[length:].any()
        np.testing.assert_array_equal(batch.target.data[place, :length].numpy(), encoded[row].target)


@given(LENGTHS, st.integers(0, 99))
def test_every_token_leads_to_its_spelling(lengths, seed):
    encoded, table = encode(lengths, seed)
    batch = collate(encoded, None, table)
    spellings, places = batch.features["spellings"].unpad(), batch.features["spelling_of"]
    for row, item in enumerate(encoded):
        for step, word in enumerate(item.spellings):
            np.testing.assert_array_equal(spellings[places.data[row, step]].numpy(), table[word])
    used = {int(word) for item in encoded for word in item.spellings}
    assert len(spellings) == max(1, len(used))
    assert int(places.data.max()) < len(spellings)


def test_dtypes_are_int64_for_ids_and_float32_for_numbers():
    encoded, table = encode([2, 1])
    batch = collate(encoded, None, table)
    dtypes = {name: padded.data.dtype for name, padded in batch.features.items()}
    ids = dict.fromkeys(["tokens", "spellings", "spelling_of"], torch.int64)
    assert dtypes == ids | {"numbers": torch.float32} and batch.target.data.dtype == torch.int64


def test_labels_become_one_tensor_and_no_targets_none():
    items = [Encoded(1, tokens=np.array([3]), target=target) for target in (4, np.int64(0))]
    assert collate(items).target.tolist() == [4, 0] and collate(items).target.dtype == torch.int64
    assert collate([Encoded(1, tokens=np.array([3]))]).target is None


def test_a_batch_of_empty_sequences_has_one_step_of_padding():
    encoded, table = encode([0, 0])
    batch = collate(encoded, None, table)
    assert batch.features["tokens"].data.shape == (2, 1) and batch.features["numbers"].data.shape == (2, 1, 3)
    assert batch.features["spellings"].data.shape == (1, 1) and batch.steps == 0
    assert batch.lengths.tolist() == [0, 0]


def test_moving_a_batch_keeps_its_rows():
    encoded, table = encode([2, 3])
    batch = collate(encoded, [1], table).to("cpu")
    assert (batch.rows, batch.steps, len(batch.features)) == ([1], 3, 4)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "no example"),
        ([Encoded(1)], "neither tokens nor numbers"),
        (
            [Encoded(1, tokens=np.array([2])), Encoded(1, numbers=np.ones((1, 1)))],
            "1 of 2 examples have no tokens",
        ),
        ([Encoded(2, tokens=np.array([2]))], "example 0 of the batch has 1 tokens but length 2"),
        ([Encoded(1, tokens=np.array([2, 3])), Encoded(2, tokens=np.array([4]))], "2 tokens but length 1"),
        ([Encoded(2, tokens=np.array([2, 3]), target=np.array([1]))], "1 targets but length 2"),
        ([Encoded(1, tokens=np.array([2]), target=1), Encoded(1, tokens=np.array([2]))], "some have none"),
        (
            [
                Encoded(1, tokens=np.array([2]), target=1),
                Encoded(1, tokens=np.array([2]), target=np.array([1])),
            ],
            "another kind",
        ),
    ],
)
def test_examples_that_do_not_fit_together_are_refused(items, message):
    with pytest.raises(ShapeError, match=message):
        collate(items)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 2**63 - 1), st.integers(0, 50), st.booleans())
def test_an_epoch_holds_every_row_once_in_batches_of_the_size(lengths, size, seed, epoch, shuffle):
    order = batch_order(lengths, size, seed=seed, epoch=epoch, shuffle=shuffle)
    assert sorted(row for rows in order for row in rows) == list(range(len(lengths)))
    assert sum(len(rows) < size for rows in order) <= 1 and all(0 < len(rows) <= size for rows in order)


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else():
    lengths = np.random.default_rng(0).integers(1, 40, 300)
    first = batch_order(lengths, 8, seed=1, epoch=2)
    np.random.seed(5)
    assert batch_order(lengths, 8, seed=1, epoch=2) == first
    assert batch_order(lengths, 8, seed=1, epoch=3) != first
    assert batch_order(lengths, 8, seed=2, epoch=2) != first
    code = (
        "import numpy as np; from elman.data.batches import batch_order;"
        "print(batch_order(np.random.default_rng(0).integers(1, 40, 300), 8, seed=1, epoch=2))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(first)


def test_sequences_of_similar_length_stand_together():
    lengths = np.random.default_rng(0).integers(1, 100, 16 * POOL_BATCHES * 2)
    order = batch_order(lengths, 16, seed=0, epoch=0)
    padded = sum(len(rows) * lengths[rows].max() for rows in order)
    assert lengths.sum() / padded > 0.95  # 0.5 without sorting
    assert len({tuple(sorted(lengths[rows])) for rows in order[:20]}) > 10  # and batches are shuffled


def test_batch_mates_change_from_epoch_to_epoch():
    lengths = [5] * 64
    mates = [set(map(frozenset, batch_order(lengths, 8, seed=0, epoch=epoch))) for epoch in (0, 1)]
    assert not mates[0] & mates[1]


def test_batches_make_what_the_order_asks_for():
    encoded, table = encode(range(1, 11))
    batches = Batches(encoded, batch_size=4, seed=3, spelling_table=table)
    assert batches.num_batches == len(batches) == len(batches.order(0)) == 3
    assert batches.order(7) == batch_order(list(range(1, 11)), 4, seed=3, epoch=7)
    assert batches.batch([9, 0]).lengths.tolist() == [10, 1]
    with pytest.raises(ShapeError, match="batch_size is 0"):
        Batches(encoded, batch_size=0, seed=0)
