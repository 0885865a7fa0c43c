"""PLAN, PROGRESS, OUTCOME: what a training is to do, where it stands, and how it ended; and who looks on."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from elman.errors import CheckpointError, ConfigError
from elman.training.bptt import FullBPTT, GradientRule, StreamBPTT, TruncatedBPTT
from elman.training.teacher_forcing import TeacherForcing

Reason = Literal["finished", "patience", "time", "interrupted"]


@dataclass(frozen=True)
class Plan:
    """How to train: everything the loop needs to know that is a plain value.

    Args:
        epochs: passes over the data.
        learning_rate: the highest rate of the schedule.
        optimizer: a key of `OPTIMIZERS`.
        weight_decay: pull of the weights towards zero (never on biases).
        warmup: steps over which the rate rises.
        decay: "none", "linear" or "cosine", over all steps of all epochs.
        clip_norm: largest norm of the gradient; 0: no clipping.
        bptt_window: steps between two cuts of the gradient; None: never cut.
        is_stream: whether a batch may continue the former one; the state is then carried on.
        teacher_forcing: a key of `teacher_forcing.SCHEDULES`; but for "always", of an encoder-decoder.
        teacher_forcing_end: probability of the right former token at the end of that schedule.
        metric: the validation metric that picks the best weights.
        larger_is_better: whether more of it is better.
        patience: stop after so many epochs without a better metric; None: never.
        max_minutes: stop, and save, after this time in one call; None: never.
        checkpoint_seconds: time between two checkpoints inside an epoch (each epoch ends with one too).
        keeps_when_interrupted: on Ctrl-C end with the best weights so far, instead of raising `Interrupted`.
    """

    epochs: int
    learning_rate: float = 2e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    warmup: int = 0
    decay: str = "none"
    clip_norm: float = 5.0
    bptt_window: int | None = None
    is_stream: bool = False
    teacher_forcing: str = "always"
    teacher_forcing_end: float = 0.5
    metric: str = "loss"
    larger_is_better: bool = False
    patience: int | None = None
    max_minutes: float | None = None
    checkpoint_seconds: float = 60.0
    keeps_when_interrupted: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"epochs = {self.epochs}: training needs at least 1.")
        if self.patience is not None and self.patience < 1:
            raise ConfigError(
                f"patience = {self.patience}: at least 1 epoch must be allowed to be no better."
            )

    def gradient_rule(self, total_steps: int = 1) -> GradientRule:
        """Return how far back in time the gradient flows, and what is read on the way.

        Args:
            total_steps: steps of all epochs.
        """
        if self.is_stream:
            return StreamBPTT()
        if self.teacher_forcing != "always":
            return TeacherForcing(
                self.teacher_forcing, total_steps=total_steps, end_rate=self.teacher_forcing_end
            )
        return FullBPTT() if self.bptt_window is None else TruncatedBPTT(self.bptt_window)


@dataclass
class Progress:
    """Where a training stands; saved in every checkpoint, so that resuming is only going on.

    Args:
        step: batches seen, skipped ones included.
        epoch: epochs that are over, validation included.
        position: batches of the current epoch that are done.
        loss_sum: sum of the losses of the current epoch's steps.
        loss_count: how many they are.
        skipped: steps skipped because loss or gradient was not finite.
        skipped_in_a_row: the last so many steps were all skipped.
        best_metric: best value of the plan's metric; None before the first.
        best_step: the step after which it was reached; 0 for none.
        best_epoch: the same in epochs.
        best_metrics: all validation metrics at that point.
        epochs_since_best: epochs without a better metric.
        seconds: time so far, validation included, over all calls.
        epoch_seconds: time of the current epoch's steps.
        epoch_sequences: sequences of the current epoch's steps.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    best_metric: float | None = None
    best_step: int = 0
    best_epoch: int = 0
    best_metrics: dict[str, Any] = field(default_factory=dict)
    epochs_since_best: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    epoch_sequences: int = 0

    @property
    def mean_loss(self) -> float | None:
        """The mean loss of the epoch's steps so far; None before the first."""
        return self.loss_sum / self.loss_count if self.loss_count else None

    def is_better(self, metrics: Mapping[str, Any], plan: Plan) -> bool:
        """Say whether the plan's metric beats the best so far.

        Nothing beats with None or NaN. A tie goes to the lower loss, where there is one: on a small
        validation part the first of many perfect epochs is not the best of them.
        """
        value = metrics[plan.metric]
        if value is None or math.isnan(value):
            return False
        if self.best_metric is None:
            return True
        if value == self.best_metric:
            loss, best_loss = metrics.get("loss"), self.best_metrics.get("loss")
            return loss is not None and best_loss is not None and bool(loss < best_loss)
        return value > self.best_metric if plan.larger_is_better else value < self.best_metric

    def reason_to_end(self, plan: Plan) -> Reason | None:
        """Say why training is over, or None."""
        if self.epoch >= plan.epochs:
            return "finished"
        if plan.patience is not None and self.epochs_since_best >= plan.patience:
            return "patience"
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the fields, ready for `json.dumps` (floats survive exactly)."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Progress":
        """Read what `to_json` gave.

        Raises:
            CheckpointError: a field is missing or unknown: another version wrote it.
        """
        differing = sorted(values.keys() ^ cls.__dataclass_fields__.keys())
        if differing:
            raise CheckpointError(
                f"the checkpoint's position was written by another version of elman (it differs in "
                f"{differing[0]!r}); resume with that version, or train anew."
            )
        return cls(**values)


@dataclass(frozen=True)
class Outcome:
    """How a training ended; the pattern holds the best weights.

    Args:
        reason: "finished" (all epochs), "patience" (no better metric for a while), "time" (max_minutes) or
            "interrupted" (Ctrl-C, where the plan keeps what there is).
        step: batches seen.
        epoch: epochs that are over.
        best_step: the step after which the weights now in the pattern were reached.
        best_epoch: the same in epochs.
        metrics: the validation metrics of those weights.
        skipped: steps that were skipped because they were not finite.
        seconds: time of all calls together, validation included.
    """

    reason: Reason
    step: int
    epoch: int
    best_step: int
    best_epoch: int
    metrics: dict[str, Any]
    skipped: int
    seconds: float


class Observer:
    """Looks on while a pattern trains; override what you want to see. `progress` is live: read it only."""

    def on_start(self, progress: Progress, plan: Plan, num_batches: int) -> None:
        """Training begins, or goes on (progress.step > 0)."""

    def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
        """A step was made; `norm` is the gradient's before clipping."""

    def on_skip(self, message: str) -> None:
        """A step was skipped, because its loss or gradient was not finite."""

    def on_evaluate(self, progress: Progress) -> None:
        """The epoch's steps are done; validation begins."""

    def on_epoch(self, row: dict[str, Any], timing: dict[str, Any], is_best: bool) -> None:
        """An epoch is over; `row` and `timing` are its lines of metrics.jsonl and timing.jsonl."""

    def on_save(self, path: Path) -> None:
        """A checkpoint was written."""

    def on_end(self, outcome: Outcome) -> None:
        """Training is over, and the pattern holds the best weights (not called when interrupted)."""
