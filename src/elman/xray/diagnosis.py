"""DIAGNOSIS: what ails a recurrent network, by which numbers that is seen, and which flags mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong.

    Args:
        name: of the rule, a key of `rules.RULES`.
        layer: which layer, as a person would say it ("encoder.rnn layer 2 backward"); None: the whole model.
        evidence: the numbers by which it is seen.
        explanation: what that means, in a sentence.
        remedy: flags of `elman train` that mend it: "--cell lstm --init chrono --memory-steps 200".
        severity: 0 (to be kept an eye on) to 1 (nothing can be learned like this).

    Example:
        >>> Diagnosis("vanishing", None, "1e-9 of the gradient is left", "...", "--cell lstm", 0.9).severity
        0.9
    """

    name: str
    layer: str | None
    evidence: str
    explanation: str
    remedy: str
    severity: float
