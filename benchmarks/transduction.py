"""TRANSDUCTION: encoder-decoders on published pairs: sounds, forms, sentences; exposure bias; speed.

    python benchmarks/transduction.py cmudict --data FOLDER                30 minutes, then PER and WER
    python benchmarks/transduction.py cmudict-long --data FOLDER --threads 1   a larger one, over an hour
    python benchmarks/transduction.py inflection --data FOLDER             5 minutes
    python benchmarks/transduction.py sigmorphon --data FOLDER             kor, fre, geo, dut: 2 minutes each
    python benchmarks/transduction.py tatoeba --data FOLDER                30 minutes for each kind of context
    python benchmarks/transduction.py exposure --data FOLDER --seeds 0,1,2
    python benchmarks/transduction.py speed --data FOLDER                  against a plain PyTorch loop
    python benchmarks/transduction.py table                                what was measured so far

FOLDER holds one folder for each published set. The epochs are chosen so that the whole schedule of the
learning rate fits into the minutes: some steps are timed first, and the choice is printed. What was measured
(set, kind, seed, minutes) is not measured again; `--again` does. Figures go to results/transduction.jsonl.
The weights are chosen on validation data alone; PER is token_error_rate, and WER (of words to sounds) is
1 - exact_match.
"""

import argparse
import datetime
import json
import math
import os
import platform
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transduction_sets import prepare_pairs

import elman
from elman.config import make_settings
from elman.dataset import read_part
from elman.run import Run
from elman.tasks.translate import Translate
from elman.training.optim import Optimizer

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "transduction.jsonl"
PICTURE = HERE.parent / "docs" / "tatoeba_by_length.svg"

TIMED_STEPS, SHARE_OF_TIME, MOST_EPOCHS = 30, 0.85, 60
"""Steps timed to choose the epochs; share of the minutes that training steps may take; and a bound."""

BARS = ((1, 3), (4, 5), (6, 7), (8, 9), (10, 14), (15, 99))
"""Lengths of sentences, in words, that BLEU is given for."""

MOST_BLEU = 60
"""Where the picture ends."""

CONTEXTS = {"attention": "multiplicative", "fixed context": "none"}

LONG: dict[str, Any] = {"hidden_size": 384, "epochs": 14}
"""Half as many units again, and passes for over an hour."""

EXPOSURE_EPOCHS = 10
EXPOSURE_KINDS: dict[str, dict[str, Any]] = {
    "teacher forcing": {},
    "scheduled sampling": {"teacher_forcing": "inverse-sigmoid", "teacher_forcing_end": 0.5},
}
"""Compared with the same epochs, whatever they take: a step that samples takes longer."""

T_OF_THREE = 4.303
"""Student's t for 95 % and two degrees of freedom: three seeds."""


@dataclass(frozen=True)
class Options:
    """What every measurement needs.

    Args:
        data: folder of the published sets.
        work: where converted files and runs go.
        threads: of the training.
        again: measure what was measured already.
        minutes: in place of a measurement's own; None: its own.
    """

    data: Path
    work: Path
    threads: int
    again: bool
    minutes: float | None


