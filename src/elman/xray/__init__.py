"""X-RAY: look inside any torch module with recurrent layers: gradients, spectra, gates, padding."""

from elman.xray.examine import Examination, examine
from elman.xray.padding import check_padding
from elman.xray.report_card import report_card
from elman.xray.saliency import attribute

__all__ = ["Examination", "attribute", "check_padding", "examine", "report_card"]
