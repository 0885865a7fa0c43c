"""The errata say what the script prints, and what it prints is what they claim."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("errata", ROOT / "examples" / "errata.py")
errata = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(errata)


def numbers(line):
    """Return the numbers after the last colon or word of a line."""
    return [float(found) for found in re.findall(r"-?\d+\.\d+", line)]


def test_the_page_shows_what_the_script_prints():
    page = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)\n```", page, re.DOTALL)
    assert blocks == ["\n".join(line.rstrip() for line in show()) for show in errata.ERRATA.values()]


def test_dense_adam_moves_a_row_after_its_last_use_and_sparse_does_not():
    _, dense, sparse = errata.adam()
    (used, in_use, never), (sparse_used, sparse_in_use, sparse_never) = numbers(dense), numbers(sparse)
    assert used > 0.01 and sparse_used == 0
    assert in_use == sparse_in_use > 0.03
    assert never == sparse_never == 0


def test_every_wrong_derivative_by_the_input_weight_is_off_by_a_tenth_or_more():
    right, *wrong = [numbers(line)[-1] for line in errata.input_weight()]
    assert len(wrong) == 3
    assert all(abs(value - right) > 0.1 * abs(right) for value in wrong)


def test_a_gradient_grows_past_eigenvalues_below_one_and_then_shrinks():
    (radius, singular), sizes, changed = (numbers(line) for line in errata.eigenvalues())
    assert radius == 0.5 and singular > 3
    assert sizes[1] > 3 > 1 > sizes[-1]
    assert all(size <= singular**k * 1.0001 for k, size in zip((0, 1, 2, 4, 8, 12), sizes, strict=True))
    assert changed == [0]


def test_an_unrolled_layer_has_the_weights_of_one():
    one, same, stacked = (int(re.search(r"(\d+) weights", line)[1]) for line in errata.unrolling())
    assert one == same == 8 * 8 * 2 + 8 * 2
    assert stacked == 10 * one
    assert "True" in errata.unrolling()[1]


def test_a_decoder_without_a_state_of_its_own_repeats_itself():
    stays, goes_on = (numbers(line)[-1] for line in errata.decoder())
    assert stays == 0 and goes_on > 0.1


def test_only_concatenating_grows_with_the_length():
    short, long, refused = errata.concatenating()
    assert "1282" in short and "12802" in long
    assert short.endswith("130 weights") and long.endswith("130 weights")
    assert refused.endswith("refused")


def test_two_biases_are_one_but_in_the_gru():
    *apart, moved = errata.bias()
    assert [numbers(line)[-1] > 0 for line in apart] == [False, False, True]
    _, _, one, two = numbers(moved)
    assert two == pytest.approx(2 * one, abs=2e-4)
