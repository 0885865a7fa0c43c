"""PROGRESS: what a person sees while a model trains: a live bar on a terminal, plain lines elsewhere.

Everything here goes to standard error, so that standard output holds results alone.
"""

import os
import re
import sys
import time
from collections import deque
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from elman.tables import clock, format_metric
from elman.training.plan import Observer, Outcome, Plan, Progress

REDRAW_SECONDS = 0.125
"""Time between two drawings of the bar: quick to the eye, nothing beside a training step."""

LINE_SECONDS = 10.0
"""Time between two plain lines within an epoch."""

SPEED_SECONDS = 5.0
"""The speed shown is that of the last so many seconds."""

PLAIN_WIDTH = 110
"""Columns that lines are folded to where there is no terminal."""

SHORTEST_BAR, LONGEST_BAR = 8, 40


def say(line: str) -> None:
    """Print a line to standard error; above the bar where there is one.

    A reader who has gone away (a closed pipe) never stops a training: the line is lost.
    """
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # ValueError: the stream itself was closed
        pass


def announce(line: str) -> None:
    """Print a line of choices or counts to standard error, folded to the width of the terminal."""
    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        width = PLAIN_WIDTH
    say(fold(line, width))


def fold(line: str, width: int) -> str:
    """Return a line broken after commas and semicolons where it is too long; what follows is indented.

    Example:
        >>> print(fold("chosen: tokens words, pooling mean+max, dropout 0.5, epochs 40", 40))
        chosen: tokens words, pooling mean+max,
            dropout 0.5, epochs 40
    """
    lines = [""]
    for part in re.split(r"(?<=[,;]) ", line):
        if lines[-1].strip() and len(lines[-1]) + 1 + len(part) > width:
            lines.append("   ")
        lines[-1] += f" {part}" if lines[-1] else part
    return "\n".join(lines)


class SteadyConsole(Console):
    """A console whose reader may go away: rich's own would end the whole process then."""

    def on_broken_pipe(self) -> None:
        """Write nothing more."""
        self.quiet = True


def display(console: SteadyConsole | None = None) -> "Display":
    """Return an observer for the training loop that shows where it stands; best used with `with`.

    Args:
        console: where to draw; None: standard error.
    """
    return Display(console or SteadyConsole(stderr=True, force_jupyter=False, highlight=False))


class Display(Observer):
    """Shows loss, metric, speed and the time left.

    Args:
        console: a terminal gets a live bar, anything else a line each epoch and every ten seconds.
    """

    def __init__(self, console: SteadyConsole) -> None:
        self.console = console
        self.is_live = console.is_terminal and not console.is_dumb_terminal
        self.live: Live | None = None
        self.plan = Plan(epochs=1)
        self.num_batches = 1
        self.first_step = 0
        self.began = self.shown = time.monotonic()
        self.recent: deque[tuple[float, int]] = deque()
        self.is_scoring = False
        self.pace_length = 0

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away and give the terminal back; safe to call twice."""
        live, self.live = self.live, None
        if live is not None:
            self._draw(live.stop)

    def on_start(self, progress: Progress, plan: Plan, num_batches: int) -> None:
        """Begin to count; a resumed training starts where it stands."""
        self.plan, self.num_batches, self.first_step = plan, max(1, num_batches), progress.step
        self.began = self.shown = time.monotonic()
        self.recent.clear()
        if progress.step:
            say(f"going on after epoch {progress.epoch} of {plan.epochs}, step {progress.step:,}")
        if self.is_live and self.live is None:
            self.live = Live(console=self.console, auto_refresh=False, transient=True)
            self._draw(self.live.start)

    def on_step(self, progress: Progress, loss: float, norm: float, sequences: int) -> None:
        """Draw again where it is time to."""
        now = time.monotonic()
        self.recent.append((now, sequences))
        while now - self.recent[0][0] > SPEED_SECONDS and len(self.recent) > 2:
            self.recent.popleft()
        self.is_scoring = False
        if now - self.shown >= (REDRAW_SECONDS if self.live else LINE_SECONDS):
            self._show(progress, now)

    def on_evaluate(self, progress: Progress) -> None:
        """Say that the pause is validation."""
        self.is_scoring = True
        if self.live:
            self._show(progress, time.monotonic())
        self.recent.clear()

    def on_skip(self, message: str) -> None:
        """Say why a step was skipped."""
        say(message)

    def on_epoch(self, row: dict[str, Any], timing: dict[str, Any], is_best: bool) -> None:
        """Print the epoch's line."""
        self.shown = time.monotonic()
        is_best = is_best and bool(row.get("valid"))  # without validation the last is kept, not the best
        line = epoch_line(row, timing, self.plan, is_best)
        if self.is_live and len(line) > self.console.width:  # the bar shows the speed
            line = epoch_line(row, {"seconds": timing.get("seconds", 0.0)}, self.plan, is_best)
        text = Text(line)
        if is_best:
            text.stylize("green", len(text) - len("best"))
        self._draw(lambda: self.console.print(text, soft_wrap=True))

    def on_end(self, outcome: Outcome) -> None:
        """Take the bar away and say how training ended."""
        self.close()
        say(ending(outcome, self.plan))

    def _show(self, progress: Progress, now: float) -> None:
        self.shown = now
        if self.live is not None:
            live, line = self.live, self.line(progress, now, self.console.width)
            self._draw(lambda: live.update(line, refresh=True))
        else:
            say(self.line(progress, now, None).plain)

    def _draw(self, action: Any) -> None:
        """Draw; a terminal that has gone away ends the drawing, never the training."""
        try:
            action()
        except (OSError, ValueError):
            self.live = None
            self.is_live = False

    def line(self, progress: Progress, now: float, width: int | None) -> Text:
        """Return the state as one line that fits in `width` columns (None: a plain line without a bar)."""
        total = self.plan.epochs * self.num_batches
        done = min(1.0, progress.step / total)
        epoch = min(progress.epoch + 1, self.plan.epochs)
        head = f"epoch {epoch:>{len(str(self.plan.epochs))}}/{self.plan.epochs}"
        percent = f"{100 * done:3.0f} %"
        parts = self._parts(progress, now)
        if width is None:
            return Text("  ".join([head, percent, *parts]))
        # Where the line is too long, what is least needed goes: the last part first.
        while parts and len("  ".join([head, percent, *parts])) + 2 + SHORTEST_BAR > width - 1:
            parts.pop()
        rest = width - 1 - len("  ".join([head, percent, *parts])) - 2
        text = Text(f"{head}  ", no_wrap=True, overflow="crop")
        if rest >= SHORTEST_BAR:
            text.append_text(bar(done, min(rest, LONGEST_BAR)))
            text.append("  ")
        text.append("  ".join([percent, *parts]))
        return text

    def _parts(self, progress: Progress, now: float) -> list[str]:
        """Return what is said beside the bar, the most needed first."""
        parts = []
        if progress.mean_loss is not None:
            parts.append(f"loss {progress.mean_loss:.3f}")
        left = self.seconds_left(progress, now)
        if left is not None:
            # With patience the end may come sooner than the last epoch's.
            parts.append(f"{'at most ' if self.plan.patience else ''}{clock(left)} left")
        if progress.best_metric is not None:
            parts.append(f"best {self.plan.metric} {format_metric(self.plan.metric, progress.best_metric)}")
        if self.is_scoring:
            parts.append(
                "validating".ljust(self.pace_length)
            )  # as long as the speed, so that the bar stays still
        elif (speed := self.speed()) is not None:
            parts.append(f"{speed:,.0f} sequences/s")
            self.pace_length = len(parts[-1])
        return parts

    def seconds_left(self, progress: Progress, now: float) -> float | None:
        """Return the time to the last epoch's end, at the pace of this call so far (validation included)."""
        steps = progress.step - self.first_step
        if steps < 1:
            return None
        gone = now - self.began
        left = gone / steps * max(0, self.plan.epochs * self.num_batches - progress.step)
        if self.plan.max_minutes is not None:
            left = min(left, max(0.0, 60 * self.plan.max_minutes - gone))
        return left

    def speed(self) -> float | None:
        """Return sequences per second over the last seconds of training, validation left out."""
        if len(self.recent) < 2 or self.recent[-1][0] <= self.recent[0][0]:
            return None
        counted = sum(sequences for _, sequences in self.recent) - self.recent[0][1]
        return counted / (self.recent[-1][0] - self.recent[0][0])


