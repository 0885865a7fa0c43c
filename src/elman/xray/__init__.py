"""X-RAY: look inside any torch module with recurrent layers: gradients, spectra, gates, states, padding."""

from elman.xray.by_hand import Exercise, calculate
from elman.xray.examine import Examination, examine
from elman.xray.padding import check_padding
from elman.xray.report_card import report_card
from elman.xray.saliency import attribute
from elman.xray.textbook_errors import detect

__all__ = [
    "Examination",
    "Exercise",
    "attribute",
    "calculate",
    "check_padding",
    "detect",
    "examine",
    "report_card",
]
