"""Tour: the weights are shared over time, so their number does not depend on the length.

    python examples/tour_shared_weights.py [PICTURE.svg]

The gradient of a shared weight is the sum of its terms at all steps; both are shown.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import elman.nn
from elman.xray.by_hand import Exercise, calculate
from elman.xray.line_chart import draw_lines


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    torch.manual_seed(0)
    layer, x = elman.nn.RNN(8, 16), torch.randn(40, 8)
    recurrent = sum(parameter.numel() for parameter in layer.parameters())
    lengths = range(5, 45, 5)
    plain = [(steps, 8.0 * steps * 16 + 16) for steps in lengths]  # one layer that reads all steps at once
    shared = [(steps, float(recurrent)) for steps in lengths]
    read = [len(layer(x[:steps, None])[0]) for steps in lengths]
    print(f"one layer of {recurrent} weights has read sequences of {read} steps")
    print(f"a layer that reads them side by side needs {plain[0][1]:.0f} to {plain[-1][1]:.0f} weights")

    exercise = Exercise(layer, nn.Linear(16, 2), x[:5], torch.tensor([1]), at="last")
    done = calculate(exercise)
    terms = [step.terms["weight_hh"] for step in done.steps]
    sizes = "  ".join(f"{np.abs(term).max():.4f}" for term in terms)
    gap = float(np.abs(sum(terms) - done.gradients["weight_hh"]).max())
    print(f"largest number of each step's term of dL/dW_h: {sizes}; their sum is the gradient, to {gap:.0e}")
    if picture:
        curves = {"side by side": plain, "recurrent": shared}
        chart = draw_lines(curves, "Weights for sequences of a length", across="steps", up="weights")
        Path(picture).write_text(chart, encoding="utf-8")
    return {"recurrent": recurrent, "side_by_side": plain[-1][1], "gap": gap}


if __name__ == "__main__":
    main(*sys.argv[1:2])
