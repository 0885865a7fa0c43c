"""RULES OF A RUN: what its curve, its scores and its handling of padding say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from elman.xray.diagnosis import Case, Diagnosis

BEFORE = 20
"""Losses before a step by which it is judged."""

SPIKE = 10.0
"""Deviations above their median from which a loss is a spike. The deviation is 1.4826 times the median
distance from the median, as of a normal distribution (Hampel 1974)."""

SPIKE_RATIO = 1.5
"""And so many times the median: where losses hardly differ, ten deviations are nothing."""

SPIKES = 2
"""Spikes that make a diagnosis; a single one may be a single odd batch."""

EXPOSURE_GAP = 0.1
"""Share of positions that a decoder gets wrong on its own words and right when led: with ten points more, one
mistake in ten brings others after it."""


def loss_spikes(case: Case) -> Iterator[Diagnosis]:
    """Find a loss that jumps again and again."""
    losses = [(step, loss) for step, loss in case.curve]
    bad = [step for step, loss in losses if not math.isfinite(loss)]
    spikes, worst = [], 1.0
    for place in range(BEFORE, len(losses)):
        before = [loss for _, loss in losses[place - BEFORE : place] if math.isfinite(loss)]
        step, loss = losses[place]
        if len(before) < BEFORE // 2 or not math.isfinite(loss):
            continue
        middle = statistics.median(before)
        deviation = 1.4826 * statistics.median(abs(value - middle) for value in before)
        if loss > middle + SPIKE * deviation and loss > middle + (SPIKE_RATIO - 1) * abs(middle):
            spikes.append(step)
            worst = max(worst, loss / abs(middle)) if middle else math.inf
    if len(spikes) < SPIKES and not bad:
        return
    rate = case.chosen.get("learning_rate")
    evidence = (
        f"{len(bad)} losses are not finite, the first at step {bad[0]}"
        if bad
        else f"{len(spikes)} of {len(losses)} losses are spikes, up to {worst:.3g} times the median before "
        f"them, the first at step {spikes[0]}"
    )
    yield Diagnosis(
        "loss spikes",
        None,
        evidence,
        "Single steps go too far and undo what others learned.",
        "--clip-norm 0.5" + (f" --learning-rate {rate / 2:g}" if rate else " --warmup 200"),
        1.0 if bad else min(1.0, 0.3 + len(spikes) / len(losses)),
    )


def exposure_bias(case: Case) -> Iterator[Diagnosis]:
    """Find a decoder that errs far more on its own words than on the right ones."""
    gap = case.scores.get("exposure_gap")
    if not isinstance(gap, int | float) or not gap > EXPOSURE_GAP:
        return
    yield Diagnosis(
        "exposure bias",
        None,
        f"after its own tokens the decoder errs at {100 * gap:.1f} points more of the positions than after "
        "the right ones",
        "It was trained on right former tokens alone, and does not know how to go on after a mistake.",
        "--teacher-forcing linear --teacher-forcing-end 0.5",
        min(1.0, float(gap) / 0.5),
    )


def last_value_forecaster(case: Case) -> Iterator[Diagnosis]:
    """Find a forecast that is its last value again."""
    for alarm in case.scores.get("alarms") or ():
        yield Diagnosis(
            "last-value forecaster",
            None,
            str(alarm).split(";", 1)[0],
            "It looks like a forecast in a plot, a step late, and knows no more than the value before.",
            "--difference season --calendar",
            0.7,
        )


def padding_leak(case: Case) -> Iterator[Diagnosis]:
    """Pass on what `check_padding` found."""
    for leak in case.leaks:
        yield Diagnosis(
            "padding leak",
            None,
            str(leak),
            "What is said of a row depends on the rows beside it.",
            "",
            1.0,
        )
