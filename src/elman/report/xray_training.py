"""X-RAY, TRAINING: gradients and gates as they changed while it learned, one frame for each record.

The records are the lines of `xray.jsonl`: see docs/xray.md. One control of the page moves all animated
figures of this section together, and a mark on the loss curve.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from elman.report.xray_marks import (
    COLOURS,
    MOST_POINTS,
    Figure,
    axis,
    figure,
    line,
    log_axis,
    name_layers,
    plain,
    rounded,
    thin,
)

MOST_FRAMES = 100
"""Records that the animation shows; of more, so many spread evenly over the training."""

MOST_GATES = 24
"""Gates whose bars stand side by side."""

Record = Mapping[str, Any]


def training_figures(records: Sequence[Record], losses: Sequence[tuple[float, float]]) -> dict[str, Figure]:
    """Return the figures over training, by name; none without a record.

    Args:
        records: the lines of `xray.jsonl`.
        losses: (step, loss), the finer the better; of the records' own where this is empty.

    Example:
        >>> layer = {"name": "rnn", "layer": 0, "direction": 0, "gradient_norms": [0.5, 0.25]}
        >>> sorted(training_figures([{"step": 1, "loss": 0.7, "layers": [layer]}], []))
        ['training-gradients', 'training-loss']
    """
    shown = shown_records(records)
    if not shown:
        return {}
    figures = {
        "training-gradients": _gradients(shown),
        "training-gates": _gates(shown),
        "training-loss": _loss(shown, losses),
        "training-radius": _over_steps(records, "spectral_radius", "spectral radius"),
        "training-horizon": _over_steps(records, "horizon", "memory horizon, steps"),
    }
    return {name: found for name, found in figures.items() if found is not None}


def shown_records(records: Sequence[Record]) -> list[Record]:
    """Return the records that are frames of the animation."""
    return [records[place] for place in thin(len(records), MOST_FRAMES)]


def record_names(record: Record) -> list[str]:
    """Return a short name for each layer of a record.

    Example:
        >>> record_names({"layers": [{"name": "rnn", "layer": 0, "direction": 0}]})
        ['layer 1']
    """
    layers = record.get("layers") or []
    places = [(str(one["name"]), int(one.get("index", 0)), one["layer"], one["direction"]) for one in layers]
    return name_layers(places)


def _gradients(shown: Sequence[Record]) -> Figure:
    """Draw |dL/dh_t| by steps before the end, the last step at the right as in a sequence."""
    frames = []
    for record in shown:
        traces = []
        for place, (name, layer) in enumerate(zip(record_names(record), record["layers"], strict=True)):
            norms = [value if value else None for value in rounded(layer.get("gradient_norms") or [])]
            steps = layer.get("steps_from_end") or list(range(len(norms)))
            traces.append(line(name, steps, norms, (place, layer["direction"])))
        frames.append(traces)
    values = [value for traces in frames for trace in traces for value in trace["y"]]
    furthest = max((step for traces in frames for trace in traces for step in trace["x"]), default=0)
    x = axis("steps before the end") | {"range": [furthest + 0.5, -0.5]}
    return _animated(frames, x, log_axis("|dL/dh<sub>t</sub>|", values))


def _gates(shown: Sequence[Record]) -> Figure | None:
    """Draw the mean of each gate, and the share of its values that are saturated."""
    frames = []
    for record in shown:
        names, means, stuck = [], [], []
        for name, layer in zip(record_names(record), record["layers"], strict=True):
            for gate, found in (layer.get("gates") or {}).items():
                names.append(f"{plain(name)}<br>{plain(str(gate).replace('_', ' '))}")
                means.append(found.get("mean"))
                stuck.append(found.get("saturated"))
        names, means, stuck = names[:MOST_GATES], means[:MOST_GATES], stuck[:MOST_GATES]
        if not names:
            return None
        bars = []
        for word, values, place in (("mean", means, 0), ("saturated share", stuck, 1)):
            marker: dict[str, Any] = {"color": COLOURS[place]}
            if place:
                marker["pattern"] = {"shape": "/", "size": 8, "solidity": 0.2, "fillmode": "overlay"}
            bars.append({"type": "bar", "name": word, "x": names, "y": rounded(values), "marker": marker})
        frames.append(bars)
    # A quarter turn where they would stand on each other.
    x = axis("") | ({"tickangle": -90} if len(names) > 6 else {"tickangle": 0})
    drawn = _animated(frames, x, axis("") | {"range": [0, 1]})
    drawn["layout"] |= {"barmode": "group", "bargap": 0.25}
    return drawn


def _loss(shown: Sequence[Record], losses: Sequence[tuple[float, float]]) -> Figure:
    """Draw the loss curve, and where the frame that is shown stands on it."""
    own = [(record["step"], record.get("loss")) for record in shown]
    pairs = [tuple(pair) for pair in losses] or own
    kept = [pairs[place] for place in thin(len(pairs), MOST_POINTS)]
    curve = line("loss", [step for step, _ in kept], rounded([value for _, value in kept]))
    curve["mode"] = "lines"
    frames = []
    for step, value in own:
        mark = line("this record", [step], rounded([value]), (1, 0))
        mark |= {"mode": "markers"}
        mark["marker"] |= {"size": 12, "symbol": "diamond"}
        frames.append([curve, mark])
    return _animated(frames, axis("step of training"), axis("loss"), moving=(1,))


def _over_steps(records: Sequence[Record], key: str, words: str) -> Figure | None:
    """Draw one number of each layer over training; None where no record holds it."""
    curves: dict[str, tuple[list[int], list[Any]]] = {}
    for record in (records[place] for place in thin(len(records), MOST_POINTS)):
        for name, layer in zip(record_names(record), record["layers"], strict=True):
            steps, values = curves.setdefault(name, ([], []))
            steps.append(record["step"])
            values.append(layer.get(key))
    traces = [
        line(name, steps, rounded(values), (place, place))
        for place, (name, (steps, values)) in enumerate(curves.items())
        if any(value is not None for value in values)
    ]
    return figure(traces, axis("step of training"), axis(words)) if traces else None


def _animated(
    frames: Sequence[list[dict[str, Any]]],
    x: dict[str, Any],
    y: dict[str, Any],
    *,
    moving: Sequence[int] | None = None,
) -> Figure:
    """Return a figure with a frame for each record; only what changes is in a frame."""
    drawn = figure(frames[-1], x, y)
    drawn["layout"]["showlegend"] = True
    places = list(range(max(len(traces) for traces in frames))) if moving is None else list(moving)
    # Places along the axis are most often the same in all frames; then the first figure holds them.
    same = all([trace["x"] for trace in traces] == [trace["x"] for trace in frames[-1]] for traces in frames)
    keys = ("y",) if same else ("x", "y")
    drawn["frames"] = [
        {
            "name": str(number),
            "traces": [place for place in places if place < len(traces)],
            "data": [{key: traces[place][key] for key in keys} for place in places if place < len(traces)],
        }
        for number, traces in enumerate(frames)
    ]
    return drawn
