"""RULES OF MEMORY: gradients that vanish or explode, states that are forgotten too fast or never.

Shape legend: B batch, T time, H hidden, K lags.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from elman.xray.diagnosis import Case, Diagnosis, layer_name
from elman.xray.gates import Gate
from elman.xray.layer_flow import LayerFlow

FEWEST_STEPS = 10
"""Shorter rows need no memory worth speaking of."""

VANISHED = 1e-4
"""Share of the gradient that reaches a row's first step below which it has vanished. An LSTM of torch's own
initialisation has more than that after ten steps, and less after twenty."""

ROUNDING = 1e-7
"""What float32 rounds away beside 1; at this share the first steps teach nothing: severity 1."""

EXPLODED = 10.0
"""Growth of a random small change, in the root mean square, from which gradients count as exploding. It is 1
at the start, and no healthy layer lets it grow: Pascanu, Mikolov and Bengio 2013, section 2.1."""

HOPELESS_GROWTH = 1e4
"""The same at which the direction of a step is that of a few steps of a few rows: severity 1."""

SPIKE_OF_NORM = 100.0
"""A gradient norm that is so many times the median of the training so far is an explosion."""

LEFT = 0.01
"""Influence at the lag that must be remembered below which it counts as forgotten: the memory horizon's."""

HARD_TO_HOLD = 10
"""Steps beyond which gradient descent hardly makes recurrent weights of tanh hold something, whatever they
are at the start: Bengio, Simard and Frasconi 1994, who met it from ten to twenty steps."""

FORGETFUL = 0.2
"""Mean of the forget (or update) gate below which a fifth of the state is left after a step, and under 1 %
after three."""

STUCK = 0.002
"""A gate whose mean over all steps is so near to 0 or 1 does not act any more: it would take 500 steps to
count. Gates of a chrono initialisation for up to 500 steps are not as near."""

MOST_UNITS = 0.5
"""Share of the units of a layer that a rule about units needs: with fewer, the others do the work."""

KEEPS = {"GRU": "update_gate", "LSTM": "forget_gate"}
"""The gate by which the old state is multiplied, by torch's word for the cell."""


def vanishing(case: Case) -> Iterator[Diagnosis]:
    """Find layers whose first steps are reached by (next to) nothing of the gradient."""
    for flow in case.examination.layers:
        share = _share_at_start(flow)
        if share is None or not share < VANISHED:
            continue
        steps = int(flow.lengths.max())
        yield Diagnosis(
            "vanishing",
            layer_name(flow),
            f"of |dL/dh_t|, {share:.2g} of its largest value is left at the first step of rows of up to "
            f"{steps} steps{_horizon(flow)}",
            "What happens early in a sequence cannot be learned, because its share of the gradient is lost "
            "among that of later steps.",
            _longer_memory(case, flow),
            _severity(flow, share),
        )


