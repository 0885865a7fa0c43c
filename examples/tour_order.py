"""Tour: order matters to a recurrent network, and a mean of the same vectors cannot see it.

    python examples/tour_order.py [PICTURE.svg]

Which came first, 1 or 2? Every sequence holds both, among other tokens. A network on the mean of its
embeddings sees the same words either way.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import elman.nn
from elman.xray.line_chart import draw_lines

STEPS, UPDATES, ROWS = 8, 120, 64


def draw_batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return tokens [B, T] and whether 1 stands before 2 [B]."""
    tokens = torch.randint(3, 8, (ROWS, STEPS), generator=generator)
    places = torch.rand(ROWS, STEPS, generator=generator).argsort(1)[:, :2]
    tokens.scatter_(1, places, torch.tensor([[1, 2]]).expand(ROWS, 2))
    return tokens, (places[:, 0] < places[:, 1]).long()


class Reader(nn.Module):
    """Read tokens by a GRU, or by the mean of their vectors."""

    def __init__(self, is_recurrent: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 8)
        self.layer = elman.nn.GRU(8, 16, batch_first=True) if is_recurrent else None
        self.hidden, self.output = nn.Linear(8, 16), nn.Linear(16, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return scores [B, 2]."""
        vectors = self.embedding(tokens)
        if self.layer is None:
            return self.output(torch.tanh(self.hidden(vectors.mean(1))))
        return self.output(self.layer(vectors)[0][:, -1])


def train(is_recurrent: bool) -> list[tuple[float, float]]:
    """Return the share that is right, on data not seen before, over updates."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = Reader(is_recurrent)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    curve: list[tuple[float, float]] = []
    recent: list[float] = []
    for update in range(1, UPDATES + 1):
        tokens, target = draw_batch(generator)
        scores = model(tokens)
        recent.append(float((scores.argmax(1) == target).float().mean()))
        optimizer.zero_grad()
        functional.cross_entropy(scores, target).backward()
        optimizer.step()
        if update % 10 == 0:
            curve.append((update, sum(recent[-10:]) / 10))
    return curve


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    torch.set_num_threads(1)  # for products as small as these, more threads wait for each other
    curves = {"GRU": train(True), "mean of vectors": train(False)}
    for name, curve in curves.items():
        print(f"{name:16} right at the end: {curve[-1][1]:.2f}")
    if picture:
        chart = draw_lines(curves, "Which came first, 1 or 2?", across="updates", up="right")
        Path(picture).write_text(chart, encoding="utf-8")
    return {"gru": curves["GRU"][-1][1], "mean": curves["mean of vectors"][-1][1]}


if __name__ == "__main__":
    main(*sys.argv[1:2])
