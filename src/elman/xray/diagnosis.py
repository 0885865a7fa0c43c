"""DIAGNOSIS: what ails a recurrent network, by which numbers that is seen, and which flags mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from elman.xray.examine import Examination
from elman.xray.layer_flow import LayerFlow


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong.

    Args:
        name: of the rule, a key of `rules.RULES`.
        layer: which layer, as a person would say it ("encoder.rnn layer 2 backward"); None: the whole model.
        evidence: the numbers by which it is seen.
        explanation: what that means, in a sentence.
        remedy: flags of `elman train` that mend it: "--cell lstm --init chrono --memory-steps 200"; "" where
            none does.
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


@dataclass(frozen=True)
class Case:
    """What the rules look at.

    Args:
        examination: of the model on a batch.
        curve: (step, loss) of the training so far.
        norms: (step, gradient norm before clipping) of the training so far.
        scores: of the run on held-out data, as `elman evaluate --json` names them.
        leaks: what `check_padding` found, each as a sentence.
        chosen: settings of the run by name, where they are known.
        memory_steps: steps that must be remembered; None: not known.
    """

    examination: Examination
    curve: Sequence[tuple[int, float]] = ()
    norms: Sequence[tuple[int, float]] = ()
    scores: Mapping[str, Any] = field(default_factory=dict)
    leaks: Sequence[str] = ()
    chosen: Mapping[str, Any] = field(default_factory=dict)
    memory_steps: int | None = None

    @property
    def longest(self) -> int:
        """Steps that must be remembered, or else of the longest row; at least 2, as --memory-steps asks."""
        lengths = [int(flow.lengths.max()) for flow in self.examination.layers if len(flow.lengths)]
        return max(self.memory_steps or max(lengths, default=2), 2)


def layer_name(flow: LayerFlow) -> str:
    """Return which layer, direction and pass, as a person would say it.

    Example:
        >>> import torch
        >>> from elman.xray.examine import examine
        >>> found = examine(torch.nn.GRU(2, 3), torch.ones(4, 1, 2), lambda gru, x: gru(x)[0].sum())
        >>> layer_name(found.layers[0])
        'layer 1'
    """
    words = [flow.name, f"layer {flow.layer + 1}", "backward" if flow.direction else ""]
    words.append(f"pass {flow.index + 1}" if flow.index else "")
    return " ".join(word for word in words if word)
