"""TEXTBOOK ERRORS: what notes on backpropagation through time get wrong, and which of it happened here.

Each error is the right calculation with one rule changed (`Rules`), so its gradient can be calculated too.
Who has gradients of their own, by hand or by a script, learns which of the errors they equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elman.config import unknown_name
from elman.errors import ConfigError, ShapeError
from elman.xray.by_hand import SYMBOLS, Exercise, calculate
from elman.xray.hand_cells import Array, Rules, as_array
from elman.xray.hand_check import relative_difference

RNN, GRU, LSTM = ("RNN_TANH", "RNN_RELU"), ("GRU",), ("LSTM",)
EVERY = (*RNN, *GRU, *LSTM)


@dataclass(frozen=True)
class TextbookError:
    """One known error.

    Args:
        says: what was done, and what is right.
        rules: the calculation that makes it.
        modes: torch's words for the recurrences that can suffer from it.
    """

    says: str
    rules: Rules
    modes: tuple[str, ...] = EVERY


TEXTBOOK_ERRORS: dict[str, TextbookError] = {
    "input_weight_without_past": TextbookError(
        "dL/dW_x takes only the direct term of dL/dh_t; h_t also reaches the loss through h_(t+1).",
        Rules(input_weight="direct"),
    ),
    "state_is_only_input": TextbookError(
        "dh_t/dW_x was taken for x_t; it is f'(a_t) x_t, and W_x also works through h_(t-1).",
        Rules(input_weight="input"),
        RNN,
    ),
    "recurrent_weight_without_past": TextbookError(
        "dL/dW_h takes only the direct term of dL/dh_t; h_t also reaches the loss through h_(t+1).",
        Rules(recurrent_weight="direct"),
    ),
    "without_recurrent_term": TextbookError(
        "dL/dh_t has only its direct term; the term through time, from step t+1, is missing everywhere.",
        Rules(through_time=False),
    ),
    "only_last_step": TextbookError(
        "the shared weights count at the last step alone; their terms of all steps must be added.",
        Rules(uses="last"),
    ),
    "without_activation_derivative": TextbookError(
        "the derivative of the activation (tanh or relu) is missing: dL/da_t = dL/dh_t * f'(a_t).",
        Rules(activation_slope=False),
    ),
    "derivative_of_pre_activation": TextbookError(
        "tanh'(a) was calculated as 1 - a^2; it is 1 - tanh(a)^2 = 1 - h^2.",
        Rules(slope_at="input"),
        ("RNN_TANH",),
    ),
    "bias_counted_twice": TextbookError(
        "the bias's gradient is twice what it should be. b_x and b_h have the same gradient each, and an "
        "equation with one bias has it once.",
        Rules(bias_times=2),
    ),
    "transposed_recurrent_weight": TextbookError(
        "the error went back through W_h; it goes back through W_h transposed.",
        Rules(transposes=False),
    ),
    "state_one_step_late": TextbookError(
        "dL/dW_h multiplies by h_t; W_h was multiplied by h_(t-1).",
        Rules(recurrent_input="after"),
    ),
    "without_gate_derivative": TextbookError(
        "the gates' derivative g (1 - g) is missing.", Rules(gate_slope=False), (*GRU, *LSTM)
    ),
    "without_cell_output_derivative": TextbookError(
        "dL/dc_t lacks the factor 1 - tanh(c_t)^2 of h_t = o_t * tanh(c_t).", Rules(cell_slope=False), LSTM
    ),
    "without_cell_path": TextbookError(
        "dL/dc_t lacks f_(t+1) * dL/dc_(t+1), the path along the cell.", Rules(carries_cell=False), LSTM
    ),
    "without_kept_state": TextbookError(
        "dL/dh_(t-1) lacks z_t * dL/dh_t, the path of the state that the update gate kept.",
        Rules(carries_hidden=False),
        GRU,
    ),
    "reset_gate_before_product": TextbookError(
        "the reset gate acts on h before the product, W_hn (r * h), as in Cho et al. 2014; this layer's acts "
        "after it, r * (W_hn h + b_hn).",
        Rules(reset_after=False),
        GRU,
    ),
    "update_gate_swapped": TextbookError(
        "h_t = z * n + (1 - z) * h was used; this layer's is (1 - z) * n + z * h.",
        Rules(update_keeps=False),
        GRU,
    ),
    "sum_in_place_of_mean": TextbookError(
        "the gradient was not divided by the number of scored steps, but the loss is their mean.",
        Rules(divides=False),
    ),
    "wrong_sign": TextbookError("the sign is wrong: p - y, not y - p.", Rules(sign=-1)),
}
"""Name -> the error."""

SAME = 1e-3
"""Gradients that differ by less, relative to their largest number, are equal: notes have three digits."""


@dataclass(frozen=True)
class Verdict:
    """What somebody's gradients are.

    Args:
        is_right: all of them equal the right ones.
        errors: the names of the textbook errors that give all of them; more than one where this exercise
            cannot tell them apart; none where the gradients are right, or wrong in a way that
            is not in the table.
        deviations: parameter -> its largest difference from the right gradient, relative.
    """

    is_right: bool
    errors: list[str]
    deviations: dict[str, float]

    def to_text(self) -> str:
        """Return the verdict in sentences.

        Example:
            >>> print(Verdict(False, ["wrong_sign"], {"weight_ih": 2.0}).to_text())
            dL/dW_x is off by 2.0e+00 of its largest number.
            These gradients equal those of an error:
              wrong_sign: the sign is wrong: p - y, not y - p.
        """
        if self.is_right:
            return "These gradients are right."
        lines = [
            f"{SYMBOLS[name]} is off by {value:.1e} of its largest number."
            for name, value in self.deviations.items()
            if value > SAME
        ]
        if not self.errors:
            return "\n".join([*lines, "No known error gives these gradients."])
        lines.append("These gradients equal those of an error:")
        return "\n".join([*lines, *(f"  {name}: {TEXTBOOK_ERRORS[name].says}" for name in self.errors)])


def gradients_of_error(exercise: Exercise, name: str) -> dict[str, Array]:
    """Return the gradients that a textbook error gives.

    Raises:
        ConfigError: an unknown error, or one that this recurrence cannot suffer from.

    Example:
        >>> import torch
        >>> layer, output = torch.nn.RNN(1, 2), torch.nn.Linear(2, 2)
        >>> exercise = Exercise(layer, output, torch.ones(2, 1), torch.tensor([0, 1]))
        >>> wrong = gradients_of_error(exercise, "bias_counted_twice")["bias_ih"]
        >>> (wrong / calculate(exercise).gradients["bias_ih"]).tolist()
        [2.0, 2.0]
    """
    if name not in TEXTBOOK_ERRORS:
        raise ConfigError(unknown_name("textbook error", name, list(TEXTBOOK_ERRORS)))
    error, mode = TEXTBOOK_ERRORS[name], exercise.layer.mode
    if mode not in error.modes:
        raise ConfigError(f"{name} is an error of {', '.join(error.modes)}, but the layer is {mode}.")
    return calculate(exercise, error.rules).gradients


def detect(exercise: Exercise, gradients: Mapping[str, Any], tolerance: float = SAME) -> Verdict:
    """Say whether gradients are right, and if not, which textbook error they equal.

    Args:
        exercise: what they were calculated for.
        gradients: parameter (as in `Exercise.parameters`) -> gradient, of some or all of the parameters.
        tolerance: differences below it, relative to the largest number, count as none.

    Raises:
        ConfigError: an unknown parameter, or none at all.
        ShapeError: a gradient of another shape than its parameter.

    Example:
        >>> import torch
        >>> layer, output = torch.nn.RNN(1, 2), torch.nn.Linear(2, 2)
        >>> exercise = Exercise(layer, output, torch.ones(2, 1), torch.tensor([0, 1]))
        >>> mine = gradients_of_error(exercise, "state_one_step_late")
        >>> detect(exercise, mine).errors, detect(exercise, calculate(exercise).gradients).is_right
        (['state_one_step_late'], True)
    """
    right = calculate(exercise).gradients
    mine = _check(gradients, right)
    deviations = {name: relative_difference(gradient, right[name]) for name, gradient in mine.items()}
    if max(deviations.values()) <= tolerance:
        return Verdict(True, [], deviations)
    found = []
    for name, error in TEXTBOOK_ERRORS.items():
        if exercise.layer.mode in error.modes:
            wrong = calculate(exercise, error.rules).gradients
            if all(relative_difference(mine[key], wrong[key]) <= tolerance for key in mine):
                found.append(name)
    return Verdict(False, found, deviations)


def _check(gradients: Mapping[str, Any], right: Mapping[str, Array]) -> dict[str, Array]:
    if not gradients:
        raise ConfigError(f"there are no gradients to look at; expected some of {', '.join(right)}.")
    mine = {}
    for name, gradient in gradients.items():
        if name not in right:
            raise ConfigError(unknown_name("parameter", name, list(right)))
        mine[name] = as_array(gradient)
        if mine[name].shape != right[name].shape:
            raise ShapeError(
                f"the gradient of {name} has shape {mine[name].shape}, expected {right[name].shape}: that of "
                "the parameter."
            )
    return mine
