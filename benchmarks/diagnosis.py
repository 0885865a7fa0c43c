"""DIAGNOSIS: does one in the first twentieth of a training foretell failure, and does its remedy help?

    python benchmarks/diagnosis.py                       all forty runs, then the summary
    python benchmarks/diagnosis.py --part 1/4            a quarter of them; the work can be done in pieces
    python benchmarks/diagnosis.py --summary             only the summary of what was measured
    python benchmarks/diagnosis.py --calibrate           other lengths and other seeds

Forty networks learn the adding problem (T = 100) or the copy task (T = 50) of long_memory.py: three cells,
four initial weights (torch's; orthogonal; identity or chrono; torch's with recurrent weights times a half
or one and a half), with clipping and without. Those are 48; every sixth is left out. After 150 of 3,000
updates the network is examined on eight fresh rows and diagnosed, from them and from the losses and
gradient norms so far. The score, fixed beforehand, is the highest severity among `FORETELLING`. A run has
failed if at the end its loss on fresh data is not under `CLEARLY` of what the forgetful reach. Each failed
run is trained again with the flags of its most severe diagnosis.

Told are the area under the ROC curve of the score, and the share of failed runs that are then no failures.
The thresholds of the rules come from their sources and a few runs of `--calibrate` (adding at 50, copy at
20, seeds from 1,000), not from these runs. What was measured is not measured again. Figures go to
results/diagnosis.jsonl.
"""

import argparse
import itertools
import json
import math
import shlex
import time
from pathlib import Path
from typing import Any

import torch
from long_memory import DRAW, LEARNING_RATES, TEST_SEED, Reader, chance, fresh_loss, stamp
from torch import nn

from elman.cli.flags import read_train
from elman.errors import ConfigError
from elman.xray import diagnose, examine

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "diagnosis.jsonl"

UPDATES, EARLY, BATCH_SIZE, ROWS = 3000, 150, 32, 8
STEPS = {"report": {"adding": 100, "copy": 50}, "calibration": {"adding": 50, "copy": 20}}
FIRST_SEED = {"report": 100, "calibration": 1000}
INITS = ("torch", "orthogonal", "memory", "bad")
SCALES = (0.5, 1.5)
FORETELLING = (
    "vanishing", "exploding", "forgets too fast", "never forgets", "saturated gates", "dead ReLU",
    "loss spikes",
)  # fmt: skip
"""Diagnoses whose severity counts; the others are of things that do not occur here."""

CLEARLY = {"adding": 0.5, "copy": 0.95}
"""Share of the loss of the forgetful under which a network has learned something. Who knows one of the two
numbers of the adding problem, the one nearer to the end, reaches a half. The copy task is learned slowly, and
its forgetful loss is known exactly: who knows half a symbol of the ten reaches 0.95."""

IN_A_ROW = 5
"""Updates in a row without a finite loss and gradient that end a training, as in `elman train`."""


