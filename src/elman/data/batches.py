"""BATCHES: examples as ids and numbers, in right-padded batches of similar length.

Shape legend: B batch, T time, I numbers a step, U distinct words in the batch, C characters of a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.data.streams import Lanes
from elman.errors import ShapeError
from elman.padded import Padded

POOL_BATCHES = 50
"""Batches whose sequences are sorted by length together: enough to be alike, few enough to stay shuffled."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example in numbers.

    Args:
        length: steps, 0 or more.
        tokens: ids, *[T]*, int64.
        spellings: for each token the row of the spelling table, *[T]*, int64.
        pairs: for each token the id of the pair that it makes with the one before it, *[T]*, int64.
        numbers: *[T, I]*, float32.
        target: the id of a label, one id a step *[T]* int64, numbers of each step *[T, K]* float32, or None.
        measures: numbers to be predicted of the whole, *[K]*, float32, in the place of a target.
        condition: what a sequence is made from: the id of a class, or numbers *[C]* float32; None: nothing.
        output: the ids of a sequence that this one becomes, of a length of its own *[U]*, int64; it stands in
            the target's place.
    """

    length: int
    tokens: Ids | None = None
    spellings: Ids | None = None
    pairs: Ids | None = None
    numbers: NDArray[np.float32] | None = None
    target: int | Ids | NDArray[np.float32] | None = None
    measures: NDArray[np.float32] | None = None
    condition: int | NDArray[np.float32] | None = None
    output: Ids | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Some examples as tensors.

    Args:
        features: "tokens", "pairs": ids [B, T]; "numbers": [B, T, I]; "spellings": character ids of the
            distinct words [U, C], and "spelling_of": each token's row among those [B, T]; "condition": what
            each sequence is made from, ids [B, 1] or numbers [B, 1, C].
        target: ids [B] or Padded [B, T], numbers [B, K] or Padded [B, T, K], or Padded [B, U] with lengths of
            its own; None where it is not known.
        rows: which examples these are.
        steps: real steps in the batch.
        continues: whether each row goes on where the same row of the former batch ended (a stream).
    """

    features: dict[str, Padded]
    target: Padded | Tensor | None
    rows: list[int]
    steps: int
    continues: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Tensor:
        """Steps of each sequence, [B]."""
        main = self.features["tokens"] if "tokens" in self.features else next(iter(self.features.values()))
        return main.lengths

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device."""
        features = {name: padded.to(device) for name, padded in self.features.items()}
        target = None if self.target is None else self.target.to(device)
        return Batch(features, target, self.rows, self.steps, self.continues)


def collate(
    encoded: Sequence[Encoded],
    rows: Sequence[int] | None = None,
    spelling_table: Sequence[Ids] | None = None,
) -> Batch:
    """Return the examples `encoded[row]` for each of `rows` as one batch.

    T is the longest length, and at least 1, so that a batch of empty sequences still has a step of padding.

    Args:
        encoded: the examples; all with the same fields.
        rows: which of them; all by default.
        spelling_table: character ids of each word form, as `Encoded.spellings` counts them.

    Raises:
        ShapeError: no rows, or examples that differ in their fields.

    Example:
        >>> batch = collate([Encoded(2, tokens=np.array([5, 6])), Encoded(1, tokens=np.array([7]))])
        >>> batch.features["tokens"].data.tolist(), batch.steps
        ([[5, 6], [7, 0]], 3)
    """
    rows = list(range(len(encoded)) if rows is None else rows)
    items = [encoded[row] for row in rows]
    if not items:
        raise ShapeError("no example to batch; expected at least one row.")
    lengths = np.array([item.length for item in items], np.int64)
    mask = np.arange(max(1, int(lengths.max()))) < lengths[:, None]
    counts = torch.from_numpy(lengths)
    features: dict[str, Padded] = {}
    for name in ("tokens", "pairs", "numbers"):
        parts = _gather(items, name)
        if parts is not None:
            features[name] = Padded(_scatter(parts, mask), counts)
    words = _gather(items, "spellings")
    if words is not None and spelling_table is not None:
        features["spelling_of"], features["spellings"] = _spell(
            np.concatenate(words), mask, counts, spelling_table
        )
    if any(item.condition is not None for item in items):
        features["condition"] = _conditions(items)
    if not features:
        raise ShapeError("the examples hold neither tokens nor numbers; expected one of them.")
    return Batch(features, _targets(items, mask, counts), rows, int(lengths.sum()))


def _gather(items: Sequence[Encoded], name: str) -> list[NDArray[Any]] | None:
    parts = [getattr(item, name) for item in items]
    missing = sum(part is None for part in parts)
    if missing == len(parts):
        return None
    if missing:
        raise ShapeError(f"{missing} of {len(parts)} examples have no {name}; all or none were expected to.")
    _check_lengths(items, parts, name)
    return parts


def _check_lengths(items: Sequence[Encoded], parts: Sequence[NDArray[Any]], name: str) -> None:
    # Two wrong lengths can cancel out, and then steps would move to a neighbour.
    for index, (item, part) in enumerate(zip(items, parts, strict=True)):
        if len(part) != item.length:
            raise ShapeError(
                f"example {index} of the batch has {len(part)} {name} but length {item.length}; "
                "one for each step was expected."
            )


def _scatter(parts: Sequence[NDArray[Any]], mask: NDArray[np.bool_]) -> Tensor:
    """Return the parts right-padded with zeros; `mask` says where. Same as padded.pad, all rows at once."""
    flat = np.concatenate(parts)
    data = np.zeros((*mask.shape, *flat.shape[1:]), flat.dtype)
    data[mask] = flat
    return torch.from_numpy(data)


def _spell(
    words: Ids, mask: NDArray[np.bool_], counts: Tensor, table: Sequence[Ids]
) -> tuple[Padded, Padded]:
    """Return each token's row among the batch's distinct words, and their padded spellings."""
    distinct, index = np.unique(words, return_inverse=True)
    spellings = [table[word] for word in distinct.tolist()] or [np.zeros(0, np.int64)]
    lengths = np.fromiter(map(len, spellings), np.int64, len(spellings))
    letters = np.arange(max(1, int(lengths.max()))) < lengths[:, None]
    return Padded(_scatter([index], mask), counts), Padded(
        _scatter(spellings, letters), torch.from_numpy(lengths)
    )


def _conditions(items: Sequence[Encoded]) -> Padded:
    """Return what each sequence is made from as sequences of one step."""
    conditions = [item.condition for item in items]
    if any(condition is None for condition in conditions):
        raise ShapeError("some examples have a condition and some have none; all must be alike.")
    data = torch.from_numpy(np.stack([np.asarray(condition) for condition in conditions])).unsqueeze(1)
    return Padded(data, torch.ones(len(items), dtype=torch.int64))


def _gather_outputs(items: Sequence[Encoded]) -> Padded | None:
    """Return the output sequences, padded to the longest of them, at least 1; None where there are none."""
    parts = [item.output for item in items if item.output is not None]
    if not parts:
        return None
    if len(parts) < len(items):
        raise ShapeError(f"{len(items) - len(parts)} of {len(items)} examples have no output; expected all.")
    lengths = np.array([len(part) for part in parts], np.int64)
    mask = np.arange(max(1, int(lengths.max()))) < lengths[:, None]
    return Padded(_scatter(parts, mask), torch.from_numpy(lengths))


def _targets(items: Sequence[Encoded], mask: NDArray[np.bool_], counts: Tensor) -> Padded | Tensor | None:
    outputs = _gather_outputs(items)
    if outputs is not None:
        return outputs
    measures = [item.measures for item in items if item.measures is not None]
    if len(measures) == len(items):
        return torch.from_numpy(np.stack(measures))
    targets = [item.target for item in items]
    if all(target is None for target in targets):
        return None
    if all(isinstance(target, np.ndarray) and target.ndim for target in targets):
        _check_lengths(items, targets, "targets")  # type: ignore[arg-type]
        return Padded(_scatter(targets, mask), counts)  # type: ignore[arg-type]
    if any(target is None or isinstance(target, np.ndarray) for target in targets):
        raise ShapeError(
            "some examples have a target and some have none, or of another kind; all must be alike."
        )
    return torch.tensor(targets, dtype=torch.int64)


def batch_order(
    lengths: Sequence[int] | Ids, batch_size: int, *, seed: int, epoch: int, shuffle: bool = True
) -> list[list[int]]:
    """Return the rows of each batch of an epoch, sequences of similar length together.

    A pure function of its arguments, so that a resumed run goes on with the same batches. Rows are shuffled,
    sorted by length within pools of `POOL_BATCHES` batches, cut into batches, and the batches shuffled.

    Args:
        lengths: steps of each example.
        batch_size: sequences in a batch; the last one formed may have fewer.
        seed: of the run.
        epoch: which pass over the data.
        shuffle: False: all rows in order of length, the same in every epoch.

    Example:
        >>> batch_order([3, 1, 2, 9], 2, seed=0, epoch=0, shuffle=False)
        [[1, 2], [0, 3]]
    """
    sizes = np.asarray(lengths, np.int64)
    if not shuffle:
        return _cut(np.argsort(sizes, kind="stable"), batch_size)
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    order = random.permutation(len(sizes))
    pool = batch_size * POOL_BATCHES
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        batches += _cut(rows[np.argsort(sizes[rows], kind="stable")], batch_size)
    return [batches[index] for index in random.permutation(len(batches))]


def _cut(rows: Ids, batch_size: int) -> list[list[int]]:
    return [rows[start : start + batch_size].tolist() for start in range(0, len(rows), batch_size)]


def _sizes(encoded: Sequence[Encoded]) -> Ids:
    """Return by what examples are sorted: their length, and among equal ones that of their output."""
    lengths = np.array([item.length for item in encoded], np.int64)
    outputs = np.array([0 if item.output is None else len(item.output) for item in encoded], np.int64)
    return lengths * (int(outputs.max(initial=0)) + 1) + outputs


class Batches:
    """The batches of one set of examples, made when they are asked for.

    Args:
        encoded: the examples.
        batch_size: sequences in a batch.
        seed: of the order.
        spelling_table: character ids of each word form.

    Example:
        >>> batches = Batches([Encoded(1, tokens=np.array([n])) for n in range(5)], batch_size=2, seed=0)
        >>> batches.num_batches, len(batches.order(epoch=0)), batches.batch([4, 1]).rows
        (3, 3, [4, 1])
    """

    def __init__(
        self,
        encoded: Sequence[Encoded],
        batch_size: int,
        seed: int,
        spelling_table: Sequence[Ids] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ShapeError(f"batch_size is {batch_size}; at least one sequence a batch was expected.")
        self.encoded = list(encoded)
        self.batch_size = batch_size
        self.seed = seed
        self.spelling_table = spelling_table
        self._lengths = _sizes(self.encoded)

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.encoded) // self.batch_size)

    def __len__(self) -> int:
        return self.num_batches

    def order(self, epoch: int) -> list[list[int]]:
        """Return the rows of each batch of an epoch, as `batch_order` makes them."""
        return batch_order(self._lengths, self.batch_size, seed=self.seed, epoch=epoch)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return these examples as one batch."""
        return collate(self.encoded, rows, self.spelling_table)


