"""COMPARISON X-RAY: several runs looked into on the same rows, and the numbers in which they differ.

Shape legend: B batch, T time.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from elman.contestant import Contestant
from elman.data.example import Example
from elman.errors import ConfigError, DataError
from elman.report.xray_figures import whole_state
from elman.report.xray_marks import layer_names
from elman.run import Run, load
from elman.run_xray import ROWS, examine_run, known_rows, own_examples
from elman.tasks.exposure_bias import spread
from elman.xray.json_form import json_form
from elman.xray.layer_flow import LayerFlow
from elman.xray.rules_memory import own_order
from elman.xray.run_xray import RunXray

GIVE_DATA = "give labelled rows for all of them: --data FILE (from Python: data=...)"

OWN_WINDOWS = "X-rays: each run cuts the same data into windows of its own, so their rows may differ"
"""What is said of running texts and forecasts."""

QUANTITIES = ("memory horizon", "first-step gradient", "spectral radius")
"""Lines of each layer."""


def examine_runs(
    runs: Sequence[Contestant], data: Any = None, rows: int = ROWS
) -> tuple[list[RunXray], list[str]]:
    """Look into several runs on the same rows; give what was seen, named by their letters, and notes.

    Args:
        runs: finished or not, if they have weights.
        data: a labelled file or labelled rows; None: the validation part that all of them share.
        rows: examples to look at, at most: those that every run knows the targets of, evenly over them.

    Raises:
        ConfigError: rows is below 1, the runs do not share a validation part, or a layer cannot be looked at.
        DataError: the data cannot be read any more, or no row is known to all runs.
        RunError: a run has no trained model yet.
    """
    if rows < 1:
        raise ConfigError(f"rows is {rows}; at least 1 was expected.")
    if data is None:
        _check_same_part(runs)
    loaded = [load(run.folder) for run in runs]
    examples = [
        run.examples(data) if data is not None else _own(one, run)
        for one, run in zip(runs, loaded, strict=True)
    ]
    known = [known_rows(run.task, own) for run, own in zip(loaded, examples, strict=True)]
    notes = []
    if all(places is not None for places in known) and len({len(own) for own in examples}) == 1:
        shared = sorted(set.intersection(*(set(places or ()) for places in known)))
        if not shared:
            raise DataError(
                "no row can be looked at in every run: they are empty, or have targets that one of the "
                "trainings never saw; give labelled rows that all runs know with --data FILE."
            )
        chosen = [shared[place] for place in spread(len(shared), rows)]
        words = f"{len(chosen)} of {len(examples[0])} examples"
        examples = [[own[place] for place in chosen] for own in examples]
    else:
        words = ""
        notes.append(OWN_WINDOWS)
    seen = [_examine(run, own, rows) for run, own in zip(loaded, examples, strict=True)]
    return [
        replace(found, run_name=one.letter, data=words or found.data)
        for one, found in zip(runs, seen, strict=True)
    ], notes


def xray_lines(xrays: Sequence[RunXray]) -> list[tuple[str, list[str]]]:
    """Return the lines of a table: their names, and a value for each run; – where one has no such layer.

    Example:
        >>> import torch
        >>> from elman.xray import examine
        >>> found = examine(torch.nn.GRU(2, 3), torch.ones(4, 1, 2), lambda gru, x: gru(x)[0].sum())
        >>> [name for name, _ in xray_lines([RunXray("A", found, [])])][-1]
        'layer 1: spectral radius'
    """
    tables = [
        dict(zip(layer_names(xray.examination.layers), xray.examination.layers, strict=True))
        for xray in xrays
    ]
    lines = [
        ("worst diagnosis", [_worst(xray) for xray in xrays]),
        ("loss on these rows", [f"{xray.examination.loss:.4g}" for xray in xrays]),
    ]
    for name in dict.fromkeys(name for table in tables for name in table):
        values = [_shown(table[name]) if name in table else ("–",) * len(QUANTITIES) for table in tables]
        lines += [
            (f"{name}: {quantity}", list(row))
            for quantity, row in zip(QUANTITIES, zip(*values, strict=True), strict=True)
        ]
    return lines


def xray_json(xrays: Sequence[RunXray]) -> list[dict[str, Any]]:
    """Return the same as JSON, with every diagnosis; numbers that are not known are None."""
    return [
        {
            "letter": xray.run_name,
            "data": xray.data,
            "loss": json_form(xray.examination.loss),
            "layers": [
                {
                    "name": name,
                    "memory_horizon": flow.memory_horizon,
                    "first_step_share": json_form(first_step_share(flow)),
                    "spectral_radius": json_form(_radius(flow)),
                }
                for name, flow in zip(
                    layer_names(xray.examination.layers), xray.examination.layers, strict=True
                )
            ],
            "diagnoses": json_form(xray.diagnoses),
        }
        for xray in xrays
    ]


def first_step_share(flow: LayerFlow) -> float | None:
    """Return the gradient that reaches a row's first step, over that of the step that it reaches most.

    Both are means over the rows of |dL/ds_t|, of the whole state, in the direction's own order of time; None
    where no gradient comes.

    Example:
        >>> import torch
        >>> from elman.xray import examine
        >>> found = examine(torch.nn.GRU(2, 3), torch.ones(1, 1, 2), lambda gru, x: gru(x)[0].sum())
        >>> first_step_share(found.layers[0])
        1.0
    """
    longest = int(flow.lengths.max()) if len(flow.lengths) else 0
    if not longest:
        return None
    count_T = (torch.arange(longest) < flow.lengths.unsqueeze(1)).sum(0)
    mean_T = own_order(flow)[:, :longest].sum(0) / count_T
    largest = float(mean_T.max())
    return float(mean_T[0]) / largest if 0 < largest < math.inf else None


def _shown(flow: LayerFlow) -> tuple[str, str, str]:
    share = first_step_share(flow)
    horizon = flow.memory_horizon
    lags = whole_state(flow).lags.tolist()
    words = f"{horizon} steps" if horizon is not None else f"over {lags[-1]} steps" if lags else "–"
    return words, "–" if share is None else f"{share:.2g}", f"{_radius(flow):.3g}"


def _radius(flow: LayerFlow) -> float:
    """Give the spectral radius of the recurrent weights; of gates, the candidate's."""
    spectra = flow.spectra.recurrent
    return (spectra.get("candidate") or next(iter(spectra.values()))).radius


