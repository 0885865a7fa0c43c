"""Tour: a gradient that explodes throws the weights away; clipping its norm keeps them.

    python examples/tour_clipping.py [PICTURE.svg]

A relu network, whose recurrent weight makes everything larger by a tenth at each of 30 steps, learns to say a
mean by plain gradient descent. The rate is fine once the norm is clipped.
"""

import math
import sys
from pathlib import Path

import torch
from torch import nn

import elman.nn
from elman.xray.line_chart import draw_lines

STEPS, ROWS, UPDATES, RATE = 30, 32, 60, 0.02


def train(clip_norm: float) -> list[tuple[float, float]]:
    """Return the loss over updates, as far as it is a number."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    layer, output = elman.nn.RNN(1, 16, nonlinearity="relu"), nn.Linear(16, 1)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").copy_(1.1 * torch.eye(16))
    parameters = [*layer.parameters(), *output.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=RATE)
    curve: list[tuple[float, float]] = []
    for update in range(UPDATES):
        x = torch.rand(STEPS, ROWS, 1, generator=generator)
        loss = (output(layer(x)[0][-1]) - x.mean(0)).square().mean()
        curve.append((update, float(loss.detach())))
        if not math.isfinite(curve[-1][1]):
            break
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, clip_norm)
        optimizer.step()
    return curve


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    torch.set_num_threads(1)  # for products as small as these, more threads wait for each other
    curves = {"clipped at 1": train(1.0), "not clipped": train(math.inf)}
    for name, curve in curves.items():
        print(f"{name:13} loss {curve[0][1]:.3g} at first, {curve[-1][1]:.3g} after {len(curve)} updates")
    if picture:
        title = "Loss with and without clipping"
        chart = draw_lines(curves, title, across="updates", up="loss", is_log=True)
        Path(picture).write_text(chart, encoding="utf-8")
    return {name: curve[-1][1] for name, curve in curves.items()}


if __name__ == "__main__":
    main(*sys.argv[1:2])
