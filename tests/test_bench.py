"""Timing layers: what is timed computes the same, what figures mean, and what a person or program reads."""

import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from elman import bench
from elman.bench import Case, cases, machine, table, timing
from elman.cli import commands, main

SOURCES = Path(__file__).parent.parent / "src"
FULL = Case("gru", 3, 5, 4, 6)
UNEQUAL = Case("lstm", 3, 5, 4, 6, num_layers=2, bidirectional=True, lengths=(2, 5, 1))
FAST = ["--shape", "2,3,4,5", "--seconds", "0", "--threads", "1"]


def result(ours: float, theirs: float, *, mode: str = "train", case: Case = FULL) -> bench.Result:
    return bench.Result(case, mode, 1, {"elman": ours, "torch": theirs}, 5, 1e9)


@pytest.mark.parametrize("cell", bench.CELLS)
@pytest.mark.parametrize("mode", timing.MODES)
def test_both_layers_compute_the_same(cell, mode):
    runs = timing.runs_of(FULL._replace(cell=cell), mode)
    torch.testing.assert_close(runs["elman"](), runs["torch"]())


@pytest.mark.parametrize("mode", timing.MODES)
def test_rows_of_unequal_length_compute_the_same_as_packed_ones(mode):
    runs = timing.runs_of(UNEQUAL, mode)
    torch.testing.assert_close(runs["elman"](), runs["packed"]())
    assert runs["padded"]().shape == (5, 3, 12)


def test_training_makes_the_gradients_of_weights_and_input_and_inference_none(monkeypatch):
    made = []
    backward = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda *given: (made.append(1), backward(*given)))
    for mode, count in (("inference", 0), ("train", 2)):
        made.clear()
        for run in timing.runs_of(FULL, mode).values():
            run()
        assert len(made) == count


def test_the_operations_of_a_layer_are_those_of_its_products():
    # Per step and unit: one multiplication and one addition for each input and each hidden feature.
    assert Case("rnn", 2, 3, 4, 5).flops("inference") == 2 * 3 * 5 * (4 + 5) * 2
    assert Case("gru", 2, 3, 4, 5).flops("train") == 3 * 3 * Case("rnn", 2, 3, 4, 5).flops("inference")


def test_the_operations_of_a_stack_count_real_steps_layers_and_directions():
    first, second = 4 * 6 * (4 + 6) * 2, 4 * 6 * (12 + 6) * 2
    assert UNEQUAL.flops("inference") == 2 * (2 + 5 + 1) * (first + second)


def test_every_cell_has_every_shape_and_rows_of_unequal_length():
    everything = bench.all_cases()
    for cell in bench.CELLS:
        own = [case for case in everything if case.cell == cell]
        assert [case[1:5] for case in own[: len(cases.SHAPES)]] == list(cases.SHAPES)
        assert [bool(case.lengths) for case in own[len(cases.SHAPES) :]] == [True, True]
    assert {case.cell for case in bench.all_cases(["gru"], quick=True)} == {"gru"}
    for case in everything:
        assert not case.lengths or (len(case.lengths) == case.batch and max(case.lengths) == case.steps)


def test_skewed_lengths_are_mostly_short():
    lengths = cases.skewed_lengths(1000, 40, 200)
    assert max(lengths) == 200 and min(lengths) >= 1
    assert 35 < sum(lengths) / len(lengths) < 45


def test_calls_take_turns_and_each_next_round_in_the_opposite_order():
    called: list[str] = []
    runs = {name: lambda name=name: (called.append(name), timing.time.sleep(0.003)) for name in "ab"}
    samples = timing.take_turns(runs, 0.0, fewest=3)
    assert "".join(called) == "aabb" + "ab" + "ba" + "ab"  # twice each to warm up
    assert all(len(times) == 3 and min(times) >= 0.003 for times in samples.values())


def test_torch_has_its_threads_back_afterwards():
    before = torch.get_num_threads()
    timing.measure(FULL, "inference", before + 1, seconds=0.0, fewest=1)
    assert torch.get_num_threads() == before


def test_a_ratio_above_one_says_that_elman_is_faster():
    assert result(0.5, 1.0).ratio("torch") == 2.0
    assert result(0.5, 1.0).speed == FULL.flops("train") / 0.5
    assert result(0.5, 1.0).share == FULL.flops("train") / 0.5 / 1e9


