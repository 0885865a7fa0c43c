"""METRICS: how good predictions are. Those of labels and tags are here by name, the others a file each.

`labels.py`, `regression.py`, `forecast.py`, `translation.py`.
"""

from elman.metrics.labels import (
    SMALLER_IS_BETTER,
    Span,
    Transitions,
    accuracy,
    classification,
    confusion,
    is_legal,
    legal_transitions,
    per_class,
    span_scores,
    spans,
    split_tag,
    tag_scheme,
    tagging,
)

__all__ = [
    "SMALLER_IS_BETTER",
    "Span",
    "Transitions",
    "accuracy",
    "classification",
    "confusion",
    "is_legal",
    "legal_transitions",
    "per_class",
    "span_scores",
    "spans",
    "split_tag",
    "tag_scheme",
    "tagging",
]
