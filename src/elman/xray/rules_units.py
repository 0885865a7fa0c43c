"""RULES OF UNITS: gates and squashed states that are saturated, dead ReLUs, embeddings that stand still."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from elman.xray.diagnosis import Case, Diagnosis, layer_name
from elman.xray.rules_memory import FEWEST_STEPS, KEEPS, MOST_UNITS, STUCK

DEAD = 0.4
"""Share of dead units from which a ReLU layer is ill. An identity start on positive inputs kills a quarter,
those with two negative weights, and still learns (Le, Jaitly and Hinton 2015)."""

STANDS_STILL = 1e-8
"""Gradient of an embedding over the median of the other parameters' below which nothing reaches it: float32
rounds it away long before."""

IS_EMBEDDING = re.compile(r"(^|[._])(embed\w*|tokens|characters|vectors|word_vectors)(\.|$|_)")
"""How embeddings are called by those who write networks."""


def saturated_gates(case: Case) -> Iterator[Diagnosis]:
    """Find gates that are stuck at 0 or 1 in most units, and tanh at its ends."""
    for flow in case.examination.layers:
        for gate in flow.gates:
            is_gate = gate.name.endswith("_gate")
            if is_gate:
                near = (gate.mean < STUCK) | (gate.mean > 1 - STUCK)
                share = float((near & (gate.saturated > 0.99)).double().mean())
            else:
                share = gate.saturated_share
            if gate.name == KEEPS.get(flow.mode) or share <= MOST_UNITS:
                continue  # of the keeping gate, `forgets too fast` and `never forgets` speak
            name = gate.name.replace("_", " ")
            where = (
                f"of {share:.0%} of the units is always nearer than {STUCK} to 0 or 1"
                if is_gate
                else f"is beyond 0.95 in size at {share:.0%} of all steps and units"
            )
            yield Diagnosis(
                "saturated gates",
                layer_name(flow),
                f"the {name} {where}",
                "The slope of a saturated unit is next to zero, so that no gradient gets through it and it "
                "hardly learns any more.",
                "--init orthogonal --learning-rate 0.001 --clip-norm 1",
                share,
            )


def dead_relu(case: Case) -> Iterator[Diagnosis]:
    """Find ReLU layers many of whose units are zero at every step."""
    for flow in case.examination.layers:
        for gate in flow.gates:
            if gate.dead is None:
                continue
            share = len(gate.dead) / flow.hidden_size
            remedy = "--nonlinearity tanh --init orthogonal"
            if case.longest >= FEWEST_STEPS:  # where tanh alone would vanish
                remedy = f"--cell gru --init chrono --memory-steps {case.longest} --clip-norm 1"
            if share > DEAD:
                yield Diagnosis(
                    "dead ReLU",
                    layer_name(flow),
                    f"{len(gate.dead)} of {flow.hidden_size} units are zero at every step of the batch",
                    "A ReLU that is never above zero has no gradient, and stays as it is for good.",
                    remedy,
                    _severity_of_dead(len(gate.dead), flow.hidden_size),
                )


def _severity_of_dead(dead: int, size: int) -> float:
    """Give log(living share) / log(1 / size), from 0 where all live to 1 where one unit or none is left.

    A few living units learn much of what all would: 15 of 64 can solve the adding problem.
    """
    return min(1.0, math.log(max(size - dead, 1) / size) / math.log(1 / size)) if size > 1 else 1.0


def embeddings_not_learning(case: Case) -> Iterator[Diagnosis]:
    """Find embeddings that are trained and get no gradient."""
    known = [flow for flow in case.examination.parameters if flow.gradient_norm is not None]
    others = sorted(
        flow.gradient_norm or 0.0 for flow in known if not IS_EMBEDDING.search(flow.name) and flow.weight_norm
    )
    usual = others[len(others) // 2] if others else 0.0
    for flow in known:
        norm = flow.gradient_norm or 0.0
        if IS_EMBEDDING.search(flow.name) and flow.weight_norm > 0 and norm <= STANDS_STILL * usual:
            yield Diagnosis(
                "embeddings not learning",
                flow.name,
                f"its gradient is {norm:.2g}, the median of the other parameters' {usual:.2g}",
                "The vectors of the tokens stay as they were drawn, so that the network knows nothing of "
                "what tokens have in common.",
                "--embedding trainable --init orthogonal",
                0.8,
            )
