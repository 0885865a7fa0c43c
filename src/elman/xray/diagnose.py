"""DIAGNOSE: put every rule to an examination, and say what was found, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from elman.xray.diagnosis import Case, Diagnosis
from elman.xray.examine import Examination
from elman.xray.rules import RULES


def diagnose(
    examination: Examination,
    *,
    curve: Sequence[tuple[int, float]] | None = None,
    norms: Sequence[tuple[int, float]] | None = None,
    scores: Mapping[str, Any] | None = None,
    leaks: Iterable[Any] | None = None,
    chosen: Mapping[str, Any] | None = None,
    memory_steps: int | None = None,
) -> list[Diagnosis]:
    """Say what ails a network, by which numbers that is seen, and which flags of `elman train` mend it.

    Args:
        examination: what `examine` found.
        curve: (step, loss) of the training so far.
        norms: (step, gradient norm before clipping) of the training so far.
        scores: of the run on held-out data, as `elman evaluate --json` names them.
        leaks: what `check_padding` found.
        chosen: settings of the run by name; remedies take them into account.
        memory_steps: steps that must be remembered, where that is known of the problem.

    Returns:
        the diagnoses, the most severe first; none where no rule finds anything.

    Example:
        >>> import torch
        >>> from elman.xray.examine import examine
        >>> layer = torch.nn.LSTM(2, 8)
        >>> found = examine(layer, torch.randn(100, 4, 2), lambda lstm, x: lstm(x)[0][-1].sum())
        >>> [(one.name, one.remedy) for one in diagnose(found)]
        [('vanishing', '--init chrono --memory-steps 100 --clip-norm 1')]
    """
    case = Case(
        examination,
        curve or (),
        norms or (),
        scores or {},
        [str(leak) for leak in leaks or ()],
        chosen or {},
        memory_steps,
    )
    found = [diagnosis for rule in RULES.values() for diagnosis in rule(case)]
    return sorted(found, key=lambda diagnosis: -diagnosis.severity)