def read_records() -> list[dict[str, Any]]:
    """Return every measurement so far, the last one of each key alone."""
    if not RECORDS.exists():
        return []
    rows = [json.loads(line) for line in RECORDS.read_text(encoding="utf-8").splitlines()]
    return list({key_of(row): row for row in rows}.values())


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells one measurement from another."""
    return row["set"], row["kind"], row.get("seed"), row.get("minutes")


def write_record(row: dict[str, Any]) -> None:
    """Add a measurement, with where and when it was made, and show it."""
    stamp = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "elman": elman.__version__,
        },
    }
    RECORDS.parent.mkdir(exist_ok=True)
    with open(RECORDS, "a", encoding="utf-8") as file:
        file.write(json.dumps(row | stamp, ensure_ascii=False) + "\n")
    print(json.dumps(row, ensure_ascii=False), flush=True)


def choose_epochs(problem: dict[str, Any], minutes: float, threads: int) -> int:
    """Time some training steps and return how many epochs fit into the minutes."""
    settings = make_settings(problem | {"epochs": 1})
    reading = read_part(settings, problem["train"], kind="text")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    task = Translate.prepare(settings, reading.examples, "text")
    pattern, batches = task.build_fresh(), task.batches(reading.examples)
    optimizer = Optimizer(pattern, rule="adam", weight_decay=0.0)
    order = batches.order(0)[: TIMED_STEPS + 5]
    for count, rows in enumerate(order):
        if count == 5:  # the first ones are slower
            began = time.perf_counter()
        pattern.train()
        pattern.loss(batches.batch(rows)).backward()
        optimizer.gradient_norm()
        optimizer.step(1e-4)
        optimizer.zero_grad()
    step = (time.perf_counter() - began) / max(1, len(order) - 5)
    fitting = int(60 * minutes * SHARE_OF_TIME / (step * batches.num_batches))
    epochs = min(MOST_EPOCHS, max(1, fitting))
    print(
        f"{1000 * step:.1f} ms a step, {batches.num_batches:,} steps an epoch: {epochs} epochs "
        f"for {minutes:g} minutes",
        flush=True,
    )
    return epochs


def train_set(
    name: str, options: Options, minutes: float, kind: str = "default", seed: int = 0, **settings: Any
) -> Run | None:
    """Train on a set for some minutes and record its scores; None where that was done already."""
    minutes = options.minutes or minutes
    row = {"set": name, "kind": kind, "seed": seed, "minutes": minutes}
    if not options.again and key_of(row) in {key_of(one) for one in read_records()}:
        print(f"{name} {kind} seed {seed}: measured already", flush=True)
        return None
    problem = prepare_pairs(name, options.data, options.work) | settings
    epochs = problem.pop("epochs", None)
    limit: dict[str, Any] = {} if epochs else {"max_minutes": minutes}
    epochs = epochs or choose_epochs(problem, minutes, options.threads)
    out = options.work / name / f"run-{kind.replace(' ', '-')}-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    run = elman.train(**problem, **limit, epochs=epochs, seed=seed, threads=options.threads, out=out)
    figures = {
        part: {k: v for k, v in run.result[part].items() if k != "baseline"} for part in ("valid", "test")
    }
    baseline = run.result["test"]["baseline"]
    write_record(
        row
        | figures
        | {
            "baseline": {key: value for key, value in baseline.items() if key != "description"},
            "seconds": round(time.perf_counter() - began, 1),
            "epochs": epochs,
            "best": run.result["best"],
            "stopped": run.result["stopped"],
            "parameters": run.result["parameters"],
            "threads": options.threads,
        }
    )
    return run


def measure_tatoeba(options: Options, contexts: list[str]) -> None:
    """Train with attention and with a fixed context; BLEU at beams 1 and 5, and by length."""
    for kind in contexts:
        run = train_set("tatoeba", options, 30.0, kind, attention=CONTEXTS[kind])
        if run is None:
            continue
        examples = read_part(run.chosen, str(run.chosen.test), kind="text").examples
        for width in (1, 5):
            run.task.chosen = run.task.chosen.model_copy(update={"beam_size": width})
            began = time.perf_counter()
            with torch.inference_mode():
                scores = run.task.evaluate(run.model, examples).metrics
            row = {
                "set": "tatoeba",
                "kind": f"{kind}, beam {width}",
                "seed": 0,
                "minutes": options.minutes or 30.0,
            }
            write_record(row | {"test": scores, "seconds": round(time.perf_counter() - began, 1)})
        by_length = []
        for low, high in BARS:
            part = [one for one in examples if low <= len(one.input.split()) <= high]
            if part:
                with torch.inference_mode():
                    bleu = run.task.evaluate(run.model, part).metrics["bleu"]
                by_length.append({"from": low, "to": high, "pairs": len(part), "bleu": round(bleu, 2)})
        row = {"set": "tatoeba", "kind": f"{kind}, by length", "seed": 0, "minutes": options.minutes or 30.0}
        write_record(row | {"by_length": by_length})
    draw_by_length()


def draw_by_length() -> None:
    """Draw BLEU against the length of the source, a line for each kind of context, as SVG."""
    rows = [row for row in read_records() if "by_length" in row]
    width, height, left, bottom = 560, 300, 50, 250
    scale = (bottom - 40) / MOST_BLEU
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="20">BLEU by words in the English sentence (tatoeba, held out)</text>',
    ]
    for bleu in range(0, MOST_BLEU + 1, 10):
        y = bottom - scale * bleu
        pieces.append(f'<line x1="{left}" x2="{width - 20}" y1="{y}" y2="{y}" stroke="#ccc"/>')
        pieces.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{bleu}</text>')
    for place, (low, high) in enumerate(BARS):
        label = f"{low}-{high}" if high < 99 else f"{low}+"
        pieces.append(
            f'<text x="{left + 40 + 80 * place}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
        )
    for row, (colour, aside) in zip(rows, (("#1668b8", (12, -8)), ("#c2571a", (-90, 18))), strict=False):
        starts = [low for low, _ in BARS]
        points = [
            (left + 40 + 80 * starts.index(b["from"]), bottom - scale * b["bleu"]) for b in row["by_length"]
        ]
        line = " ".join(f"{x},{y:.1f}" for x, y in points)
        pieces.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        name = row["kind"].removesuffix(", by length")
        x, y = points[3][0] + aside[0], points[3][1] + aside[1]
        pieces.append(f'<text x="{x}" y="{y:.1f}" fill="{colour}">{name}</text>')
    PICTURE.write_text("\n".join([*pieces, "</svg>"]) + "\n", encoding="utf-8")
    print(f"drawn: {PICTURE}", flush=True)


def measure_exposure(options: Options, seeds: list[int]) -> None:
    """Train with and without scheduled sampling, and give the difference over the seeds with its interval."""
    for seed in seeds:
        for kind, chosen in EXPOSURE_KINDS.items():
            train_set("few_sentences", options, 3.0, kind, seed, epochs=EXPOSURE_EPOCHS, **chosen)
    rows = [row for row in read_records() if row["set"] == "few_sentences"]
    for name in ("exposure_gap", "token_error_rate", "bleu"):
        by_kind = {
            kind: {row["seed"]: row["test"][name] for row in rows if row["kind"] == kind}
            for kind in ("teacher forcing", "scheduled sampling")
        }
        forced, sampled_by_seed = by_kind.values()
        both = sorted(forced.keys() & sampled_by_seed.keys())
        differences = [sampled_by_seed[seed] - forced[seed] for seed in both]
        if len(differences) < 2:
            continue
        mean, spread = statistics.mean(differences), statistics.stdev(differences)
        half = T_OF_THREE * spread / math.sqrt(len(differences))
        print(f"{name}: scheduled sampling - teacher forcing = {mean:.4f} +- {half:.4f} ({len(both)} seeds)")


def show_table() -> None:
    """Print the main figures of everything measured."""
    for row in read_records():
        test = row.get("test", {})
        names = ("exact_match", "token_error_rate", "bleu", "chrf", "exposure_gap")
        said = "  ".join(f"{name} {test[name]:.4f}" for name in names if name in test)
        print(f"{row['set']:<14} {row['kind']:<24} seed {row.get('seed')}  {said or row.get('ratio', '')}")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description="Measure encoder-decoders on published pairs.")
    choices = ("cmudict", "cmudict-long", "inflection", "sigmorphon", "tatoeba", "exposure", "speed", "table")
    parser.add_argument("what", choices=choices)
    parser.add_argument("--data", type=Path, help="folder that holds one folder for each published set")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where converted files and runs go")
    parser.add_argument("--threads", type=int, default=2, help="of the training (default: 2)")
    parser.add_argument("--seeds", default="0", help="0,1,2 (default: 0)")
    parser.add_argument("--contexts", default=",".join(CONTEXTS), help="of tatoeba (default: both)")
    parser.add_argument("--minutes", type=float, help="in place of each measurement's own time")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    given = parser.parse_args()
    if given.what == "table":
        return show_table()
    if given.data is None:
        parser.error("--data FOLDER is needed to measure anything")
    options = Options(given.data, given.work, given.threads, given.again, given.minutes)
    seeds = [int(text) for text in given.seeds.split(",")]
    if given.what == "tatoeba":
        measure_tatoeba(options, given.contexts.split(","))
    elif given.what == "exposure":
        measure_exposure(options, seeds)
    elif given.what == "cmudict-long":
        for seed in seeds:
            train_set("cmudict", options, 80.0, "long", seed, **LONG)
    elif given.what == "speed":
        from transduction_speed import measure_speed

        write_record(measure_speed(prepare_pairs("cmudict", options.data, options.work), options.threads))
    else:
        minutes = {"cmudict": 30.0, "inflection": 5.0, "sigmorphon": 2.0}[given.what]
        for name in ("kor", "fre", "geo", "dut") if given.what == "sigmorphon" else (given.what,):
            for seed in seeds:
                train_set(name, options, minutes, seed=seed)
    return None


if __name__ == "__main__":
    main()
