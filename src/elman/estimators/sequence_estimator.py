"""SEQUENCE ESTIMATOR: what the four estimators share: their settings, training, and being kept.

An estimator is a run with scikit-learn's manners: settings are attributes and nothing happens before `fit`.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch

from elman import progress
from elman.config import (
    CellName,
    DecayName,
    DropoutKindName,
    InitialStateName,
    InitName,
    OptimizerName,
    Settings,
    make_settings,
)
from elman.errors import CheckpointError, ConfigError, DataError, ElmanError, RunError
from elman.estimators import kept
from elman.estimators.scikit_learn import BaseEstimator
from elman.run import Run, load
from elman.run_folder import read_json, write_json
from elman.run_train import train_run, use_threads
from elman.tasks.prediction import Prediction
from elman.train_arguments import in_python, plain
from elman.training.checkpoint import load_weights, save_weights
from elman.training.plan import Observer

OWN_PARAMETERS = ("validation_fraction", "random_state", "verbose")
"""Parameters that are no settings of elman."""

NOT_PARAMETERS = frozenset(
    {
        "task", "kind", "input", "condition", "columns", "train", "valid", "test",
        "out", "resume", "backtest", "xray_every",
    }
)  # fmt: skip
"""Settings that an estimator has no parameter for: X and y say it, or they are of a run's folder."""

FOUND = (
    "classes_",
    "feature_names_in_",
    "n_features_in_",
    "n_iter_",
    "quantiles_",
    "series_names_",
    "_columns",
    "_form",
    "_history",
    "_num_targets",
)
"""What `fit` finds out, besides the run. scikit-learn puts attributes of its own beside them."""

OF_SCIKIT_LEARN = ("_metadata_request",)
"""What scikit-learn keeps in an estimator: which arguments it asks for (`set_score_request`)."""

SAVED, SAVED_TENSORS = "estimator.json", "estimator.safetensors"

