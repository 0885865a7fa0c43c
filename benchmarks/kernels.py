"""KERNELS: the layers beside torch.nn and others, in time and memory; the figures of docs/kernels.md.

    python benchmarks/kernels.py [--peers] [--quick] [--threads 1,2] [--cells gru] [--parts layers,steps]
    python benchmarks/kernels.py --page          only write the page and the drawing anew

Four parts. layers: the cases of `elman bench`, ours and torch's in turns; with --peers also ONNX Runtime,
OpenVINO and JAX, those that are installed, each in a process of its own and timed after them, with a pause
before and after. steps: one step at a time of a stream, one row. memory: the peak of a training step.
lengths: the cost of a training step while the rows become shorter. Results are appended to
results/kernels.jsonl, a line for each run; results/kernels.md and results/kernels.svg are made from the last.
"""

import argparse
import json
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import torch
from kernels_page import write_page
from peers import PEERS, Peer

from elman.bench import CELLS, Case, all_cases, table
from elman.bench.cases import even_lengths
from elman.bench.machine import Watch, cores, machine, peak
from elman.bench.timing import MODES, OURS, THEIRS, Report, measure, runs_of, take_turns, with_threads
from elman.progress import SteadyConsole, say

RESULTS = Path(__file__).parent / "results"
STEP_SIZES = (64, 256)
MEMORY_CASES = {
    "full": Case("lstm", 32, 128, 256, 256),
    "lengths 5..64": Case("lstm", 32, 64, 200, 200, 2, True, even_lengths(32, 5, 64)),
}
TORCH_CELLS = {"rnn": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}
PRODUCTS = ((1024, 512, 512), (32, 256, 768))
"""A large product, and that of one step of a GRU with 32 rows and 256 units."""

FILLS = (0.25, 0.5, 0.75, 0.95)
"""How long the shorter rows are; not 1: packed sequences of one length run on other kernels of torch."""


def start_peers(threads: int) -> list[Peer]:
    """Start every peer that is installed, and say which are not."""
    found = []
    for name in PEERS:
        peer = Peer(name, threads)
        if peer.version is None:
            say(f"{name} is not installed")
            peer.close()
        else:
            found.append(peer)
    return found


def time_layers(options: argparse.Namespace) -> tuple[Report, dict[str, str]]:
    """Time all cases on all threads; give what was measured, and the versions of the peers."""
    watch, peaks, results = Watch(), {}, []
    versions: dict[str, str] = {}
    cases = all_cases(options.cells, quick=options.quick)
    for threads in options.threads:
        peaks[threads] = peak(threads)
        peers = start_peers(threads) if options.peers else []
        versions |= {peer.name: peer.version or "" for peer in peers}
        for case in cases:
            for mode in MODES:
                result = measure(case, mode, threads, seconds=options.seconds, fewest=3, peak=peaks[threads])
                for peer in [] if case.lengths else peers:
                    found = peer.ask(case, mode, options.seconds)
                    if found is not None:
                        result.seconds[peer.name] = found
                results.append(result)
                ratios = ", ".join(f"{result.ratio(rival):.2f}x {rival}" for rival in result.rivals)
                say(f"{case.cell:<4}  {case.title}  {mode}  threads {threads}: {ratios}")
        for peer in peers:
            peer.close()
    return Report(results, peaks, watch.others()), versions


def product_gflops(threads: int, rows: int, inner: int, columns: int) -> float:
    """Measure torch.mm of [rows, inner] x [inner, columns]."""
    x, weights = torch.randn(rows, inner), torch.randn(inner, columns)
    with with_threads(threads):
        samples = take_turns({"mm": lambda: torch.mm(x, weights)}, 0.5)["mm"]
    return 2 * rows * inner * columns / statistics.median(samples) / 1e9


def step_runs(cell: str, size: int) -> dict[str, Any]:
    """Give the ways to take one step of a stream, name -> a call; each keeps its own state."""
    torch.manual_seed(0)
    ours, theirs, alone = OURS[cell](size, size), THEIRS[cell](size, size), TORCH_CELLS[cell](size, size)
    x = torch.randn(1, size)

    def layer_step(layer: Any) -> Any:
        state = None

        def run() -> None:
            nonlocal state
            _, state = layer(x.unsqueeze(0), state)

        return run

    def cell_step() -> Any:
        state = None

        def run() -> None:
            nonlocal state
            state = alone(x, state)

        return run

    runs = {"elman layer": layer_step(ours), "torch layer": layer_step(theirs), "torch cell": cell_step()}
    if hasattr(ours, "stepper"):
        stepper = ours.stepper()
        runs = {"elman": lambda: stepper(x), **runs}
    return runs