class StreamBatches:
    """The batches of one running sequence: window by window, each lane of it a row.

    Args:
        tokens: ids of the whole stream, *[N]*, int64.
        lanes: how it is cut.

    Example:
        >>> stream = StreamBatches(np.arange(2, 23), Lanes(21, num_lanes=2, window=4, seed=0))
        >>> batch = stream.batch(stream.order(epoch=0)[1])
        >>> batch.features["tokens"].data.tolist(), batch.continues
        ([[6, 7, 8, 9], [16, 17, 18, 19]], True)
        >>> batch.target.data.tolist()
        [[7, 8, 9, 10], [17, 18, 19, 20]]
    """

    def __init__(self, tokens: Ids, lanes: Lanes) -> None:
        if len(tokens) != lanes.num_tokens:
            raise ShapeError(f"the stream has {len(tokens)} tokens, but its lanes are of {lanes.num_tokens}.")
        self.tokens = np.asarray(tokens, np.int64)
        self.lanes = lanes

    @property
    def num_batches(self) -> int:
        """Batches in an epoch: windows of a lane."""
        return self.lanes.num_windows

    def __len__(self) -> int:
        return self.num_batches

    def order(self, epoch: int) -> list[list[int]]:
        """Return the pieces of each batch of an epoch, each as the number that `Lanes.number` gives it."""
        return [[self.lanes.number(piece) for piece in pieces] for pieces in self.lanes.pieces(epoch)]

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return these pieces as one batch; each step's target is the token after it."""
        pieces = [self.lanes.piece(row) for row in rows]
        lengths = {piece.length for piece in pieces}
        if len(lengths) != 1 or len({piece.continues for piece in pieces}) != 1:
            raise ShapeError("pieces of different windows of a stream were asked for as one batch.")
        length = lengths.pop()
        starts = np.array([piece.start for piece in pieces], np.int64)
        both = torch.from_numpy(self.tokens[starts[:, None] + np.arange(length + 1)])
        counts = torch.full((len(pieces),), length)
        features = {"tokens": Padded(both[:, :-1].contiguous(), counts)}
        target = Padded(both[:, 1:].contiguous(), counts)
        return Batch(features, target, list(rows), length * len(pieces), pieces[0].continues)