Estimator = TypeVar("Estimator", bound="SequenceEstimator")


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(BaseEstimator, ABC):
    """What the estimators share. See `elman.config.Settings` for every setting; None: the recipe decides.

    Args:
        validation_fraction: share of the examples that is held out to choose the best epoch by (default 0.1);
            0: none is, and the epoch is chosen by the training examples themselves.
        random_state: scikit-learn's name for `seed`: a whole number, or a generator that one is drawn from.
        verbose: show on standard error what `elman.train` shows.
    """

    task: ClassVar[str]

    cell: CellName | None = None
    nonlinearity: Literal["tanh", "relu"] | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    initial_state: InitialStateName | None = None
    dropout: float | None = None
    input_dropout: float | None = None
    dropout_kind: DropoutKindName | None = None
    recurrent_dropout: float | None = None
    weight_drop: float | None = None
    zoneout: float | None = None
    layer_norm: bool | None = None
    init: InitName | None = None
    memory_steps: int | None = None
    forget_bias: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    optimizer: OptimizerName | None = None
    weight_decay: float | None = None
    warmup: int | None = None
    decay: DecayName | None = None
    clip_norm: float | None = None
    bptt_window: int | None = None
    metric: str | None = None
    patience: int | None = None
    seed: int | None = None
    threads: int | None = None
    max_minutes: float | None = None
    device: str | None = None
    start_from: str | None = None
    validation_fraction: float | None = None
    random_state: Any = None
    verbose: bool = False

    @abstractmethod
    def fit(self, X: Any, y: Any) -> "SequenceEstimator":
        """Train, and return the estimator."""

    def save(self, folder: str | Path) -> None:
        """Write the fitted estimator to a new or empty folder: a run folder, which `elman.load` reads, too.

        Raises:
            NotFittedError: it is not fitted.
            RunError: the folder is not empty, or cannot be written.
            DataError: a label is of a type that cannot be kept.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        tensors: dict[str, torch.Tensor] = {}
        own = {name: kept.to_json(value, tensors) for name, value in self._found().items()}
        parameters = self.get_params(deep=False)
        if not isinstance(self.random_state, int | None):  # a generator: the seed that was drawn from it
            parameters["random_state"] = self.run_.settings.seed
        values = {name: kept.to_json(value, {}) for name, value in parameters.items()}
        folder = kept.write_run(self.run_, folder)
        if tensors:
            save_weights(folder / SAVED_TENSORS, tensors, {})
        write_json(folder / SAVED, {"estimator": type(self).__name__, "parameters": values, "own": own})

    @classmethod
    def load(cls: type[Estimator], folder: str | Path) -> Estimator:
        """Return the estimator that `save` wrote.

        Raises:
            RunError: no run is there, or none of an estimator.
            CheckpointError: a file is damaged, or it is an estimator of another class.
        """
        folder = Path(folder)
        run = load(folder)
        if not (folder / SAVED).exists():
            raise RunError(
                f"{folder}: holds a run but no {SAVED}; name a folder that an estimator's `save` wrote, or "
                f"read the run with elman.load({str(folder)!r})."
            )
        values = read_json(folder / SAVED)
        if values.get("estimator") != cls.__name__:
            name = values.get("estimator")
            raise CheckpointError(f"{folder}: holds a {name}; load it with {name}.load({str(folder)!r}).")
        has_tensors = (folder / SAVED_TENSORS).exists()
        tensors = load_weights(folder / SAVED_TENSORS)[0] if has_tensors else {}
        try:
            estimator = cls(**{name: kept.from_json(v, {}) for name, v in values["parameters"].items()})
            own = {name: kept.from_json(value, tensors) for name, value in values["own"].items()}
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"{folder / SAVED}: is damaged or of another version ({error}); restore it, or fit anew."
            ) from error
        estimator.__dict__.update(own, run_=run)
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Return parameters and bytes: what is pickled holds no object of torch's or elman's."""
        state: dict[str, Any] = {"parameters": self.get_params(deep=False)}
        state |= {name: self.__dict__[name] for name in OF_SCIKIT_LEARN if name in self.__dict__}
        if hasattr(self, "run_"):
            state["files"] = kept.to_bytes(self.run_, self._found())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up what `__getstate__` gave."""
        self.__dict__.update(state["parameters"])
        self.__dict__.update({name: state[name] for name in OF_SCIKIT_LEARN if name in state})
        if "files" in state:
            run, own = kept.from_bytes(state["files"])
            self.__dict__.update(own, run_=run)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: which inputs it takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _predict(self, inputs: list[Any]) -> list[Prediction]:
        """Return a prediction for each input, made with so many threads as `fit` was told."""
        with use_threads(self.run_.chosen.threads):
            return self.run_.predict(inputs)

    def _found(self) -> dict[str, Any]:
        """Return what `fit` found out, besides the run."""
        return {name: getattr(self, name) for name in FOUND if hasattr(self, name)}

    def _forget(self) -> None:
        """Forget what an earlier `fit` found out."""
        for name in [*self._found(), "run_"]:
            self.__dict__.pop(name, None)

    def _require(self, y: Any) -> None:
        """Refuse to train without targets, in scikit-learn's words."""
        if y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None.")

    def _settings(self, **more: Any) -> Settings:
        """Return the parameters that were given, as settings; of `random_state` only `fit` draws a seed."""
        given = {name: plain(value) for name, value in self.get_params(deep=False).items()}
        own = {name: given.pop(name) for name in OWN_PARAMETERS}
        fraction = own["validation_fraction"]
        if fraction is not None:
            if not isinstance(fraction, int | float) or not 0 <= fraction < 1:
                raise ConfigError(
                    f"{type(self).__name__}: validation_fraction = {fraction!r} is not valid; a number of at "
                    "least 0 and below 1 was expected."
                )
            given["valid"] = float(fraction) or None
        return make_settings(given | more | {"task": self.task}, source=type(self).__name__)

    def _seed(self) -> int | None:
        if self.random_state is None:
            seed: int | None = plain(self.seed)
            return seed
        if self.seed is not None:
            raise ConfigError(
                f"{type(self).__name__}: seed and random_state are two names of one thing; give one of them."
            )
        if hasattr(self.random_state, "randint"):
            return int(self.random_state.randint(2**31 - 1))
        if hasattr(self.random_state, "integers"):
            return int(self.random_state.integers(2**31 - 1))
        if not isinstance(self.random_state, int | np.integer):
            raise ConfigError(
                f"{type(self).__name__}: random_state = {self.random_state!r} is not valid; expected a whole "
                "number or a generator of NumPy."
            )
        return int(self.random_state)

    def _train(self, rows: Any, **more: Any) -> None:
        """Train on rows in memory and keep the run, also when Ctrl-C ends it early."""
        epochs = _Epochs()
        if self.validation_fraction != 0 and hasattr(rows, "__len__") and len(rows) < 2:
            raise DataError(
                f"{type(self).__name__}: n_samples = {len(rows)}, and one must be held out to choose the "
                "best epoch by; give more examples, or validation_fraction=0."
            )
        with said_in_python():
            settings = self._settings(seed=self._seed(), **more)
            data = {"train": rows} | ({"valid": rows} if self.validation_fraction == 0 else {})
            if self.verbose:
                with progress.display() as shown:
                    run = train_run(
                        settings,
                        data=data,
                        observers=[shown, epochs],
                        announce=progress.announce,
                        keeps_when_interrupted=True,
                    )
            else:
                run = train_run(settings, data=data, observers=[epochs], keeps_when_interrupted=True)
        run.history, run.timing = epochs.rows, epochs.timing
        self.run_: Run = run
        self.n_iter_ = len(epochs.rows)
        if run.result["stopped"] == "interrupted":
            warnings.warn(
                f"{type(self).__name__}: interrupted after {self.n_iter_} whole epochs of "
                f"{run.chosen.epochs}; the best weights so far are kept.",
                stacklevel=3,
            )


class _Epochs(Observer):
    """Notes each epoch's rows, which a run without a folder does not."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.timing: list[dict[str, Any]] = []

    def on_epoch(self, row: dict[str, Any], timing: dict[str, Any], is_best: bool) -> None:
        """Note them."""
        self.rows.append(row)
        self.timing.append(timing)


@contextmanager
def said_in_python() -> Iterator[None]:
    """Let an error that names flags name the parameters instead."""
    try:
        yield
    except ElmanError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise
