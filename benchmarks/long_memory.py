"""LONG MEMORY: the adding problem and the copy task, which only a network that remembers can solve.

    python benchmarks/long_memory.py                     adding at 200 steps, every network, seed 0
    python benchmarks/long_memory.py --problem copy --networks "lstm chrono,gru" --steps 20,50,100
    python benchmarks/long_memory.py --seeds 0,1,2 --threads 1
    python benchmarks/long_memory.py --draw              table and pictures, from what was measured

Adding (Hochreiter and Schmidhuber 1997, in the form of Le et al. 2015): at each step a number from U(0, 1)
and a mark; two steps are marked, one in each half; at the end the sum of their numbers is asked. Who always
says 1 has a mean squared error of 1/6. Copy (Arjovsky et al. 2016): ten symbols out of eight, T blanks, the
last of them a sign to begin, then the ten symbols are asked. Who forgot them has a loss of
10 ln 8 / (T + 20).

All data are drawn anew at every update, from one seed; a second seed draws the sequences that are looked at
while training, and a third those of the test, scored once, at the end. A measurement ends when the loss on
the second says solved, or after `--minutes` of computing. What was measured is not measured again, so the
work can be done in pieces; `--again` measures it anew. Figures go to results/long_memory.jsonl.
"""

import argparse
import datetime
import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch
from long_memory_page import draw_page
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

import elman
from elman.nn.encoder import Encoder
from elman.padded import Padded
from elman.xray.problems import COPIED, SYMBOLS, draw_adding, draw_copy

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "long_memory.jsonl"

NETWORKS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "rnn orthogonal": {"cell": "rnn", "init": "orthogonal"},
    "irnn": {"cell": "rnn", "nonlinearity": "relu", "init": "identity"},
    "gru": {"cell": "gru"},
    "gru chrono": {"cell": "gru", "init": "chrono"},
    "lstm": {"cell": "lstm"},
    "lstm chrono": {"cell": "lstm", "init": "chrono"},
}
HIDDEN_SIZES, BATCH_SIZES = {"adding": 64, "copy": 128}, {"adding": 32, "copy": 64}
"""Ten symbols out of eight are thirty bits: 64 units come close to copying them, and no further."""

CLIP_NORM = 1.0
LEARNING_RATES = {"rnn": 1e-3, "gru": 5e-3, "lstm": 5e-3}
"""Of each cell: without gates, larger steps leave the narrow way where the state neither fades nor grows."""
LOOK_EVERY = 100
"""Updates between two looks, as many as are drawn in the picture."""

LOOK_SEED, TEST_SEED, FRESH_SEQUENCES = 1_000_033, 1_000_003, 1000
SOLVED = {"adding": 0.005, "copy": 0.001}
"""Mean squared error, and nats a step (a hundredth of the forgetful loss at T = 200), on fresh data."""
FALLS_AFTER, FALLS_TO = {"copy": 0.6}, 0.01
"""Share of the time after which the rate falls, evenly, to what share of itself: steps that are right on the
way out of forgetting are too long for the last per cent."""

SOLVED_WHILE_LOOKING = {"adding": 0.8, "copy": 0.5}
"""Share of that loss at which training ends: other sequences may be harder. In copying the loss lies in few
of them, and two thousands of sequences differed by a third."""

DEFAULT_STEPS = {"adding": "200", "copy": "100"}