def cases(purpose: str) -> list[dict[str, Any]]:
    """Return the forty runs."""
    grid = itertools.product(STEPS[purpose], ("rnn", "gru", "lstm"), INITS, (1.0, 0.0))
    found = []
    for number, (problem, cell, init, clip_norm) in enumerate(grid):
        if number % 6 == 5:
            continue
        settings: dict[str, Any] = {
            "cell": cell,
            "init": init if init in ("torch", "orthogonal") else "torch",
        }
        if init == "memory":
            settings["init"] = "identity" if cell == "rnn" else "chrono"
            if cell == "rnn":
                settings["nonlinearity"] = "relu"
        found.append(
            {
                "purpose": purpose,
                "number": number,
                "seed": FIRST_SEED[purpose] + number,
                "problem": problem,
                "steps": STEPS[purpose][problem],
                "settings": settings,
                "scale": SCALES[number // 2 % 2] if init == "bad" else 1.0,
                "clip_norm": clip_norm,
                "learning_rate": LEARNING_RATES[cell],
            }
        )
    return found


def built(case: dict[str, Any]) -> Reader:
    """Return the network of a run with its initial weights."""
    torch.manual_seed(case["seed"])
    settings = dict(case["settings"])
    # Of a Reader the steps are but those that chrono gates are made for.
    network = Reader(case["problem"], settings.pop("memory_steps", case["steps"]), settings)
    for name, value in network.named_parameters():
        if "weight_hh" in name:
            value.data *= case["scale"]
    return network


def train(case: dict[str, Any], updates: int, early: int = 0) -> dict[str, Any]:
    """Train one network; return its loss in the end, and with `early` the diagnoses after so many updates."""
    network, random = built(case), torch.Generator().manual_seed(case["seed"])
    optimizer = torch.optim.Adam(network.parameters(), lr=case["learning_rate"])
    curve: list[tuple[int, float]] = []
    norms: list[tuple[int, float]] = []
    found: dict[str, Any] = {}
    in_a_row = 0
    for update in range(1, updates + 1):
        optimizer.zero_grad()
        loss = network.loss(*DRAW[case["problem"]](BATCH_SIZE, case["steps"], random))
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), case["clip_norm"] or math.inf))
        curve.append((update, float(loss.detach())))
        norms.append((update, norm))
        if math.isfinite(curve[-1][1]) and math.isfinite(norm):
            optimizer.step()
            in_a_row = 0
        else:
            in_a_row += 1
        if update == early or (early > update and in_a_row == IN_A_ROW):
            found |= look(case, network, curve, norms)
        if in_a_row == IN_A_ROW:
            break
    loss_at_end = fresh_loss(network, case["steps"], TEST_SEED) if in_a_row < IN_A_ROW else math.inf
    limit = CLEARLY[case["problem"]] * chance(case["problem"], case["steps"])
    failed = not loss_at_end < limit
    return found | {"test_loss": loss_at_end if math.isfinite(loss_at_end) else None, "failed": failed}


def look(
    case: dict[str, Any],
    network: Reader,
    curve: list[tuple[int, float]],
    norms: list[tuple[int, float]],
) -> dict[str, Any]:
    """Examine and diagnose a network; a chaotic one that cannot be examined in float32 scores 1."""
    random = torch.Generator().manual_seed(case["seed"] + 7)
    rows = DRAW[case["problem"]](ROWS, case["steps"], random)
    must_remember = case["steps"] - 1 if case["problem"] == "adding" else case["steps"] + 10
    chosen = case["settings"] | {"clip_norm": case["clip_norm"], "learning_rate": case["learning_rate"]}
    try:
        examination = examine(network, rows, lambda model, batch: model.loss(*batch))
    except ConfigError as error:
        return {
            "diagnoses": [],
            "score": 1.0,
            "remedy": "--clip-norm 1 --init orthogonal",
            "error": str(error),
        }
    found = diagnose(examination, curve=curve, norms=norms, chosen=chosen, memory_steps=must_remember)
    found = [one for one in found if one.name in FORETELLING]
    return {
        "diagnoses": [[one.name, one.layer, one.evidence, one.severity] for one in found],
        "score": found[0].severity if found else 0.0,
        "remedy": found[0].remedy if found else "",
        "horizon": [flow.memory_horizon for flow in examination.layers],
    }


def remedied(case: dict[str, Any], remedy: str) -> dict[str, Any]:
    """Return the run with the flags of a remedy over its own settings."""
    parsed = read_train(["--task", "regress", "--train", "drawn.csv", *shlex.split(remedy)])
    flags = parsed.model_dump(exclude_unset=True)
    settings = dict(case["settings"])
    changed = dict(case)
    for name in ("cell", "init", "nonlinearity", "memory_steps"):
        if name in flags:
            settings[name] = flags[name]
            changed["scale"] = 1.0
    if settings["cell"] != "rnn":
        settings.pop("nonlinearity", None)
    if "cell" in flags and "learning_rate" not in flags:
        changed["learning_rate"] = LEARNING_RATES[settings["cell"]]
    for name in ("clip_norm", "learning_rate"):
        changed[name] = flags.get(name, changed[name])
    return changed | {"settings": settings}


