"""Tour: only sparse updates leave the embeddings of unused words alone.

    python examples/tour_sparse_embeddings.py [PICTURE.svg]

One word is in the first five batches and never again; how far does its vector move afterwards under Adam?
"""

import sys
from pathlib import Path

import torch

from elman.nn.embedding import TokenEmbedding
from elman.training.optim import Optimizer
from elman.xray.line_chart import draw_lines

UPDATES, LAST_USE, WORD = 40, 5, 5


def moves(kind: str, rule: str) -> list[tuple[float, float]]:
    """Return (update, how far the word's vector is from where it stood after its last use)."""
    torch.manual_seed(0)
    embedding = TokenEmbedding(9, 4, kind=kind)
    optimizer = Optimizer(embedding, rule=rule)
    seen, goal = [], torch.randn(9, 4)
    for update in range(1, UPDATES + 1):
        ids = torch.tensor([WORD, 7] if update <= LAST_USE else [7, 8])
        (embedding(ids) - goal[ids]).square().sum().backward()
        optimizer.step(0.01)
        optimizer.zero_grad()
        seen.append(embedding.weight[WORD].detach().clone())
    after = seen[LAST_USE - 1]
    return [(n, float((one - after).norm())) for n, one in enumerate(seen, 1) if n >= LAST_USE]


def main(picture: str | None = None) -> dict[str, float]:
    """Print the numbers, draw the picture if asked, and return what the tour claims."""
    curves = {
        "adam, dense": moves("trainable", "adam"),
        "adam, sparse": moves("sparse", "adam"),
        "momentum, dense": moves("trainable", "sgd"),
    }
    for name, curve in curves.items():
        print(f"{name:15} moved after its last use: {curve[-1][1]:.4f}")
    if picture:
        title = "A word that is in no batch any more"
        chart = draw_lines(curves, title, across="updates", up="moved")
        Path(picture).write_text(chart, encoding="utf-8")
    return {name: curve[-1][1] for name, curve in curves.items()}


if __name__ == "__main__":
    main(*sys.argv[1:2])
