"""REPORT CARD: what each cell can learn, on six small problems, beside chance, with size and cost.

    python benchmarks/report_card.py                                  every cell, seeds 0, 1 and 2
    python benchmarks/report_card.py --cells rnn,gru,lstm --seeds 0,1,2 --minutes 20
    python benchmarks/report_card.py --problems adding,copy --cells gru
    python benchmarks/report_card.py --draw                           table and picture of what was measured

The problems and the training are those of `elman.xray.report_card`: one layer of 64 units, 32 fresh rows an
update, at most 40 seconds of one thread each. What was measured is not measured again, so that the work can
be done in pieces; `--again` measures it anew. Figures go to results/report_card.jsonl, the table to
results/report_card.md and with the picture into docs/report_card.md.
"""

import argparse
import datetime
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch
from report_card_page import draw_page

import elman
from elman.nn.encoder import LAYERS
from elman.xray.problems import PROBLEMS
from elman.xray.report_card import SECONDS, sit

HERE = Path(__file__).parent
RECORDS = HERE / "results" / "report_card.jsonl"
THREADS = 1


def key(row: dict[str, Any]) -> tuple[str, str, int]:
    """Return what tells measurements apart."""
    return row["cell"], row["problem"], row["seed"]


def read_records() -> list[dict[str, Any]]:
    """Return every measurement so far, the last one for each (cell, problem, seed) alone."""
    if not RECORDS.exists():
        return []
    rows = [json.loads(line) for line in RECORDS.read_text(encoding="utf-8").splitlines()]
    return list({key(row): row for row in rows}.values())


def stamp(seconds_allowed: float) -> dict[str, Any]:
    """Return where, when and by what a measurement was made."""
    return {
        "seconds_allowed": seconds_allowed,
        "threads": THREADS,
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {
            "elman": elman.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def measure(options: argparse.Namespace) -> None:
    """Measure what is asked for and was not measured yet, until the minutes are over."""
    done = set() if options.again else {key(row) for row in read_records()}
    began = time.perf_counter()
    for seed in options.seeds:
        for problem in options.problems:
            for cell in options.cells:
                if (cell, problem, seed) in done:
                    continue
                if options.minutes is not None and time.perf_counter() - began > 60 * options.minutes:
                    print(f"{options.minutes:g} minutes are over; the same command goes on from here.")
                    return
                mark = sit(
                    cell, problem, seed, seconds=options.seconds, tell=lambda line: print(line, flush=True)
                )
                RECORDS.parent.mkdir(exist_ok=True)
                with open(RECORDS, "a", encoding="utf-8") as file:
                    file.write(json.dumps(mark.to_json() | stamp(options.seconds)) + "\n")


def names(text: str) -> list[str]:
    """Return the parts of "a,b"."""
    return [part.strip() for part in text.split(",") if part.strip()]


def main() -> None:
    """Measure, then draw everything."""
    parser = argparse.ArgumentParser(description="Measure what each cell can learn.")
    parser.add_argument("--cells", type=names, default=list(LAYERS), help="a,b (default: all)")
    parser.add_argument("--problems", type=names, default=list(PROBLEMS), help="a,b (default: all)")
    parser.add_argument("--seeds", default="0,1,2", help="0,1,2 (default)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for one network (default: 40)")
    parser.add_argument("--minutes", type=float, help="for everything (default: as long as it takes)")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument("--draw", action="store_true", help="only draw the table and the picture")
    options = parser.parse_args()
    options.seeds = [int(part) for part in names(options.seeds)]
    for given, known in ((options.cells, LAYERS), (options.problems, PROBLEMS)):
        unknown = sorted(set(given) - set(known))
        if unknown:
            parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    torch.set_num_threads(THREADS)
    if not options.draw:
        measure(options)
    draw_page(read_records(), HERE / "results", HERE.parent / "docs")


if __name__ == "__main__":
    main()