def _worst(xray: RunXray) -> str:
    worst = xray.diagnoses[0] if xray.diagnoses else None
    return f"{worst.name} ({worst.severity:.2f})" if worst else "none"


def _examine(run: Run, examples: Sequence[Example], rows: int) -> RunXray:
    return examine_run(
        run.task,
        run.model.eval(),
        examples,
        folder=run.folder,
        result=run.result,
        history=run.history,
        rows=rows,
    )


def _check_same_part(runs: Sequence[Contestant]) -> None:
    """Refuse runs that were validated on other examples than each other.

    Raises:
        ConfigError: they were.
    """
    first = _own_part(runs[0])
    other = next((run for run in runs if _own_part(run) != first), None)
    if other is not None:
        raise ConfigError(
            f"{runs[0].letter} and {other.letter} were validated on other examples, so there are no rows of "
            f"their own to look at both on; {GIVE_DATA}."
        )


def _own_part(run: Contestant) -> str | None:
    """Give the fingerprint of the part that `own_examples` returns."""
    return (run.data.get("valid" if "valid" in run.data else "train") or {}).get("sha256")


def _own(one: Contestant, run: Run) -> Sequence[Example]:
    """Give a run's own validation part.

    Raises:
        DataError: it is not there any more.
    """
    try:
        return own_examples(run.settings, run.data, run.folder)
    except DataError as error:
        raise DataError(
            f"{one.letter} ({one.folder}): the rows that it was validated on cannot be read again: they "
            f"moved, have changed, or were never in a file; {GIVE_DATA}."
        ) from error
