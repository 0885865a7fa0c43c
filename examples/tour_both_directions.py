"""Tour: a second direction helps where a step depends on what comes after it.

    python examples/tour_both_directions.py [PICTURE.svg]

Each step's tag is the token that follows it two steps later: one direction can only guess it.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import elman.nn
from elman.xray.line_chart import draw_lines

STEPS, TOKENS, ROWS, UPDATES, AHEAD = 12, 4, 32, 150, 2


def train(bidirectional: bool) -> list[tuple[float, float]]:
    """Return the share of steps that is right, on data not seen before, over updates."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    size = 16 if bidirectional else 32  # as many outputs
    layer, output = elman.nn.GRU(TOKENS, size, bidirectional=bidirectional), nn.Linear(32, TOKENS)
    optimizer = torch.optim.Adam([*layer.parameters(), *output.parameters()], lr=0.02)
    curve: list[tuple[float, float]] = []
    recent: list[float] = []
    for update in range(1, UPDATES + 1):
        tokens = torch.randint(TOKENS, (STEPS, ROWS), generator=generator)
        x, target = functional.one_hot(tokens, TOKENS).float(), tokens[AHEAD:]
        scores = output(layer(x)[0][:-AHEAD])
        recent.append(float((scores.argmax(2) == target).float().mean()))
        optimizer.zero_grad()
        functional.cross_entropy(scores.flatten(0, 1), target.flatten()).backward()
        optimizer.step()
        if update % 10 == 0:
            curve.append((update, sum(recent[-10:]) / 10))
    return curve


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    torch.set_num_threads(1)  # for products as small as these, more threads wait for each other
    curves = {"both directions": train(True), "one direction": train(False)}
    for name, curve in curves.items():
        print(f"{name:16} right at the end: {curve[-1][1]:.2f} (by chance {1 / TOKENS})")
    if picture:
        chart = draw_lines(curves, "A tag that depends on what follows", across="updates", up="right")
        Path(picture).write_text(chart, encoding="utf-8")
    return {name: curve[-1][1] for name, curve in curves.items()}


if __name__ == "__main__":
    main(*sys.argv[1:2])
