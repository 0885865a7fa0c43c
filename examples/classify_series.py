"""Tell waves apart by their shape: series of numbers of unequal length, one label each.

    python examples/classify_series.py

Rows in memory are as good as a file: pairs of (array [T, I], label).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import elman

SHAPES: dict[str, Callable[[Any], Any]] = {
    "sine": np.sin,
    "square": lambda angle: np.sign(np.sin(angle)),
    "saw": lambda angle: (angle / np.pi) % 2 - 1,
}


def make_waves(count: int, seed: int) -> list[tuple[np.ndarray, str]]:
    """Return noisy waves of 20 to 60 steps, of any frequency and phase, two sensors each."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        name = list(SHAPES)[number % len(SHAPES)]
        steps = np.arange(generator.integers(20, 60))
        angle = steps * generator.uniform(0.3, 0.7) + generator.uniform(0, 6)
        wave = np.stack([SHAPES[name](angle), SHAPES[name](angle + 1)], axis=1)
        rows.append((wave + generator.normal(0, 0.2, wave.shape), name))
    return rows


def main() -> None:
    """Train on 300 waves, score on 150 others, and ask for one."""
    run = elman.train(
        task="classify",
        train=make_waves(300, 0),
        test=make_waves(150, 1),
        cell="gru",
        hidden_size=24,
        epochs=12,
    )
    test = run.result["test"]
    print(f"accuracy {test['accuracy']:.3f}, baseline {test['baseline']['accuracy']:.3f}")
    wave, name = make_waves(3, 2)[1]
    print(f"a {name} wave is called a {run.predict([wave])[0].prediction} wave")


if __name__ == "__main__":
    main()
