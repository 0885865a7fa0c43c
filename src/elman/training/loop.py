"""THE TRAINING LOOP: `fit` reads on one screen; what it calls stands below it in the order of its calls."""

import logging
import math
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from elman.config import unknown_name
from elman.errors import ConfigError, Interrupted, RunError, TrainingError
from elman.patterns.pattern import Pattern
from elman.training import nonfinite, snapshot
from elman.training.optim import Optimizer, Schedule
from elman.training.plan import Observer, Outcome, Plan, Progress, Reason
from elman.training.signals import StopOnSignal
from elman.training.store import Store

logger = logging.getLogger("elman")


class Batches(Protocol):
    """What the loop needs of data: how many batches an epoch has, their order, and each one's content."""

    @property
    def num_batches(self) -> int:
        """Batches in an epoch."""

    def order(self, epoch: int) -> list[list[int]]:
        """Return the rows of each batch of an epoch, counted from 0: always the same for the same epoch."""

    def batch(self, rows: list[int]) -> Any:
        """Return the batch of these rows, as the pattern's `loss` takes it."""


def fit(
    pattern: Pattern,
    batches: Batches,
    plan: Plan,
    *,
    evaluate: Callable[[], dict[str, Any]] | None = None,
    store: Store | None = None,
    observers: Sequence[Observer] = (),
    resume: bool = False,
) -> Outcome:
    """Train a pattern; afterwards it holds the best weights.

    Seed torch and build the pattern before. The same seed, data, plan and threads give the same bytes, also
    when the training was killed at any moment and resumed (on the same machine and versions).

    Args:
        pattern: the network; on resuming, one of the same shape with any weights.
        batches: the training data.
        plan: how to train.
        evaluate: gives the validation metrics, `plan.metric` among them; called after each epoch, in eval
            mode and without gradients. None: the last weights count as the best.
        store: the run folder; None: nothing is written, and nothing can be resumed.
        observers: who looks on (progress bars).
        resume: go on from the newest good checkpoint in the store; without any, start afresh.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the step was finished and everything saved (a plan that keeps
            what there is ends on SIGINT instead).
        TrainingError: five steps in a row were not finite.
        RunError: the disk is full or cannot be written.
        CheckpointError: no checkpoint is whole, or they belong to another network or other data.
        ConfigError: `evaluate` does not give the plan's metric.
    """
    training = _Training(pattern, batches, plan, evaluate, store, observers)
    gradient = training.gradient
    optimizer, schedule, progress = training.optimizer, training.schedule, training.begin(resume)
    with StopOnSignal(notice="") if plan.keeps_when_interrupted else StopOnSignal() as stop:
        while (reason := progress.reason_to_end(plan)) is None:
            pattern.train()
            for rows in batches.order(progress.epoch)[progress.position :]:
                mean_loss = gradient.backward(pattern, training.batch(rows), step=progress.step)
                loss, norm = _read(mean_loss, optimizer.gradient_norm())
                if math.isfinite(loss) and math.isfinite(norm):
                    if 0 < plan.clip_norm < norm:
                        optimizer.scale_gradients(plan.clip_norm / norm)
                    optimizer.step(schedule.rate(progress.step))
                    training.count_step(loss)
                else:
                    training.count_skipped(loss, norm, rows)
                optimizer.zero_grad()
                training.end_step(loss, norm, len(rows))
                if stop.received is not None:
                    return training.stop(stop.received)
                if training.is_out_of_time():
                    return training.end("time")
                if training.is_checkpoint_due():
                    training.save()
            training.end_epoch()
            if stop.received is not None:
                return training.stop(stop.received)
        return training.end(reason)


def _read(loss: Tensor, norm: Tensor) -> tuple[float, float]:
    """Return both numbers: the one place of a step where Python waits for the device."""
    values = (loss.item(), norm.item()) if loss.device.type == "cpu" else torch.stack((loss, norm)).tolist()
    return values[0], values[1]


