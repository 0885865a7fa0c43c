"""EXAMINE: one forward and one backward pass of any model, and all that can be said of its recurrent layers.

The model is left as it was. See docs/xray.md for what the numbers mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from elman.errors import ConfigError
from elman.patterns.pattern import Pattern
from elman.xray.finite import check_finite
from elman.xray.json_form import json_form
from elman.xray.layer_flow import Choices, LayerFlow, Tell, measure_pass
from elman.xray.layer_record import Loss, record
from elman.xray.parameter_flow import ParameterFlow, parameter_flows
from elman.xray.passes import join
from elman.xray.untouched import untouched


@dataclass(frozen=True, eq=False)
class Examination:
    """What `examine` found.

    Args:
        loss: of the batch, in evaluation mode.
        layers: each recurrent layer, direction and pass, in the order of the passes, the lowest layer first.
        parameters: all of the model, in its order.
        notes: what was left out of the whole.
    """

    loss: float
    layers: list[LayerFlow]
    parameters: list[ParameterFlow]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return everything as dicts, lists and numbers, and beside it what follows from them.

        Example:
            >>> import torch
            >>> found = examine(nn.GRU(2, 3), torch.ones(4, 1, 2), lambda gru, x: gru(x)[0].sum())
            >>> found.to_json()["layers"][0]["mode"]
            'GRU'
        """
        plain: dict[str, Any] = json_form(self)
        for form, layer in zip(plain["layers"], self.layers, strict=True):
            form["mean_gradient_norms"] = json_form(layer.mean_gradient_norms)
            form["memory_horizon"] = layer.memory_horizon
            for part, norms in layer.lag_norms.items():
                form["lag_norms"][part] |= {
                    "influence": json_form(norms.influence),
                    "mean_spectral": json_form(norms.mean_spectral),
                    "mean_frobenius": json_form(norms.mean_frobenius),
                    "memory_horizon": norms.memory_horizon,
                }
            for shape, gate in zip(form["gates"], layer.gates, strict=True):
                shape["saturated_share"] = gate.saturated_share
        return plain


def examine(
    model: nn.Module,
    batch: Any,
    loss_fn: Loss | None = None,
    *,
    learning_rate: float = 1e-3,
    places: int = 64,
    exact_up_to: int = 128,
    seed: int = 0,
    tell: Tell | None = None,
) -> Examination:
    """Look at the gradients, the memory, the gates and the spectra of a model's recurrent layers.

    The model may hold torch.nn.RNN, GRU and LSTM, their cells in a loop of its own, or elman's. It runs once
    forward and backward in evaluation mode; weights, gradients, mode, hooks and random state stay as they
    were.

    Args:
        model: any module with recurrent layers inside, or one itself.
        batch: whatever loss_fn takes.
        loss_fn: (model, batch) -> scalar; None for elman's own patterns, whose loss is known.
        learning_rate: for which the size of a step is computed.
        places: states from which influence is followed, drawn at random where there are more.
        exact_up_to: numbers in a state up to which Jacobians are multiplied out; larger ones are estimated.
        seed: of what is drawn.
        tell: is called with the name of each layer before it is measured, which may take seconds.

    Raises:
        ConfigError: no recurrent layer or none that is called, a layer that is not the plain recurrence it
            seems, no loss_fn for a model of another make, a loss without a gradient; places below 1.
        DataError: the batch holds NaN or infinity.
        ShapeError: the loss is not a scalar, or a layer reads no rows.
        TrainingError: the loss is not finite.

    Example:
        >>> import torch
        >>> layer = nn.LSTM(2, 3, num_layers=2)
        >>> found = examine(layer, torch.ones(6, 4, 2), lambda lstm, x: lstm(x)[0][-1].sum())
        >>> [(flow.layer, flow.gradient_norms["cell"].shape) for flow in found.layers]
        [(0, torch.Size([4, 6])), (1, torch.Size([4, 6]))]
    """
    if loss_fn is None:
        if not isinstance(model, Pattern):
            raise ConfigError(
                f"examine needs a loss_fn for a {type(model).__name__}: a function (model, batch) -> scalar "
                "loss; only elman's own patterns have a loss that is known."
            )
        loss_fn = _own_loss
    if places < 1:
        raise ConfigError(f"places is {places}; at least 1 was expected.")
    check_finite(batch)
    with untouched(model):
        found = record(model, batch, loss_fn)
        named = list(model.named_parameters())
        parameters = parameter_flows(named, found.gradients, learning_rate=learning_rate)
        found.gradients.clear()  # as large as the model
        choices = Choices(places, exact_up_to, seed)
        passes = join(found.calls)
        layers = [flow for one in passes for flow in measure_pass(one, choices, tell)]
    notes = [f"layer {name!r} is never called" for name in found.never_called]
    counts = {one.name: one.index + 1 for one in passes}
    notes += [
        f"layer {name!r} ran {count} times, each from a state that is not where another run ended"
        for name, count in counts.items()
        if count > 1
    ]
    return Examination(found.loss, layers, parameters, notes)


def _own_loss(model: Any, batch: Any) -> Any:
    return model.loss(batch)