def exploding(case: Case) -> Iterator[Diagnosis]:
    """Find layers that make small changes grow, and gradient norms far beyond the usual."""
    clip = case.chosen.get("clip_norm")
    remedy = "--clip-norm 1 --init orthogonal"
    if clip:
        rate = case.chosen.get("learning_rate")
        remedy = f"--init orthogonal --clip-norm {clip / 4:g}"
        remedy += f" --learning-rate {rate / 2:g}" if rate else ""
    explanation = (
        "A few steps decide the direction of the whole update, and a small change of the input changes "
        "everything that follows."
    )
    for flow in case.examination.layers:
        growth = float(flow.lag_norms[_whole(flow)].influence.nan_to_num(0.0, posinf=math.inf).max())
        if growth > EXPLODED:
            lags = flow.lag_norms[_whole(flow)]
            lag = int(lags.lags[int(lags.influence.nan_to_num(0.0, posinf=math.inf).argmax())])
            severity = min(1.0, math.log(growth) / math.log(HOPELESS_GROWTH))
            times = (
                f"becomes {growth:.3g} times as large" if math.isfinite(growth) else "outgrows all numbers"
            )
            evidence = f"a small change of the state {times} in {lag} steps"
            yield Diagnosis("exploding", layer_name(flow), evidence, explanation, remedy, severity)
    values = sorted(norm for _, norm in case.norms)
    if values and not all(map(math.isfinite, values)):
        evidence = "the gradient was not finite at some steps of the training"
        yield Diagnosis("exploding", None, evidence, explanation, remedy, 1.0)
    elif values and values[-1] > SPIKE_OF_NORM * values[len(values) // 2] > 0:
        evidence = f"the largest gradient norm is {values[-1]:.3g}, the median {values[len(values) // 2]:.3g}"
        yield Diagnosis("exploding", None, evidence, explanation, remedy, 0.5)


def forgets_too_fast(case: Case) -> Iterator[Diagnosis]:
    """Find layers whose keeping gates are shut, or whose memory ends before what must be remembered."""
    for flow in case.examination.layers:
        keep = _keeping_gate(flow)
        mean = float(keep.mean.mean()) if keep is not None else 1.0
        explanation = "The state is overwritten before what is to be said of it is asked."
        if keep is not None and mean < FORGETFUL and int(flow.lengths.max()) > 1:
            evidence = (
                f"the {keep.name.replace('_', ' ')} keeps {mean:.2g} of the state at a step, on average"
            )
            severity = max(0.5, 1 - mean / FORGETFUL)
        elif (left := _left_after(flow, case.memory_steps)) is not None and left < LEFT:
            evidence = (
                f"after {case.memory_steps} steps, which must be remembered, {left:.2g} of a change is left"
                f"{_horizon(flow)}"
            )
            severity = max(_severity(flow, left), _hardness(case, flow))
        elif hardness := _hardness(case, flow):
            evidence = f"without a gate it must hold what it read for {case.memory_steps} steps"
            severity = hardness
        else:
            continue
        remedy = _longer_memory(case, flow)
        yield Diagnosis("forgets too fast", layer_name(flow), evidence, explanation, remedy, severity)


def never_forgets(case: Case) -> Iterator[Diagnosis]:
    """Find layers whose keeping gates stand open for good."""
    for flow in case.examination.layers:
        keep = _keeping_gate(flow)
        if keep is None:
            continue
        share = float((keep.mean > 1 - _stuck(flow)).double().mean())
        if share > MOST_UNITS:
            yield Diagnosis(
                "never forgets",
                layer_name(flow),
                f"the {keep.name.replace('_', ' ')} is {float(keep.mean.mean()):.5f} on average, in "
                f"{share:.0%} of the units so near to 1 that it moves by next to nothing",
                "What was read first fills the state, and the gate has too little slope to learn to let go.",
                f"--init chrono --memory-steps {case.longest}",
                share,
            )


def own_order(flow: LayerFlow) -> Tensor:
    """Return |dL/ds_t| of the whole state [B, T], in the direction's own order of time; zero in the padding.

    Example:
        >>> from elman.xray.examine import examine
        >>> found = examine(torch.nn.GRU(2, 3), torch.ones(4, 1, 2), lambda gru, x: gru(x)[0].sum())
        >>> own_order(found.layers[0]).shape
        torch.Size([1, 4])
    """
    norms_BT = torch.stack(list(flow.gradient_norms.values())).norm(dim=0)
    if not flow.direction:
        return norms_BT
    steps = torch.arange(norms_BT.size(1))
    lengths_B1 = flow.lengths.unsqueeze(1)
    index_BT = torch.where(steps < lengths_B1, lengths_B1 - 1 - steps, steps)
    return norms_BT.gather(1, index_BT)


def _share_at_start(flow: LayerFlow) -> float | None:
    """Give the median over long rows of the gradient at the first step, over the largest; None without."""
    norms_BT = own_order(flow)
    largest_B = norms_BT.amax(1)
    rows = (flow.lengths >= FEWEST_STEPS) & (largest_B > 0) & largest_B.isfinite()
    if not bool(rows.any()):
        return None
    return float((norms_BT[rows, 0] / largest_B[rows]).median())


def _severity(flow: LayerFlow, left: float) -> float:
    """Give log(left) / log(ROUNDING), at most 1; less where a keeping gate can still learn to keep.

    A gate half open has its full slope, and opens from step to step, from the end of a row to its start; what
    an ungated layer loses in a step it loses at all of them. The share of the slope, 4 f (1 - f), that a gate
    has takes so much of three quarters of the severity.
    """
    severity = min(1.0, math.log(max(left, ROUNDING)) / math.log(ROUNDING))
    keep = _keeping_gate(flow)
    if keep is None:
        return severity
    return severity * (1 - 0.75 * float((4 * keep.mean * (1 - keep.mean)).mean()))


def _hardness(case: Case, flow: LayerFlow) -> float:
    """Give (1 - HARD_TO_HOLD / steps) / 2 for a tanh layer that must remember more steps; else 0."""
    steps = case.memory_steps or 0
    return (1 - HARD_TO_HOLD / steps) / 2 if flow.mode == "RNN_TANH" and steps > HARD_TO_HOLD else 0.0


def _keeping_gate(flow: LayerFlow) -> Gate | None:
    """Give the gate by which the old state is multiplied; None where there is none."""
    return next((gate for gate in flow.gates if gate.name == KEEPS.get(flow.mode)), None)


def _left_after(flow: LayerFlow, steps: int | None) -> float | None:
    """Give the influence at the largest known lag up to so many steps; None where rows are shorter."""
    lags = flow.lag_norms[_whole(flow)]
    if steps is None or int(flow.lengths.max()) <= steps:
        return None
    found = lags.influence[(lags.lags <= steps) & lags.influence.isfinite()]
    return float(found[-1]) if len(found) else None


def _longer_memory(case: Case, flow: LayerFlow) -> str:
    """Give the flags of a network that remembers for as long as the rows are."""
    steps = case.longest
    if flow.mode.startswith("RNN"):
        return f"--cell lstm --init chrono --memory-steps {steps} --clip-norm 1"
    if case.chosen.get("init") == "chrono":
        steps = max(steps, 2 * (case.chosen.get("memory_steps") or steps))
    return f"--init chrono --memory-steps {steps} --clip-norm 1"


def _horizon(flow: LayerFlow) -> str:
    horizon = flow.memory_horizon
    return "" if horizon is None else f"; under 1 % of a change is left after {horizon} steps"


def _whole(flow: LayerFlow) -> str:
    return "state" if "state" in flow.lag_norms else "hidden"


def _stuck(flow: LayerFlow) -> float:
    """Give how near to 0 or 1 a gate is stuck: on long rows nearer, for there it may count."""
    return min(STUCK, 0.1 / max(int(flow.lengths.max()), 1))
