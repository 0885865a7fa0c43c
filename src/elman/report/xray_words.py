"""X-RAY WORDS: the sentence under each figure: how to read it, and where it comes from."""

import html

from elman.report.markup import Html

READ = {
    "gradients": (
        "How strongly the loss depends on the state at each step, the mean over the rows. A level curve "
        "learns from all steps alike; one that falls towards the left learns nothing from the beginning "
        "(it vanishes), one that rises towards the left explodes; of a backward layer the same towards the "
        "right. Pascanu, Mikolov and Bengio 2013, eq. 3-5; Hochreiter 1991."
    ),
    "influence": (
        "How much of a small change of the state is left so many steps later, in the mean over directions "
        "and places. The cross, and the number in the legend, is the memory horizon: the lag at which less"
        " than 1 % is left, and what lies further back is forgotten. Without a cross that never happens "
        "within the sequence. Pascanu et al. 2013, eq. 5-7."
    ),
    "lag_map": (
        "What a small change at one step becomes after so many steps: the {norm} of dh_t/dh_(t-k). Dark "
        "upwards is forgetting; light spots are steps whose content is kept. Grey was not measured. Places "
        "are sampled; each colours its surroundings. Pascanu et al. 2013, section 2.1."
    ),
    "row_map": (
        "The norm of dL/dh_t of each row of the batch. Columns that are dark in all rows are steps from "
        "which nothing is learned; grey lies beyond a row's end. Werbos 1990; Pascanu et al. 2013."
    ),
    "unit_gradients": (
        "The root-mean-square over the rows of dL/dh_t, for every step and unit; padding counts for nothing. "
        "Dark columns are steps from which nothing is learned, dark lines units that learn nothing at any "
        "step. {cells} Werbos 1990; Hochreiter 1991."
    ),
    "unit_states": (
        "The mean over the rows of h_t, for the same steps and units; the colours end at the largest. A line "
        "of one colour is a unit that hardly moves, one whose colour changes follows the steps. {cells} "
        "Karpathy, Johnson and Fei-Fei 2015."
    ),
    "lag_curve": (
        "Influence by lag for each part of the state; of an LSTM the cell is what should last. {band} "
        "Hochreiter and Schmidhuber 1997; Pascanu et al. 2013."
    ),
    "gate_gradients": (
        "The gradient that reaches each gate before its sigmoid or tanh. A gate whose curve lies far below"
        " the others hardly learns. After Chen, Pennington and Schoenholz 2018 (dynamics of gates)."
    ),
    "gate_units": (
        "How open each gate stands in the mean over the steps, its units in order; of tanh and ReLU the "
        "mean size. A forget or update gate near 1 remembers for about 1/(1 - mean) steps. Tallec and "
        "Ollivier 2018."
    ),
    "gate_saturation": (
        "Steps at which a unit is so near its bounds that hardly any gradient comes through (a sigmoid "
        "within 0.05, a tanh over 0.95). Karpathy, Johnson and Fei-Fei 2015."
    ),
    "weight_spectrum": (
        "Eigenvalues of the recurrent weights, gate by gate, and the unit circle. For a plain network "
        "those inside fade step by step, those outside grow. {statement} Pascanu et al. 2013, section 2.1."
    ),
    "jacobian_spectrum": (
        "Eigenvalues of dh_t/dh_(t-1) at visited states: what one step really does there, gates and slopes"
        " included. Those near the circle carry memory. Pascanu et al. 2013; Saxe, McClelland and Ganguli "
        "2014."
    ),
    "lyapunov": (
        "Mean rates at which changes grow or fade along the sequence: e to the exponent is the factor of a"
        " step. Above zero the recurrence is chaotic, near zero it keeps what it has read. Engelken, Wolf "
        "and Abbott 2023."
    ),
}
"""How to read each figure, and where it comes from."""

TITLES = {
    "lag_map": "Influence over time and lag",
    "row_map": "Gradient over time, row by row",
    "unit_gradients": "Gradient over time, unit by unit",
    "unit_states": "State over time, unit by unit",
    "lag_curve": "Influence by lag",
    "gate_gradients": "Gradient at the gates",
    "gate_units": "How open the gates stand",
    "gate_saturation": "How often they are stuck",
    "weight_spectrum": "Eigenvalues of the recurrent weights",
    "jacobian_spectrum": "Eigenvalues of the Jacobians",
    "lyapunov": "Lyapunov exponents",
}
"""Figures of one layer in the order of the page: functions of `xray_figures.py`."""


TRAINING = {
    "training-gradients": ("|dL/dh_t| at this record", "Line chart: gradient by steps before the end."),
    "training-loss": ("Loss, and where this record stands", "Line chart: loss over training, and a mark."),
    "training-gates": ("Gates at this record", "Bar chart: mean and saturated share of each gate."),
    "training-radius": ("Spectral radius over training", "Line chart: spectral radius of each layer."),
    "training-horizon": ("Memory horizon over training", "Line chart: memory horizon of each layer."),
}
"""Title and description of the figures over training, in the order of the page."""


def note(text: str) -> Html:
    """Return a paragraph of any length below a figure or a heading.

    Example:
        >>> note("a < b")
        '<p class="note">a &lt; b</p>'
    """
    return Html(f'<p class="note">{html.escape(text)}</p>')
