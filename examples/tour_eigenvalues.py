"""Tour: the eigenvalue rule. A gradient shrinks or grows with the powers of the recurrent weight.

    python examples/tour_eigenvalues.py [PICTURE.svg]

Linear recurrences whose largest eigenvalue is 0.8, 1 and 1.2, and one with tanh, whose slope takes more.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from elman.xray.by_hand import Exercise, calculate
from elman.xray.eigenvalue_rule import classic_numbers, eigenvalue_rule
from elman.xray.hand_losses import HandLoss
from elman.xray.line_chart import draw_lines

UNITS, STEPS = 16, 30


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    print(classic_numbers(4), "\n")
    torch.manual_seed(0)
    weight = torch.nn.init.orthogonal_(torch.empty(UNITS, UNITS))
    curves, found = {}, {}
    for radius in (0.8, 1.0, 1.2):
        sizes = eigenvalue_rule(radius * weight, STEPS).sizes
        curves[f"linear, {radius}"] = [(k, float(size)) for k, size in enumerate(sizes)]
        found[f"{radius}"] = float(sizes[-1])
    layer, output = nn.RNN(4, UNITS), nn.Linear(UNITS, 1)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").copy_(1.2 * weight)
    x, target = torch.randn(STEPS + 1, 4), torch.zeros(1, 1)
    done = calculate(Exercise(layer, output, x, target, HandLoss("mse"), at="last"))
    errors = [float(np.linalg.norm(step.direct + step.through_time)) for step in reversed(done.steps)]
    curves["tanh, 1.2"] = [(k, error / errors[0]) for k, error in enumerate(errors)]
    found["tanh 1.2"] = errors[-1] / errors[0]
    for name, size in found.items():
        print(f"{name:9} gradient {STEPS} steps back, of one that was 1: {size:.2e}")
    if picture:
        title = "Size of a gradient on its way back, by largest eigenvalue"
        chart = draw_lines(curves, title, across="steps back", up="size", is_log=True)
        Path(picture).write_text(chart, encoding="utf-8")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:2])
