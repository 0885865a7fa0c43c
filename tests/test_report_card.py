"""REPORT CARD: problems ask what they say, chance is what a blind answer reaches, marks are what they say."""

import math

import pytest
import torch

from elman.errors import ConfigError
from elman.nn.encoder import LAYERS
from elman.xray import problems
from elman.xray.problems import DEEPEST, DELAY, NOT_ASKED, PROBLEMS, dyck_chance
from elman.xray.report_card import SOLVED, T_QUANTILES, Sitter, interval, report_card, sit

ROWS = 4000
"""Rows of a simulation: an accuracy over them and their steps is known to a hundredth."""

DRAWN = [name for name in PROBLEMS if name != "permuted digits"]


def draw(name, rows=ROWS, seed=0):
    return PROBLEMS[name].draw(rows, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", DRAWN)
def test_chance_is_what_the_best_blind_answer_reaches(name):
    """Of the answers that may depend on the step alone: found on one half of the rows, tried on the other."""
    problem = PROBLEMS[name]
    _, target = draw(name)
    if not problem.outputs:
        blind = ((target - 1.0) ** 2).mean()  # the mean of two numbers from U(0, 1) is 1
        assert float(blind) == pytest.approx(problem.chance, rel=0.06)
        return
    found, tried = target[: ROWS // 2], target[ROWS // 2 :]
    right = asked = 0
    for step in range(problem.steps):
        if found[0, step] == NOT_ASKED:
            continue
        answer = found[:, step].mode().values
        right += int((tried[:, step] == answer).sum())
        asked += len(tried)
    assert right / asked == pytest.approx(problem.chance, abs=0.01)


def test_the_chance_of_dyck_is_that_of_powers_of_its_chain():
    chain = torch.zeros(DEEPEST + 1, DEEPEST + 1, dtype=torch.float64)
    chain[0, 1] = chain[DEEPEST, DEEPEST - 1] = 1.0
    for depth in range(1, DEEPEST):
        chain[depth, depth - 1] = chain[depth, depth + 1] = 0.5
    tops = [float(torch.linalg.matrix_power(chain, step)[0].max()) for step in range(1, 51)]
    assert dyck_chance(50) == pytest.approx(sum(tops) / 50, abs=1e-12)


def test_dyck_stays_within_its_depth_and_reaches_both_ends():
    brackets, depth = draw("dyck")
    assert torch.equal((brackets[..., 0] - brackets[..., 1]).cumsum(1).long(), depth)
    assert (brackets.sum(2) == 1).all()
    assert int(depth.min()) == 0 and int(depth.max()) == DEEPEST


def test_delayed_recall_asks_for_what_was_shown():
    symbols, target = draw("delayed recall", 50)
    shown = symbols.argmax(2)
    for step in range(PROBLEMS["delayed recall"].steps):
        asked = torch.full((50,), NOT_ASKED) if step < DELAY else shown[:, step - DELAY]
        assert torch.equal(target[:, step], asked)


def test_parity_flips_at_every_one():
    bits, target = draw("parity", 50)
    state = torch.zeros(50, dtype=torch.int64)
    for step in range(PROBLEMS["parity"].steps):
        state ^= bits[:, step, 0].long()
        assert torch.equal(target[:, step], state)


def test_adding_marks_one_number_in_each_half():
    numbers, target = draw("adding", 200)
    marks, half = numbers[..., 1], PROBLEMS["adding"].steps // 2
    assert (marks[:, :half].sum(1) == 1).all() and (marks[:, half:].sum(1) == 1).all()
    assert torch.allclose((numbers[..., 0] * marks).sum(1), target)


def test_copy_asks_for_the_ten_symbols_at_the_end_alone():
    symbols, target = draw("copy", 50)
    assert (target[:, :-10] == NOT_ASKED).all()
    assert torch.equal(symbols.argmax(2)[:, :10], target[:, -10:])


def test_permuted_digits_are_digits_of_which_none_is_in_both_parts():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra: sklearn)")
    from sklearn.datasets import load_digits

    train, digits, test, truth = problems.load_digits()
    assert (len(train), len(test)) == (1797 - 360, 360)
    everything = torch.cat([train, test]).squeeze(2).sort(1).values
    pictures = torch.as_tensor(load_digits().data, dtype=torch.float32).div(16).sort(1).values
    assert torch.equal(everything.sum(1).sort().values, pictures.sum(1).sort().values)
    assert not {tuple(row) for row in train.squeeze(2).tolist()} & {
        tuple(row) for row in test.squeeze(2).tolist()
    }
    counts = torch.bincount(torch.cat([digits, truth]))
    assert counts.tolist() == torch.bincount(torch.as_tensor(load_digits().target)).tolist()
    _, asked = PROBLEMS["permuted digits"].draw(5, torch.Generator().manual_seed(0))
    assert (asked[:, :-1] == NOT_ASKED).all() and (asked[:, -1] >= 0).all()


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_seed_draws_the_same_and_the_test_other_data(name):
    assert all(torch.equal(one, two) for one, two in zip(draw(name, 9), draw(name, 9), strict=True))
    assert not torch.equal(draw(name, 500)[0], PROBLEMS[name].test_data()[0])


def test_a_score_is_zero_at_chance_and_one_without_error():
    for problem in PROBLEMS.values():
        assert problem.score(problem.chance) == 0
        assert problem.score(1.0 if problem.outputs else 0.0) == 1
    assert PROBLEMS["parity"].score(0.25) == -0.5, "worse than chance is not hidden"


def test_the_measure_is_right_where_the_answer_is_known():
    network = Sitter(PROBLEMS["copy"], "gru")
    inputs, target = draw("copy", 20)
    network.forward = lambda given: torch.nn.functional.one_hot(target.clamp(min=0), 8).float()
    assert network.measure(inputs, target) == 1.0
    network.forward = lambda given: torch.nn.functional.one_hot((target.clamp(min=0) + 1) % 8, 8).float()
    assert network.measure(inputs, target) == 0.0


@pytest.mark.parametrize("cell", LAYERS)
def test_every_cell_sits_every_problem_and_leaves_chance_as_it_was(cell):
    before = torch.get_rng_state()
    for name in DRAWN:
        mark = sit(cell, name, 3, updates=2)
        assert (mark.updates, mark.ended, len(mark.curve)) == (2, "updates", 2)
        assert mark.score == PROBLEMS[name].score(mark.measured) and mark.parameters > 0
    assert torch.equal(before, torch.get_rng_state())


def test_the_same_seed_gives_the_same_mark():
    one, two, other = (sit("gru", "parity", seed, updates=5) for seed in (1, 1, 2))
    assert (one.measured, one.curve) == (two.measured, two.curve)
    assert one.measured != other.measured or one.curve != other.curve


def test_a_gru_learns_parity_and_stops_there():
    mark = sit("gru", "parity", 0, seconds=60)
    assert mark.ended == "solved" and mark.score >= SOLVED
    assert mark.updates < PROBLEMS["parity"].updates


def test_time_ends_a_training():
    assert sit("gru", "parity", 0, seconds=1e-9).ended == "time"


def test_unknown_names_and_nothing_to_do_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'gru'"):
        report_card("grv")
    with pytest.raises(ConfigError, match="did you mean 'parity'"):
        report_card("gru", problems=["party"])
    with pytest.raises(ConfigError, match="a problem and a seed"):
        report_card("gru", seeds=[])
    with pytest.raises(ConfigError, match="0 seconds"):
        sit("gru", "parity", 0, seconds=0)


def test_a_card_prints_a_line_a_problem():
    card = report_card("rnn", problems=["parity", "dyck"], seeds=[0, 1], updates=1)
    assert len(str(card).splitlines()) == 3
    assert len(card.scores("dyck")) == 2


def test_intervals_are_those_of_student():
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed (extra: sklearn)")
    for free, quantile in enumerate(T_QUANTILES, 1):
        assert quantile == pytest.approx(stats.t.ppf(0.975, free), abs=6e-4)
    values = [0.2, 0.5, 0.9, 0.7]
    low, high = stats.t.interval(0.95, 3, loc=0.575, scale=stats.sem(values))
    middle, half = interval(values)
    assert (middle - half, middle + half) == pytest.approx((low, high), abs=1e-4)
    assert interval([0.5]) == (0.5, math.inf)