class _Training:
    """The parts of one call of `fit`, and what is done at each of its turns."""

    def __init__(
        self,
        pattern: Pattern,
        batches: Batches,
        plan: Plan,
        evaluate: Callable[[], dict[str, Any]] | None,
        store: Store | None,
        observers: Sequence[Observer],
    ) -> None:
        self.pattern, self.batches, self.plan = pattern, batches, plan
        self.evaluate, self.store, self.observers = evaluate, store, observers
        self.gradient = plan.gradient_rule(plan.epochs * batches.num_batches)
        self.optimizer = Optimizer(pattern, rule=plan.optimizer, weight_decay=plan.weight_decay)
        self.schedule = Schedule(
            plan.learning_rate,
            warmup=plan.warmup,
            decay=plan.decay,
            total_steps=plan.epochs * batches.num_batches,
        )
        self.progress = Progress()
        self.best: dict[str, Tensor] | None = None  # the weights at progress.best_step
        device = snapshot.device_of(pattern)
        self.device = None if device.type == "cpu" else device
        self.began = self.lapped = self.saved = time.perf_counter()

    def begin(self, resume: bool) -> Progress:
        """Take up where the newest checkpoint stands, or start."""
        if self.store is not None and not resume and self.store.has_checkpoints():
            raise RunError(
                f"{self.store.folder}: there are checkpoints of a run; resume it, or use another folder."
            )
        found = self.store.resume() if self.store is not None and resume else None
        if found is not None:
            tensors, state = found
            self.progress = snapshot.put_back(
                tensors,
                state,
                self.pattern,
                self.optimizer,
                self.gradient,
                num_batches=self.batches.num_batches,
            )
            self._restore_best(tensors)
        for observer in self.observers:
            observer.on_start(self.progress, self.plan, self.batches.num_batches)
        return self.progress

    def _restore_best(self, tensors: dict[str, Tensor]) -> None:
        """Get back the best weights so far, and `model.safetensors` should it be lost or of a later step."""
        progress, store = self.progress, self.store
        if store is None or not progress.best_step:
            return
        self.best = store.load_best(progress.best_step)
        if self.best is None:
            logger.warning(
                "the best weights so far (step %d) are lost; from here on the best is chosen anew",
                progress.best_step,
            )
            progress.best_metric, progress.best_step, progress.best_epoch = None, 0, 0
            progress.best_metrics = {}
        else:
            self.best = {name: tensor.clone() for name, tensor in self.best.items()}
            store.save_best(self.best, step=progress.best_step, epoch=progress.best_epoch)

    def batch(self, rows: list[int]) -> Any:
        """Return a batch where the pattern is."""
        batch = self.batches.batch(rows)
        return batch if self.device is None else batch.to(self.device)

    def count_step(self, loss: float) -> None:
        """Add a step's loss to the epoch's."""
        progress = self.progress
        progress.loss_sum += loss
        progress.loss_count += 1
        progress.skipped_in_a_row = 0

    def count_skipped(self, loss: float, norm: float, rows: list[int]) -> None:
        """Count a step that is not finite; explain the first, end the training at the fifth in a row."""
        progress = self.progress
        progress.skipped += 1
        progress.skipped_in_a_row += 1
        message = nonfinite.explain(
            self.pattern, loss=loss, norm=norm, epoch=progress.epoch + 1, step=progress.step + 1, rows=rows
        )
        if progress.skipped_in_a_row >= nonfinite.LIMIT:
            raise TrainingError(
                f"{message}. {nonfinite.LIMIT} steps in a row were not finite, so training stops; the "
                "weights are those before them. Lower --learning-rate or --clip-norm, or look at the "
                "numbers in those rows."
            )
        if progress.skipped == 1:
            logger.warning(
                "%s. The step was skipped and the weights stay; later ones are only counted", message
            )
        for observer in self.observers:
            observer.on_skip(message)

    def end_step(self, loss: float, norm: float, sequences: int) -> None:
        """Move on by one batch and tell the observers."""
        progress = self.progress
        progress.step += 1
        progress.position += 1
        progress.epoch_sequences += sequences
        seconds = self._lap()
        progress.seconds += seconds
        progress.epoch_seconds += seconds
        for observer in self.observers:
            observer.on_step(progress, loss, norm, sequences)

    def is_out_of_time(self) -> bool:
        """Say whether this call has lasted for `max_minutes`."""
        return self.plan.max_minutes is not None and self.lapped - self.began >= 60 * self.plan.max_minutes

    def is_checkpoint_due(self) -> bool:
        """Say whether the last checkpoint is `checkpoint_seconds` old."""
        return self.store is not None and self.lapped - self.saved >= self.plan.checkpoint_seconds

    def end_epoch(self) -> None:
        """Validate, keep the weights if they are the best, write the journals and a checkpoint."""
        progress, plan = self.progress, self.plan
        metrics = self._validate()
        progress.epoch += 1
        is_best = self.evaluate is None or progress.is_better(metrics, plan)
        if is_best:
            self._note_best(metrics)
        progress.epochs_since_best = 0 if is_best else progress.epochs_since_best + 1
        progress.seconds += self._lap()
        place = {"epoch": progress.epoch, "step": progress.step}
        row = {
            **place,
            "train": {"loss": progress.mean_loss},
            "valid": metrics,
            "learning_rate": self.schedule.rate(progress.step - 1),
            "skipped": progress.skipped,
        }
        seconds = max(progress.epoch_seconds, 1e-9)
        timing = {
            **place,
            "seconds": round(progress.seconds, 3),
            "sequences_per_second": round(progress.epoch_sequences / seconds, 1),
            "steps_per_second": round(progress.position / seconds, 2),
        }
        progress.position, progress.loss_sum, progress.loss_count = 0, 0.0, 0
        progress.epoch_seconds, progress.epoch_sequences = 0.0, 0
        if self.store is not None:
            self.store.metrics.append(row)
            self.store.timing.append(timing)
        self.save()
        for observer in self.observers:
            observer.on_epoch(row, timing, is_best)

    def _validate(self) -> dict[str, Any]:
        """Return the validation metrics, ready for JSON."""
        if self.evaluate is None:
            return {}
        for observer in self.observers:
            observer.on_evaluate(self.progress)
        self.pattern.eval()
        with torch.no_grad():
            metrics: dict[str, Any] = to_plain(self.evaluate())
        if not isinstance(metrics.get(self.plan.metric, ""), int | float | None):
            known = [name for name, value in metrics.items() if isinstance(value, int | float | None)]
            raise ConfigError(unknown_name("metric", self.plan.metric, known))
        return metrics

    def _note_best(self, metrics: dict[str, Any]) -> None:
        progress = self.progress
        progress.best_metric, progress.best_metrics = metrics.get(self.plan.metric), metrics
        progress.best_step, progress.best_epoch = progress.step, progress.epoch
        self.best = snapshot.copy_weights(self.pattern)
        if self.store is not None:
            # Before the checkpoint: after a kill in between, the epoch is made again and writes the same.
            self.store.save_best(self.best, step=progress.step, epoch=progress.epoch)

    def save(self) -> Path | None:
        """Write a checkpoint of this moment."""
        if self.store is None:
            return None
        self.progress.seconds += self._lap()
        tensors, state = snapshot.take(
            self.pattern, self.optimizer, self.progress, self.gradient, num_batches=self.batches.num_batches
        )
        path = self.store.save(self.progress.step, tensors, state, best_step=self.progress.best_step)
        self.saved = time.perf_counter()
        for observer in self.observers:
            observer.on_save(path)
        return path

    def stop(self, signal_number: int) -> Outcome:
        """Save, and say how to go on; or end with the best weights, where the plan keeps them."""
        self.save()
        if self.plan.keeps_when_interrupted and signal_number == signal.SIGINT:
            return self.end("interrupted")
        epoch = min(self.progress.epoch + 1, self.plan.epochs)
        where = f"stopped at step {self.progress.step} (epoch {epoch} of {self.plan.epochs})"
        if self.store is None:
            raise Interrupted(f"{where}; nothing was saved, for no run folder was given.", signal_number)
        raise Interrupted(
            f"{where}, everything is saved; go on with: elman train --resume {self.store.folder}",
            signal_number,
        )

    def end(self, reason: Reason) -> Outcome:
        """Put the best weights into the pattern and say how it went."""
        if reason == "time":
            self.save()  # before anything else, so that a resumed training knows nothing of the next line
            self._consider_unfinished_epoch()
        progress = self.progress
        if self.best is None:  # no metric was ever a number: the last weights are as good as any
            self._note_best(progress.best_metrics)
        snapshot.load_weights_into(self.pattern, self.best or {})
        self.pattern.eval()
        outcome = Outcome(
            reason=reason,
            step=progress.step,
            epoch=progress.epoch,
            best_step=progress.best_step,
            best_epoch=progress.best_epoch,
            metrics=progress.best_metrics,
            skipped=progress.skipped,
            seconds=progress.seconds,
        )
        for observer in self.observers:
            observer.on_end(outcome)
        return outcome

    def _consider_unfinished_epoch(self) -> None:
        """Validate weights that time cut off inside an epoch; they may be the best (and the only ones)."""
        metrics = self._validate()
        if self.evaluate is None or self.progress.is_better(metrics, self.plan):
            self._note_best(metrics)

    def _lap(self) -> float:
        """Return the seconds since the last lap."""
        before, self.lapped = self.lapped, time.perf_counter()
        return self.lapped - before


def to_plain(value: Any) -> Any:
    """Return metrics as JSON can hold them: numpy's numbers as Python's, NaN and infinity as None."""
    if isinstance(value, dict):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(each) for each in value]
    if isinstance(value, np.generic | Tensor):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
