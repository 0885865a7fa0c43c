"""CRF: what the loss and its gradient cost, beside the recursion by logsumexp that equals it.

    python benchmarks/crf_time.py [--repeats 60]

One thread, 32 sentences of 30 steps. The least of the repeats, in milliseconds: what the work costs where
nothing else wants the processor.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from elman.nn import crf
from elman.padded import Padded

BATCH, STEPS = 32, 30


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Return the least time that a call takes."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


def measure(num_tags: int, repeats: int) -> dict[str, float]:
    """Return the time of each part for so many tags."""
    torch.manual_seed(0)
    layer = crf.CRF(num_tags)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    lengths = torch.full((BATCH,), STEPS)
    data = torch.randn(BATCH, STEPS, num_tags, requires_grad=True)
    scores = Padded(data, lengths)
    tags = Padded(torch.randint(num_tags, (BATCH, STEPS)), lengths)

    def in_logs() -> Tensor:
        return (layer._score(scores, tags) - crf.log_partition_in_logs(scores, layer.chain)).sum()

    return {
        "loss and gradient": milliseconds(
            lambda: layer.log_likelihood(scores, tags).sum().backward(), repeats
        ),
        "the same by logsumexp": milliseconds(lambda: in_logs().backward(), repeats),
        "best tags": milliseconds(lambda: layer.decode(scores), repeats),
        "probabilities": milliseconds(lambda: layer.marginals(scores), repeats),
    }


def main() -> None:
    """Print a table, one line for each number of tags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=60)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    for num_tags in (20, 80):
        times = measure(num_tags, repeats)
        print(f"K = {num_tags}: " + ", ".join(f"{name} {value:.1f} ms" for name, value in times.items()))


if __name__ == "__main__":
    main()
