"""RULES: everything that a diagnosis can be, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from elman.xray.diagnosis import Case, Diagnosis
from elman.xray.rules_memory import exploding, forgets_too_fast, never_forgets, vanishing
from elman.xray.rules_run import exposure_bias, last_value_forecaster, loss_spikes, padding_leak
from elman.xray.rules_units import dead_relu, embeddings_not_learning, saturated_gates

Rule = Callable[[Case], Iterator[Diagnosis]]

RULES: dict[str, Rule] = {
    "vanishing": vanishing,
    "exploding": exploding,
    "saturated gates": saturated_gates,
    "dead ReLU": dead_relu,
    "forgets too fast": forgets_too_fast,
    "never forgets": never_forgets,
    "loss spikes": loss_spikes,
    "exposure bias": exposure_bias,
    "last-value forecaster": last_value_forecaster,
    "padding leak": padding_leak,
    "embeddings not learning": embeddings_not_learning,
}
"""Each rule yields a diagnosis for every layer, parameter or score that it finds ill."""
