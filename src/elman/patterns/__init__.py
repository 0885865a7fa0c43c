"""Networks and their loss, one file for each shape of network, built from sizes and tensors."""

from elman.patterns.classify import Classifier
from elman.patterns.fill import Filler
from elman.patterns.forecast import Forecaster
from elman.patterns.generate import LanguageModel
from elman.patterns.pattern import Pattern
from elman.patterns.regress import Regressor
from elman.patterns.regress_steps import StepRegressor
from elman.patterns.tag import Tagger
from elman.patterns.translate import EncoderDecoder

PATTERNS: dict[str, type[Pattern]] = {
    "classify": Classifier,
    "tag": Tagger,
    "fill": Filler,
    "regress": Regressor,
    "regress_steps": StepRegressor,
    "generate": LanguageModel,
}

__all__ = [
    "PATTERNS",
    "Classifier",
    "EncoderDecoder",
    "Filler",
    "Forecaster",
    "LanguageModel",
    "Pattern",
    "Regressor",
    "StepRegressor",
    "Tagger",
]