class Reader(nn.Module):
    """A recurrent layer and what reads it: the last step (adding) or every step (copy)."""

    def __init__(self, problem: str, steps: int, settings: dict[str, Any]) -> None:
        super().__init__()
        chosen = dict(settings)
        if chosen.get("init") == "chrono":
            chosen["memory_steps"] = steps
        self.problem = problem
        inputs, outputs = (2, 1) if problem == "adding" else (SYMBOLS + 2, SYMBOLS + 1)
        self.encoder = Encoder(inputs, HIDDEN_SIZES[problem], **chosen)
        self.linear = nn.Linear(self.encoder.output_size, outputs)

    def loss(self, inputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error of the sums, or the mean loss of a step."""
        padded = Padded(inputs, torch.full((len(inputs),), inputs.size(1)))
        outputs, _ = self.encoder(padded)
        if self.problem == "adding":
            return mse_loss(self.linear(outputs.last()).squeeze(1), target)
        return cross_entropy(self.linear(outputs.data).flatten(0, 1), target.flatten())


DRAW = {"adding": draw_adding, "copy": draw_copy}


def chance(problem: str, steps: int) -> float:
    """Return the loss of who remembers nothing."""
    return 1 / 6 if problem == "adding" else COPIED * math.log(SYMBOLS) / (steps + 2 * COPIED)


@torch.no_grad()
def fresh_loss(network: Reader, steps: int, seed: int) -> float:
    """Return the loss on the sequences of a seed, always the same, in pieces that fit into a cache."""
    random = torch.Generator().manual_seed(seed)
    pieces = [DRAW[network.problem](100, steps, random) for _ in range(FRESH_SEQUENCES // 100)]
    return sum(float(network.loss(*piece)) for piece in pieces) / len(pieces)


def share_of_rate(problem: str, time_used: float) -> float:
    """Return what the rate is multiplied by when this share of the time is used."""
    falls_after = FALLS_AFTER.get(problem, 1.0)
    if time_used <= falls_after:
        return 1.0
    return max(FALLS_TO, (1 - time_used) / (1 - falls_after))


def measure(problem: str, name: str, steps: int, seed: int, minutes: float) -> dict[str, Any]:
    """Train one network until it has solved the problem or time is up."""
    torch.manual_seed(seed)
    network, random = Reader(problem, steps, NETWORKS[name]), torch.Generator().manual_seed(seed)
    rate = LEARNING_RATES[NETWORKS[name]["cell"]]
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    began, worked, update, curve = time.perf_counter(), time.process_time(), 0, []
    # Minutes of computing, so that what else the machine does changes nothing.
    limit = 60 * minutes * torch.get_num_threads()
    while True:
        if update % LOOK_EVERY == 0:
            loss, seconds = fresh_loss(network, steps, LOOK_SEED), time.perf_counter() - began
            used = (time.process_time() - worked) / limit
            curve.append([update, round(seconds, 1), float(f"{loss:.4g}")])
            print(f"{problem} {steps} {name} seed {seed}: {update:,} updates, {loss:.5f}, {seconds:.0f} s",
                  flush=True)  # fmt: skip
            solved = loss < SOLVED_WHILE_LOOKING[problem] * SOLVED[problem]
            optimizer.param_groups[0]["lr"] = rate * share_of_rate(problem, used)
            if solved or used > 1 or not math.isfinite(loss):
                break
        optimizer.zero_grad()
        network.loss(*DRAW[problem](BATCH_SIZES[problem], steps, random)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        update += 1
    test_loss = fresh_loss(network, steps, TEST_SEED)
    return {
        "problem": problem,
        "network": name,
        "steps": steps,
        "seed": seed,
        "solved": test_loss < SOLVED[problem],
        "test_loss": test_loss,
        "look_loss": loss,
        "chance": chance(problem, steps),
        "updates": update,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - worked, 1),
        "learning_rate": rate,
        "hidden_size": HIDDEN_SIZES[problem],
        "batch_size": BATCH_SIZES[problem],
        "minutes_allowed": minutes,
        "parameters": sum(value.numel() for value in network.parameters()),
        "curve": curve,
    }


def stamp(threads: int) -> dict[str, Any]:
    """Return where, when and by what a measurement was made."""
    return {
        "threads": threads,
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {
            "elman": elman.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def read_records() -> list[dict[str, Any]]:
    """Return every measurement so far, the last one for each (problem, network, steps, seed) alone."""
    if not RECORDS.exists():
        return []
    rows = [json.loads(line) for line in RECORDS.read_text(encoding="utf-8").splitlines()]
    return list({key(row): row for row in rows}.values())


def key(row: dict[str, Any]) -> tuple[str, str, int, int]:
    """Return what tells measurements apart."""
    return row["problem"], row["network"], row["steps"], row["seed"]


def main() -> None:
    """Measure what is asked for and was not measured yet, then draw everything."""
    parser = argparse.ArgumentParser(description="Measure what networks remember.")
    parser.add_argument("--problem", choices=list(DRAW), default="adding")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="which, by name: a,b (default: all)")
    parser.add_argument("--steps", help="T, several with commas (default: 200 for adding, 100 for copy)")
    parser.add_argument("--seeds", default="0", help="0,1,2 (default: 0)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--minutes", type=float, default=5.0, help="for one measurement (default: 5)")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument("--draw", action="store_true", help="only draw the table and the pictures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    done = {key(row) for row in read_records()}
    names = options.networks.split(",")
    unknown = set(names) - set(NETWORKS)
    if unknown:
        parser.error(f"unknown networks {', '.join(sorted(unknown))}; known: {', '.join(NETWORKS)}")
    for seed in [] if options.draw else [int(text) for text in options.seeds.split(",")]:
        for steps in [int(text) for text in (options.steps or DEFAULT_STEPS[options.problem]).split(",")]:
            for name in names:
                if options.again or (options.problem, name, steps, seed) not in done:
                    row = measure(options.problem, name, steps, seed, options.minutes)
                    RECORDS.parent.mkdir(exist_ok=True)
                    with open(RECORDS, "a", encoding="utf-8") as file:
                        file.write(json.dumps(row | stamp(options.threads)) + "\n")
    draw_page(read_records(), HERE / "results", HERE.parent / "docs")


if __name__ == "__main__":
    main()