def time_steps(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time one step of one row, on one thread, and ONNX Runtime's if it is there."""
    torch.set_num_threads(1)
    peers = [peer for peer in start_peers(1) if peer.name == "onnxruntime"] if options.peers else []
    rows = []
    for cell in options.cells:
        for size in STEP_SIZES:
            with torch.no_grad():
                samples = take_turns(step_runs(cell, size), options.seconds)
            times = {name: 1e6 * statistics.median(values) for name, values in samples.items()}
            for peer in peers:
                found = peer.ask(Case(cell, 1, 1, size, size), "step", options.seconds)
                if found is not None:
                    times[peer.name] = 1e6 * found
            rows.append({"cell": cell, "size": size, "microseconds": times})
            say(f"step {cell} {size}: " + ", ".join(f"{name} {time:.1f} us" for name, time in times.items()))
    for peer in peers:
        peer.close()
    return rows


def peak_of_process() -> float:
    """Give the most memory that this process has held so far, in MiB."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM line")


def memory_of(case: Case, who: str) -> float:
    """Give by how many MiB some training steps raise the peak of this process, which has done a tiny one."""
    torch.set_num_threads(1)
    small = case._replace(batch=2, steps=2, lengths=(2, 1) if case.lengths else ())
    runs_of(small, "train")[who]()
    run = runs_of(case, "train")[who]
    before = peak_of_process()
    for _ in range(3):
        run()
    return peak_of_process() - before


def measure_memory() -> list[dict[str, Any]]:
    """Measure the peak of a training step, each in a process of its own."""
    rows = []
    for name, case in MEMORY_CASES.items():
        for cell in CELLS:
            sides = ["elman", "packed", "padded"] if case.lengths else ["elman", "torch"]
            mebibytes = {}
            for who in sides:
                question = json.dumps([case._replace(cell=cell), who])
                command = [sys.executable, __file__, "--memory-of", question]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                mebibytes[who] = float(done.stdout)
            rows.append({"what": name, "cell": cell, "shape": case.title, "mebibytes": mebibytes})
            say(f"memory {cell} {name}: " + ", ".join(f"{k} {v:.1f} MiB" for k, v in mebibytes.items()))
    return rows


def time_lengths(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time a training step of 32 rows of up to 200 steps, of which the real ones become fewer."""
    rows = []
    for cell in options.cells:
        for fill in FILLS:
            lengths = tuple(200 if row == 0 else round(200 * fill) for row in range(32))
            case = Case(cell, 32, 200, 128, 128, lengths=lengths)
            result = measure(case, "train", 1, seconds=options.seconds, fewest=3)
            milliseconds = {name: 1000 * seconds for name, seconds in result.seconds.items()}
            rows.append({"cell": cell, "steps": sum(lengths), "milliseconds": milliseconds})
            shown = ", ".join(f"{name} {time:.1f} ms" for name, time in milliseconds.items())
            say(f"lengths {cell} {sum(lengths)} steps: {shown}")
    return rows


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Time the layers beside torch.nn and others.")
    parser.add_argument("--peers", action="store_true", help=f"also {', '.join(PEERS)}, if installed")
    parser.add_argument("--quick", action="store_true", help="a few small shapes only")
    parser.add_argument("--cells", default=",".join(CELLS), help="which cells (default: all)")
    parser.add_argument("--threads", help="1,2: one after the other (default: 1 and 2)")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure (default: 1)")
    parser.add_argument("--parts", default="layers,steps,memory,lengths", help="which (default: all)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--page", action="store_true", help="only write the page and the drawing")
    parser.add_argument("--memory-of", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cells = options.cells.split(",")
    options.parts = options.parts.split(",")
    if unknown := {*options.cells} - {*CELLS} | {*options.parts} - {"layers", "steps", "memory", "lengths"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    counts = options.threads.split(",") if options.threads else sorted({1, min(2, cores())})
    options.threads = [int(count) for count in counts]
    return options


def main() -> None:
    """Measure the parts that are asked for, record them and write the page."""
    options = read_options()
    if options.memory_of:
        case, who = options.memory_of
        print(memory_of(Case(*case), who))
        return
    if not options.page:
        watch = Watch()
        record: dict[str, Any] = {"date": date.today().isoformat(), "quick": options.quick, **machine()}
        if "layers" in options.parts:
            report, versions = time_layers(options)
            record |= report.to_json() | {"peers": versions}
            record["torch_mm_gflops"] = {
                str(count): [product_gflops(count, *sizes) for sizes in PRODUCTS] for count in options.threads
            }
            table.show(report, SteadyConsole(highlight=False))
        if "steps" in options.parts:
            record["steps"] = time_steps(options)
        if "memory" in options.parts:
            record["memory"] = measure_memory()
        if "lengths" in options.parts:
            record["lengths"] = time_lengths(options)
        record["used_by_others"] = watch.others()
        options.results.mkdir(parents=True, exist_ok=True)
        with open(options.results / "kernels.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    write_page(options.results)


if __name__ == "__main__":
    main()
