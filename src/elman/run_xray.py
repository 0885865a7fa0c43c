"""X-RAY OF A RUN: a batch of its data, what is seen of the network on it, and what ails the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.config import Settings
from elman.data.batches import Batch
from elman.data.example import Example
from elman.dataset import IN_MEMORY, read_dataset
from elman.errors import ConfigError, DataError
from elman.padded import Padded
from elman.patterns.pattern import Pattern
from elman.patterns.translate import EncoderDecoder
from elman.run_folder import fingerprint, read_journal
from elman.tasks.exposure_bias import spread
from elman.tasks.forecast import Forecast
from elman.tasks.inputs import TokenInputs
from elman.tasks.task import Task
from elman.xray import diagnose, examine
from elman.xray.layer_flow import Tell
from elman.xray.run_padding import padding_of
from elman.xray.run_xray import RunXray
from elman.xray.untouched import untouched
from elman.xray_records import FILE

ROWS = 16
"""Rows of the data that are looked at."""


def examine_run(
    task: Task,
    model: Pattern,
    examples: Sequence[Example],
    *,
    folder: Path | None = None,
    result: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    rows: int = ROWS,
    tell: Tell | None = None,
) -> RunXray:
    """Look at a trained network on a few examples, and diagnose it.

    Args:
        task: of the run.
        model: its network; it is left as it was.
        examples: labelled ones.
        folder: where the run is kept; its `xray.jsonl` is read, if there is one.
        result: the run's scores.
        history: the rows of its `metrics.jsonl`.
        rows: examples at most, evenly over them.
        tell: is called with the name of each layer before it is measured.

    Raises:
        ConfigError: rows is below 1, or a layer cannot be looked at.
        DataError: none of the examples has a target that the model knows.
    """
    if rows < 1:
        raise ConfigError(f"rows is {rows}; at least 1 was expected.")
    batch = choose_batch(task, examples, rows)
    device = next(model.parameters()).device
    if device.type != "cpu":
        batch = batch.to(device)
    rate = task.chosen.learning_rate or 1e-3
    examination = examine(model, batch, learning_rate=rate, seed=task.chosen.seed % 2**31, tell=tell)
    records = read_journal(folder / FILE) if folder else []
    curve = [(int(line["step"]), float(line["loss"])) for line in records if line.get("loss") is not None]
    norms = [
        (int(line["step"]), float(line["gradient_norm"]))
        for line in records
        if line.get("gradient_norm") is not None
    ]
    result = result or {}
    leaks, padding = padding_of(model, batch, examination)
    diagnoses = diagnose(
        examination,
        curve=curve,
        norms=norms,
        scores=result.get("test") or result.get("valid") or {},
        leaks=leaks,
        chosen=task.chosen.model_dump(exclude_none=True),
    )
    if not curve:
        losses = ((row["step"], row["train"]["loss"]) for row in history)
        curve = [(int(step), float(loss)) for step, loss in losses if loss is not None]
    return RunXray(
        folder.name if folder else task.name,
        examination,
        diagnoses,
        _tokens(task, batch),
        _token_gradients(model, batch),
        _attention(task, model, batch),
        records,
        curve,
        f"{len(batch)} of {len(examples)} examples"
        if len(batch) <= len(examples)
        else f"{len(batch)} windows",
        padding,
    )


def own_examples(
    settings: Settings, data: Mapping[str, Mapping[str, Any]], folder: Path | None
) -> Sequence[Example]:
    """Return a run's validation part as training read it, or the training part of a run without one.

    Args:
        settings: of the run, as given.
        data: what its `config.json` tells of the data.
        folder: where it is kept, for messages.

    Raises:
        DataError: they were rows in memory, cannot be read any more, or have changed.
    """
    part = "valid" if "valid" in data else "train"
    if any(data.get(name, {}).get("file") == IN_MEMORY for name in ("train", part)):
        raise DataError(
            f"{folder or 'the run'}: its data were rows in memory, which a run does not keep; name labelled "
            "data: elman xray RUN --data FILE (from Python: run.xray(data))."
        )
    dataset = read_dataset(settings, {})
    examples: Sequence[Example] = getattr(dataset, part)
    if fingerprint(examples) != data.get(part, {}).get("sha256"):
        raise DataError(
            f"{folder or 'the run'}: the data that it began with have changed; name labelled data: "
            "elman xray RUN --data FILE."
        )
    return examples


def choose_batch(task: Task, examples: Sequence[Example], rows: int) -> Batch:
    """Return a few examples as one batch, evenly over them; of a running text, lanes of its first window.

    Raises:
        DataError: none of the examples has a target that the model knows.
    """
    choose = task.scored_batches if isinstance(task, Forecast) else task.batches
    batches = choose(examples)
    order = batches.order(0)
    if task.is_stream:
        pieces = order[0]
        return batches.batch([pieces[place] for place in spread(len(pieces), rows)])
    numbers = [row for row in sorted(row for batch in order for row in batch) if _may_be_seen(batches, row)]
    if not numbers:
        raise DataError(
            "none of the examples can be looked at: they are empty, or have no target that training saw; "
            "give a labelled file like that of the training."
        )
    return batches.batch([numbers[place] for place in spread(len(numbers), rows)])


def known_rows(task: Task, examples: Sequence[Example]) -> list[int] | None:
    """Return the places of the examples that a model can be looked at on; None where it cuts its own windows.

    Of a running text and of forecasts the rows of a batch are no examples, but windows of them.
    """
    if task.is_stream or isinstance(task, Forecast):
        return None
    batches = task.batches(examples)
    if len(getattr(batches, "encoded", [])) != len(examples):
        return None
    return [row for row in range(len(examples)) if _may_be_seen(batches, row)]


def _may_be_seen(batches: Any, row: int) -> bool:
    """Whether a row has steps, and a target that the model knows."""
    encoded = getattr(batches, "encoded", [])
    return not encoded or bool(_is_known(encoded[row]) and encoded[row].length)


def _is_known(row: Any) -> bool:
    """Whether an example has a target, and the model a place for it."""
    if row.target is None:
        return row.output is not None or row.measures is not None
    if isinstance(row.target, np.ndarray) and row.target.ndim and row.target.dtype.kind == "f":
        return True
    return bool(np.all(np.asarray(row.target) >= 0))


def _tokens(task: Task, batch: Batch) -> list[list[str]] | None:
    """Return the tokens of each row, as the vocabulary has them; None where numbers are read."""
    if not isinstance(task.inputs, TokenInputs) or "tokens" not in batch.features:
        return None
    tokens = task.inputs.vocab.tokens
    return [[tokens[index] for index in row.tolist()] for row in batch.features["tokens"].unpad()]


def _token_gradients(model: Pattern, batch: Batch) -> list[list[float]] | None:
    """Return the norm of the loss's gradient by each step's input vector; None where it is not known."""
    seen: list[Padded] = []
    layer: Any = getattr(model, "input_layer", None)  # a forecaster reads its numbers as they are
    if layer is None:
        return None

    def watch(module: Any, given: Any, said: Any) -> Any:
        if not isinstance(said, Padded) or seen:
            return None
        seen.append(said.with_data(said.data.detach().requires_grad_()))
        return seen[0]

    with untouched(model), torch.enable_grad():
        handle = layer.register_forward_hook(watch)
        try:
            loss: Tensor = model.loss(batch)
        finally:
            handle.remove()
        if not seen or not loss.requires_grad:
            return None
        gradient: Tensor | None = torch.autograd.grad(loss, [seen[0].data], allow_unused=True)[0]
    if gradient is None:
        return None
    return [row.tolist() for row in seen[0].with_data(gradient.norm(dim=-1).cpu()).unpad()]


def _attention(task: Task, model: Pattern, batch: Batch) -> list[list[list[float]]] | None:
    """Return where the decoder looks while it is led through each target; None without attention."""
    if not isinstance(model, EncoderDecoder) or task.chosen.attention == "none":
        return None
    with untouched(model), torch.no_grad():
        weights = model.attention_weights(batch)
    sources = batch.features["tokens"].lengths.tolist()
    rows = [row.cpu() for row in weights.unpad()]
    return [row[:, :length].tolist() for row, length in zip(rows, sources, strict=True)]
