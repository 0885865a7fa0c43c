"""X-RAY: look inside any torch module with recurrent layers: gradients, spectra, gates, states, padding."""

from elman.xray.by_hand import Exercise, calculate
from elman.xray.diagnose import diagnose
from elman.xray.eigenvalue_rule import classic_numbers
from elman.xray.examine import Examination, examine
from elman.xray.padding import check_padding
from elman.xray.report_card import report_card
from elman.xray.saliency import attribute
from elman.xray.state_neighbours import nearest_states
from elman.xray.textbook_errors import detect
from elman.xray.trace_drawing import draw
from elman.xray.tracing import trace, trace_pattern

__all__ = [
    "Examination",
    "Exercise",
    "attribute",
    "calculate",
    "check_padding",
    "classic_numbers",
    "detect",
    "diagnose",
    "draw",
    "examine",
    "nearest_states",
    "report_card",
    "trace",
    "trace_pattern",
]
