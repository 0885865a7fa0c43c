"""Count the instructions of a training step of each cell, and compare with what was counted before.

    python scripts/instructions.py [--build FOLDER] [--write]

Seconds differ from run to run on a busy machine, instructions do not: a kernel that does more work than
before is found by them. The AVX2 kernels run under valgrind (which knows no AVX-512), without Python. Counts
depend on the compiler, so they are compared where it is that of benchmarks/results/instructions.json; --write
writes that file anew.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
KNOWN = ROOT / "benchmarks" / "results" / "instructions.json"
MODES = {"RNN_TANH": 0, "GRU": 2, "LSTM": 3}
TOLERANCE = 0.02


def run(*command: str) -> str:
    """Run a command and return what it says; its own words end the program if it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def count(program: str, mode: int) -> int:
    """Return how many instructions a training step of one cell takes."""
    words = run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, str(mode))
    found = re.search(r"Collected : (\d+)", words)
    if found is None:
        sys.exit(f"valgrind gave no count:\n{words}")
    return int(found[1])


def main() -> int:
    """Build, count, compare."""
    parser = argparse.ArgumentParser(description="Count the kernels' instructions.")
    parser.add_argument("--build", default=str(ROOT / "build" / "instructions"), help="where to build")
    parser.add_argument("--write", action="store_true", help="keep these counts as the known ones")
    options = parser.parse_args()
    run("cmake", "-S", str(ROOT), "-B", options.build, f"-DPython_EXECUTABLE={sys.executable}")
    run("cmake", "--build", options.build, "--target", "count_instructions")
    compiler = run("c++", "--version").splitlines()[0]
    counts = {name: count(f"{options.build}/count_instructions", mode) for name, mode in MODES.items()}
    if options.write:
        KNOWN.write_text(
            json.dumps({"compiler": compiler, "counts": counts}, indent=2) + "\n", encoding="utf-8"
        )
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    failed = False
    for name, number in counts.items():
        change = number / known["counts"][name] - 1
        failed |= change > TOLERANCE
        print(f"{name:9} {number:>12,} instructions, {100 * change:+.2f} % against the known count")
    if known["compiler"] != compiler:
        print(f"not compared: the known counts are of {known['compiler']}, this is {compiler}")
        return 0
    if failed:
        print(f"more than {100 * TOLERANCE:.0f} % more than before; if that is meant, --write keeps them")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