def bar(done: float, width: int) -> Text:
    """Return a bar of `width` columns, `done` of it (0..1) filled.

    Example:
        >>> bar(0.5, 8).plain
        '━━━━────'
    """
    filled = round(done * width)
    return Text.assemble(("━" * filled, "cyan"), ("─" * (width - filled), "bright_black"))


def epoch_line(row: dict[str, Any], timing: dict[str, Any], plan: Plan, is_best: bool) -> str:
    """Return one epoch as a line: loss, validation metric, speed, time; "best" where it is the best so far.

    Example:
        >>> row = {"epoch": 3, "train": {"loss": 0.5}, "valid": {"accuracy": 0.75, "loss": 0.6}}
        >>> timing = {"seconds": 4.2, "sequences_per_second": 2300.0}
        >>> epoch_line(row, timing, Plan(epochs=12, metric="accuracy"), False)
        'epoch  3/12  loss 0.500  valid loss 0.600  accuracy 75.0 %  2,300 sequences/s  0:04'
    """
    parts = [f"epoch {row['epoch']:>{len(str(plan.epochs))}}/{plan.epochs}"]
    loss = row.get("train", {}).get("loss")
    parts.append("loss   –  " if loss is None else f"loss {loss:.3f}")
    valid = row.get("valid") or {}
    if valid.get("loss") is not None:
        parts.append(f"valid loss {valid['loss']:.3f}")
    if plan.metric != "loss" and plan.metric in valid:
        parts.append(f"{plan.metric} {format_metric(plan.metric, valid[plan.metric]):>6}")
    if timing.get("sequences_per_second") is not None:
        parts.append(f"{timing['sequences_per_second']:,.0f} sequences/s")
    parts.append(clock(timing.get("seconds", 0.0)))
    if is_best:
        parts.append("best")
    return "  ".join(parts)


def ending(outcome: Outcome, plan: Plan) -> str:
    """Return how training ended, in one sentence."""
    if outcome.reason == "patience":
        why = f"stopped after epoch {outcome.epoch}, {plan.patience} epochs without a better {plan.metric}"
    elif outcome.reason == "time":
        why = f"stopped after {plan.max_minutes:g} minutes, as asked"
    elif outcome.reason == "interrupted":
        why = f"interrupted in epoch {outcome.epoch + 1}"
    else:
        why = f"{outcome.epoch} epoch{'s' * (outcome.epoch != 1)} done"
    kept = "; kept the last weights: no part was held out to choose by"
    if outcome.metrics:
        score = format_metric(plan.metric, outcome.metrics.get(plan.metric))
        kept = f"; kept the weights of epoch {outcome.best_epoch} (validation {plan.metric} {score})"
    return f"{why} in {clock(outcome.seconds)}{kept}"
