"""elman: recurrent networks, end to end.

Nothing is loaded before it is used: `import elman` alone, its settings, errors, readers and command line
do without torch. What the package offers is the table `_PLACES`, written by hand.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elman import baselines as baselines
    from elman import cells as cells
    from elman import config as config
    from elman import data as data
    from elman import errors as errors
    from elman import estimators as estimators
    from elman import kernels as kernels
    from elman import losses as losses
    from elman import metrics as metrics
    from elman import nn as nn
    from elman import padded as padded
    from elman import patterns as patterns
    from elman import tasks as tasks
    from elman import training as training
    from elman import xray as xray
    from elman.comparison import compare as compare
    from elman.config import Settings as Settings
    from elman.errors import ElmanError as ElmanError
    from elman.padded import Padded as Padded
    from elman.run import Run as Run
    from elman.run import load as load
    from elman.run_train import train as train
    from elman.tuning.tune import tune as tune

# Name -> module, and the name in it; None where the module itself is meant.
_PLACES: dict[str, tuple[str, str | None]] = {
    "train": ("elman.run_train", "train"),
    "tune": ("elman.tuning.tune", "tune"),
    "load": ("elman.run", "load"),
    "compare": ("elman.comparison", "compare"),
    "Run": ("elman.run", "Run"),
    "Settings": ("elman.config", "Settings"),
    "Padded": ("elman.padded", "Padded"),
    "ElmanError": ("elman.errors", "ElmanError"),
    "baselines": ("elman.baselines", None),
    "cells": ("elman.cells", None),
    "config": ("elman.config", None),
    "data": ("elman.data", None),
    "errors": ("elman.errors", None),
    "estimators": ("elman.estimators", None),
    "kernels": ("elman.kernels", None),
    "losses": ("elman.losses", None),
    "metrics": ("elman.metrics", None),
    "nn": ("elman.nn", None),
    "padded": ("elman.padded", None),
    "patterns": ("elman.patterns", None),
    "tasks": ("elman.tasks", None),
    "training": ("elman.training", None),
    "xray": ("elman.xray", None),
}

__all__ = ["ElmanError", "Padded", "Run", "Settings", "load", "nn", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _PLACES:
        raise AttributeError(f"module 'elman' has no attribute {name!r}")
    place, inner = _PLACES[name]
    module = importlib.import_module(place)
    value = module if inner is None else getattr(module, inner)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES, "__version__"})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("elman")
    except PackageNotFoundError:
        return "0 (not installed)"
