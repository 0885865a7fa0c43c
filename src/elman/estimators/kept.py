"""KEPT: a fitted estimator as JSON and safetensors, for pickle, joblib and folders; no object is pickled.

The run is kept as its folder keeps it. What else `fit` found out (labels, names of columns, histories) is
JSON with marks for the few types that JSON lacks; numbers with a fraction stand among the tensors.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from elman.baselines import from_tensors
from elman.config import make_settings
from elman.data.time_series import TimeSeries
from elman.data.timestamps import Clock
from elman.errors import CheckpointError, DataError
from elman.run import Run
from elman.run_folder import FORMAT, make_folder, settings_to_store, write_bytes, write_json
from elman.run_train import write_report_of
from elman.tasks import task_from_json
from elman.training.checkpoint import save_weights

MARKS = ("array", "tuple", "series")
"""What stands for a type that JSON lacks: {"tuple": [...]}."""

MODEL, BASELINE, OWN = "model/", "baseline/", "own/"
"""Where tensors of one file belong."""


def to_json(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON holds it; arrays of floats are added to the tensors.

    Raises:
        DataError: it is of a type that cannot be kept.

    Example:
        >>> tensors = {}
        >>> to_json([("a", 1), np.array([True])], tensors), to_json(np.ones(2), tensors), list(tensors)
        ([{'tuple': ['a', 1]}, {'array': '|b1', 'values': [True]}], {'array': 'own/0'}, ['own/0'])
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [to_json(item, tensors) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [to_json(item, tensors) for item in value]}
    if isinstance(value, TimeSeries):
        fields = {
            name: getattr(value, name)
            for name in ("name", "start", "first", "where", "values", "known", "static")
        }
        kept = {name: to_json(field, tensors) for name, field in fields.items()}
        return {"series": kept | {"clock": value.clock.to_json()}}
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype.itemsize <= 8:
        name = f"{OWN}{len(tensors)}"
        tensors[name] = torch.from_numpy(np.ascontiguousarray(value))
        return {"array": name}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuUO":
        return {"array": value.dtype.str, "values": [to_json(item, tensors) for item in value.tolist()]}
    raise DataError(
        f"a value of type {type(value).__name__} cannot be saved; labels that are texts, numbers, truth "
        "values or tuples of these can."
    )


def from_json(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return what `to_json` was given.

    Example:
        >>> from_json({"tuple": ["a", 1]}, {}), from_json({"array": "<U1", "values": ["b"]}, {})
        (('a', 1), array(['b'], dtype='<U1'))
    """
    if isinstance(value, list):
        return [from_json(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(from_json(item, tensors) for item in value["tuple"])
    if "series" in value:
        kept = {name: from_json(field, tensors) for name, field in value["series"].items() if name != "clock"}
        return TimeSeries(clock=Clock(**value["series"]["clock"]), **kept)
    if "values" not in value:
        return tensors[value["array"]].numpy()
    items = [from_json(item, tensors) for item in value["values"]]
    array = np.empty(len(items), value["array"])
    array[:] = items
    return array


def to_bytes(run: Run, own: dict[str, Any]) -> dict[str, bytes]:
    """Return a run, and what else is known, as two files: JSON and safetensors.

    Args:
        run: the fitted run; its held-out examples are not kept.
        own: names to values, as `to_json` takes them.
    """
    tensors: dict[str, Tensor] = {}
    made = {
        "format": FORMAT,
        "own": {name: to_json(value, tensors) for name, value in own.items()},
        "settings": settings_to_store(run.settings),
        "chosen": settings_to_store(run.chosen, chosen=True),
        "vocab": run.task.to_json(),
        "result": run.result,
        "history": run.history,
        "timing": run.timing,
        "data": run.data,
        "versions": run.versions,
    }
    tensors |= {
        MODEL + name: value.detach().cpu().contiguous().clone() for name, value in _weights(run).items()
    }
    tensors |= {BASELINE + name: value for name, value in run.baseline.to_tensors().items()}
    return {"json": json.dumps(made, allow_nan=False).encode(), "tensors": safetensors.torch.save(tensors)}


def from_bytes(files: dict[str, bytes]) -> tuple[Run, dict[str, Any]]:
    """Return the run and the values that `to_bytes` was given.

    Raises:
        CheckpointError: the bytes are damaged, or of a later format.
    """
    try:
        kept = json.loads(files["json"])
        tensors = safetensors.torch.load(files["tensors"])
        if kept["format"] != FORMAT:
            raise CheckpointError(
                f"the estimator has format {kept['format']!r}, this version reads format {FORMAT}; use the "
                f"version of elman that wrote it ({kept['versions']['elman']})."
            )
        own = {name: from_json(value, tensors) for name, value in kept["own"].items()}
        task = task_from_json(make_settings(kept["chosen"], source="the estimator"), kept["vocab"])
        model = task.build()
        model.load_state_dict(_under(MODEL, tensors))
        run = Run(
            folder=None,
            settings=make_settings(kept["settings"], source="the estimator"),
            task=task,
            model=model.eval(),
            baseline=from_tensors(_under(BASELINE, tensors)),
            **{name: kept[name] for name in ("result", "history", "timing", "data", "versions")},
        )
    except (KeyError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"the bytes of the estimator are damaged ({error}); fit it anew.") from error
    return run, own


def write_run(run: Run, folder: str | Path) -> Path:
    """Write a run that is in memory to a new or empty folder, as `elman.train(out=folder)` would have.

    The report needs the held-out examples, which a run that was pickled has no more: it is left out then.
    """
    folder = make_folder(folder)
    config = {
        "format": FORMAT,
        "settings": settings_to_store(run.settings),
        "versions": run.versions,
        "chosen": settings_to_store(run.chosen, chosen=True),
        "data": run.data,
    }
    write_json(folder / "config.json", config)
    write_json(folder / "vocab.json", run.task.to_json())
    save_weights(folder / "baseline.safetensors", run.baseline.to_tensors(), {})
    save_weights(folder / "model.safetensors", _weights(run), run.result["best"])
    for name, rows in (("metrics.jsonl", run.history), ("timing.jsonl", run.timing)):
        lines = [json.dumps(row, allow_nan=False) + "\n" for row in rows]
        write_bytes(folder / name, "".join(lines).encode())
    write_json(folder / "result.json", run.result)
    if run.held_out:
        with torch.inference_mode():
            evaluation = run.task.evaluate(run.model.eval(), run.held_out)
        write_report_of(run, folder, evaluation, "valid")
    return folder


def _weights(run: Run) -> dict[str, Tensor]:
    return dict(run.model.state_dict())


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
