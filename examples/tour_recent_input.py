"""Tour: before training, a recurrent network's state depends most on what it read last.

    python examples/tour_recent_input.py [PICTURE.svg]

The size of dh_T/dx_t over how long ago x_t was read, for torch's first weights, the mean of 8 sequences.
"""

import sys
from pathlib import Path

import torch

import elman.nn
from elman.xray.line_chart import draw_lines

STEPS, ROWS, INPUTS, UNITS = 25, 8, 4, 32
LAYERS = {
    "Elman network": lambda: elman.nn.RNN(INPUTS, UNITS),
    "GRU": lambda: elman.nn.GRU(INPUTS, UNITS),
    "LSTM": lambda: elman.nn.LSTM(INPUTS, UNITS),
    "LSTM, forget bias 3": lambda: elman.nn.LSTM(INPUTS, UNITS, forget_bias=3.0),
}


def sizes(name: str) -> list[tuple[float, float]]:
    """Return (steps ago, size of the derivative), the last step's being 1."""
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    x = torch.randn(STEPS, ROWS, INPUTS, dtype=torch.float64, requires_grad=True)
    last = layer(x)[0][-1]
    squares = torch.zeros(STEPS, ROWS, dtype=torch.float64)
    for unit in range(UNITS):
        (slope,) = torch.autograd.grad(last[:, unit].sum(), x, retain_graph=True)
        squares += slope.square().sum(2)
    size = squares.sqrt().mean(1).flip(0)
    return [(float(ago), float(value / size[0])) for ago, value in enumerate(size)]


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    torch.set_num_threads(1)  # for products as small as these, more threads wait for each other
    curves = {name: sizes(name) for name in LAYERS}
    for name, curve in curves.items():
        print(f"{name:20} 1 step ago {curve[1][1]:.3f}, 10 {curve[10][1]:.1e}, 20 {curve[20][1]:.1e}")
    if picture:
        title = "How much the last state depends on an input"
        chart = draw_lines(curves, title, across="steps ago", up="of the last", is_log=True)
        Path(picture).write_text(chart, encoding="utf-8")
    return {name: curve[20][1] for name, curve in curves.items()}


if __name__ == "__main__":
    main(*sys.argv[1:2])