def test_means_are_geometric_and_leave_out_torch_over_the_padding():
    unequal = bench.Result(UNEQUAL, "train", 1, {"elman": 1.0, "packed": 3.0, "padded": 9.0}, 5, None)
    means = bench.Report([result(1.0, 2.0), result(1.0, 8.0), unequal], {1: None}, None).means()
    assert [(mean["against"], round(mean["ratio"], 9), mean["cases"]) for mean in means] == [
        ("torch", 4.0, 2),
        ("packed", 3.0, 1),
    ]


def shown(report: bench.Report, **options) -> str:
    console = Console(file=io.StringIO(), **options)
    table.show(report, console)
    return console.file.getvalue()


def test_the_table_has_the_ratio_first_and_says_how_to_read_it():
    text = shown(bench.Report([result(0.5, 1.0), result(0.2, 0.3, mode="inference")], {1: 1e9}, 0.0))
    line = next(line for line in text.splitlines() if "3x5x4x6" in line)
    assert line.split()[:5] == ["2.00x", "1.50x", "gru", "3x5x4x6", "torch"]
    assert "500/1000" in line
    assert "how many times faster" in text and "others used" not in text and "\x1b" not in text


def test_the_table_does_without_a_peak_and_tells_of_a_busy_processor():
    text = shown(bench.Report([result(0.5, 1.0)._replace(peak=None)], {1: None}, 0.4))
    assert "peak -" in text and "others used 40 % of the processor" in text


def test_a_terminal_gets_colours_and_nothing_wider_than_it_is(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = shown(bench.Report([result(0.5, 1.0)], {1: 1e9}, 0.0), force_terminal=True, width=80)
    assert "\x1b[32m" in text
    assert max(len(line) for line in re.sub(r"\x1b\[\d+m", "", text).splitlines()[:5]) <= 80
    plain = shown(
        bench.Report([result(0.5, 1.0)], {1: 1e9}, 0.0), force_terminal=True, width=80, no_color=True
    )
    assert "\x1b[32m" not in plain


def test_the_share_of_others_is_one_of_all_cores():
    share = machine.Watch().others()
    assert share is None or 0 <= share <= 1


def test_the_peak_of_two_threads_is_none_or_a_rate():
    peak = machine.peak(1)
    assert peak is None or 1e8 < peak < 1e13


def test_the_command_prints_a_table_and_tells_on_the_way(capsys):
    assert main(["bench", "--cells", "gru,lstm", *FAST]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in err.splitlines()] == ["gru", "lstm"]
    assert out.count("2x3x4x5") == 2 and "geometric means" in out


def test_with_json_there_is_one_object_of_finite_numbers(capsys):
    assert main(["bench", "--json", *FAST]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {row["cell"] for row in report["results"]} == set(bench.CELLS)
    assert {mean["mode"] for mean in report["geometric_means"]} == set(timing.MODES)
    assert all(math.isfinite(row["ratio"]["torch"]) and row["rounds"] >= 1 for row in report["results"])
    assert report["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cells", "gruu"], "did you mean 'gru'"),
        (["--shape", "1,2,3"], "B,T,I,H"),
        (["--threads", "two"], "whole numbers"),
        (["--threads", "0"], "above zero"),
        (["--seconds", "-1"], "zero or more"),
        (["--quik"], "--quick"),
    ],
)
def test_a_mistake_is_one_line(words, message, capsys):
    assert main(["bench", *words]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.splitlines()) == 1


def test_numbers_are_read_with_commas():
    assert commands.whole_numbers("--threads", "1, 4") == [1, 4]


@pytest.mark.slow
def test_the_benchmark_of_the_kernels_writes_its_page(tmp_path):
    script = SOURCES.parent / "benchmarks" / "kernels.py"
    options = ["--quick", "--cells", "rnn", "--threads", "1", "--seconds", "0", "--parts", "layers,steps"]
    command = [sys.executable, str(script), *options, "--results", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "kernels.jsonl").read_text(encoding="utf-8"))
    assert len(record["results"]) == 8 and len(record["steps"]) == 2
    page = (tmp_path / "kernels.md").read_text(encoding="utf-8")
    assert "| rnn | 32 x 128 x 128 x 128 | training | 1 |" in page and "## One step of a stream" in page
    assert (tmp_path / "kernels.svg").read_text(encoding="utf-8").endswith("</svg>\n")


def test_the_commands_help_loads_no_torch():
    code = "import sys\nfrom elman.cli import main\nmain(['bench', '--help'])\nprint('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.endswith("False\n"), done.stderr