def measure(case: dict[str, Any], updates: int) -> dict[str, Any]:
    """Train, diagnose early, and where it failed train again as the diagnosis says."""
    began = time.perf_counter()
    row = case | train(case, updates, early=max(1, updates * EARLY // UPDATES)) | {"updates": updates}
    row["chance"] = chance(case["problem"], case["steps"])
    names = ", ".join(one[0] for one in row["diagnoses"])
    said = "failed" if row["failed"] else "learned"
    print(f"{describe(case)}: {row['score']:.2f} ({names}), loss {row['test_loss']}, {said}", flush=True)
    if row["failed"]:
        row["repaired"], row["remedied_loss"] = False, None
        if row["remedy"]:
            again = train(remedied(case, row["remedy"]), updates)
            row["repaired"], row["remedied_loss"] = not again["failed"], again["test_loss"]
        said = "repaired" if row["repaired"] else "not repaired"
        print(f"  {row['remedy'] or 'no remedy'}: loss {row['remedied_loss']}, {said}", flush=True)
    return row | {"seconds": round(time.perf_counter() - began, 1)}


def describe(case: dict[str, Any]) -> str:
    """Return what a run is, in a few words."""
    settings = " ".join(str(value) for value in case["settings"].values())
    scale = f" times {case['scale']:g}" if case["scale"] != 1 else ""
    return (
        f"{case['number']:2} {case['problem']} {case['steps']} {settings}{scale} clip {case['clip_norm']:g}"
    )


def area(scores: list[float], failed: list[bool]) -> float | None:
    """Return the area under the ROC curve: how often a failed run scores above another, ties half."""
    bad = [score for score, is_bad in zip(scores, failed, strict=True) if is_bad]
    good = [score for score, is_bad in zip(scores, failed, strict=True) if not is_bad]
    if not bad or not good:
        return None
    return sum((a > b) + 0.5 * (a == b) for a in bad for b in good) / (len(bad) * len(good))


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the two figures, for all and for each problem."""
    lines = []
    for problem in ("adding", "copy", None):
        own = [row for row in rows if problem in (None, row["problem"])]
        failed = [row for row in own if row["failed"]]
        found = area([row["score"] for row in own], [row["failed"] for row in own])
        repaired = sum(row["repaired"] for row in failed)
        auc = "no AUC (all alike)" if found is None else f"AUC {found:.3f}"
        lines.append(f"{problem or 'all'}: {len(own)} runs, {len(failed)} failed, {auc}, {repaired} repaired")
    return "\n".join(lines)


def read_records(purpose: str, updates: int) -> list[dict[str, Any]]:
    """Return what was measured so far."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.exists() else []
    rows = [json.loads(line) for line in lines]
    kept = [row for row in rows if row["purpose"] == purpose and row["updates"] == updates]
    return list({row["number"]: row for row in kept}.values())


def main() -> None:
    """Measure what is asked for and was not measured yet, then say what came out."""
    parser = argparse.ArgumentParser(description="Measure how well diagnoses foretell failure.")
    parser.add_argument("--part", default="1/1", help="k/n: the k-th of n parts (default: all)")
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--calibrate", action="store_true", help="other lengths and seeds")
    parser.add_argument("--numbers", default="", help="only these runs: 0,7")
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    purpose = "calibration" if options.calibrate else "report"
    part, parts = map(int, options.part.split("/"))
    wanted = cases(purpose)[part - 1 :: parts]
    if options.numbers:
        wanted = [case for case in wanted if str(case["number"]) in options.numbers.split(",")]
    done = {row["number"] for row in read_records(purpose, options.updates)}
    for case in [] if options.summary else wanted:
        if case["number"] not in done:
            row = measure(case, options.updates)
            RECORDS.parent.mkdir(exist_ok=True)
            with open(RECORDS, "a", encoding="utf-8") as file:
                file.write(json.dumps(row | stamp(1)) + "\n")
    rows = read_records(purpose, options.updates)
    if rows:
        print(summary(rows))


if __name__ == "__main__":
    main()
