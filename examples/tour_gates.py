"""Tour: LSTM and GRU remember what a plain recurrent network forgets.

    python examples/tour_gates.py [PICTURE.svg]

The first of 60 symbols is asked for at the end; what follows it is noise. The gates start open, as is usual
where that many steps are to be remembered (Tallec and Ollivier 2018); the Elman network has none to open.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import elman.nn
from elman.nn.initialise import initialise
from elman.xray.line_chart import draw_lines

STEPS, SYMBOLS, ROWS, UPDATES = 60, 4, 64, 300
LAYERS = {"Elman network": elman.nn.RNN, "GRU": elman.nn.GRU, "LSTM": elman.nn.LSTM}


def train(name: str) -> list[tuple[float, float]]:
    """Return the share that is right, on data not seen before, over updates."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    layer = LAYERS[name](SYMBOLS + 1, 32)
    if name != "Elman network":
        initialise(layer, "chrono", memory_steps=STEPS)
    output = nn.Linear(32, SYMBOLS)
    parameters = [*layer.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    curve: list[tuple[float, float]] = []
    recent: list[float] = []
    for update in range(1, UPDATES + 1):
        first = torch.randint(SYMBOLS, (ROWS,), generator=generator)
        x = torch.zeros(STEPS, ROWS, SYMBOLS + 1)
        x[0, torch.arange(ROWS), first] = 1
        x[1:, :, SYMBOLS] = torch.randn(STEPS - 1, ROWS, generator=generator)
        scores = output(layer(x)[0][-1])
        recent.append(float((scores.argmax(1) == first).float().mean()))
        optimizer.zero_grad()
        functional.cross_entropy(scores, first).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if update % 20 == 0:
            curve.append((update, sum(recent[-20:]) / 20))
    return curve


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    torch.set_num_threads(1)  # for products as small as these, more threads wait for each other
    curves = {name: train(name) for name in LAYERS}
    for name, curve in curves.items():
        print(f"{name:14} right at the end: {curve[-1][1]:.2f} (by chance {1 / SYMBOLS})")
    if picture:
        title = f"The first of {STEPS} symbols, asked for at the end"
        chart = draw_lines(curves, title, across="updates", up="right")
        Path(picture).write_text(chart, encoding="utf-8")
    return {name: curve[-1][1] for name, curve in curves.items()}


if __name__ == "__main__":
    main(*sys.argv[1:2])
