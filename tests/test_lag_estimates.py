"""Estimated norms of Jacobian products: their intervals hold the exact values as often as they say."""

import pytest
import torch
from torch import nn

from elman.xray import examine
from elman.xray.lag_estimates import chi_squared_quantile, estimate_norms
from elman.xray.lag_norms import Plan, choose_lags, exact_norms, make_plan
from elman.xray.layer_record import record
from elman.xray.linearised import linearise
from elman.xray.passes import join
from elman.xray.rerun import rerun

TRIALS, HELD = 100, 90


def linearised(layer, steps=6):
    rows = torch.randn(steps, 2, layer.input_size, dtype=torch.float64)
    calls = record(layer, rows, lambda net, x: net(x)[0].sum()).calls
    return linearise(rerun(join(calls)[0], torch.float64)[0][0][0])


def rank_one(size):
    """A linear network whose Jacobian has one singular value: the hardest case for random vectors."""
    layer = nn.RNN(2, size, nonlinearity="relu", dtype=torch.float64)
    for parameter in layer.parameters():
        parameter.data.uniform_(0.01, 0.1)
    layer.weight_hh_l0.data = torch.rand(size, 1).double() @ torch.rand(1, size).double() / size
    return layer


@pytest.mark.parametrize(
    "make",
    [lambda: rank_one(12), lambda: nn.GRU(2, 12).double(), lambda: nn.LSTM(2, 8, proj_size=4).double()],
    ids=["rank one", "gru", "projected lstm"],
)
def test_intervals_hold_the_exact_norm_in_ninety_of_a_hundred_trials(make):
    linear = linearised(make())
    lengths = torch.tensor([5, 6])
    plan = Plan(torch.tensor([0, 1]), torch.tensor([0, 1]), (0, 1, 3), None)
    exact = exact_norms(linear, lengths, plan)
    found = [
        estimate_norms(linear, lengths, plan, torch.Generator().manual_seed(trial)) for trial in range(TRIALS)
    ]
    for part, truth in exact.items():
        for name in ("spectral", "frobenius"):
            value = getattr(truth, name)
            low, high = (
                torch.stack([getattr(one[part], f"{name}_{end}") for one in found]) for end in ("low", "high")
            )
            assert torch.equal(low[0].isnan(), value.isnan())
            slack = 1e-9 * value  # bounds meet the value where nothing is left to chance
            held = ((low <= value + slack) & (value - slack <= high)).sum(0)
            assert int(held[~value.isnan()].min()) >= HELD, (part, name, held)
            width = ((high - low) / value)[:, :, 1:]
            assert width[~width.isnan()].mean() < 1.0


def test_power_iteration_finds_the_spectral_norm_from_below():
    linear = linearised(nn.GRU(2, 12).double())
    lengths = torch.tensor([6, 6])
    plan = Plan(torch.tensor([0]), torch.tensor([0]), (0, 1, 4), None)
    exact = exact_norms(linear, lengths, plan)["hidden"].spectral
    found = estimate_norms(linear, lengths, plan, torch.Generator().manual_seed(0))["hidden"].spectral
    assert bool((found <= exact * (1 + 1e-9)).all())
    torch.testing.assert_close(found, exact, rtol=0.01, atol=0)


def test_a_large_state_is_estimated_and_that_is_said():
    layer = nn.LSTM(3, 40, batch_first=True)
    found = examine(layer, torch.randn(2, 6, 3), lambda net, x: net(x)[0].sum(), exact_up_to=64)
    (flow,) = found.layers
    assert not flow.lag_norms["state"].is_exact
    assert any("estimates" in note for note in flow.notes)
    exact = examine(layer, torch.randn(2, 6, 3), lambda net, x: net(x)[0].sum(), exact_up_to=80)
    assert exact.layers[0].lag_norms["state"].is_exact


@pytest.mark.parametrize(
    ("degrees", "probability", "value"), [(1, 0.95, 3.8415), (16, 0.025, 6.9077), (2, 0.5, 1.3863)]
)
def test_quantiles_are_those_of_printed_tables(degrees, probability, value):
    assert chi_squared_quantile(probability, degrees) == pytest.approx(value, abs=1e-4)


def test_a_plan_keeps_the_longest_row_and_its_first_step():
    lengths = torch.tensor([3, 0, 40, 7])
    plan = make_plan(
        lengths, 1.0, places=5, fewest=1, most_lags=99, generator=torch.Generator().manual_seed(3)
    )
    assert (2, 0) in zip(plan.rows.tolist(), plan.steps.tolist(), strict=True)
    assert len(plan.rows) == 5 and plan.lags == tuple(range(40))
    assert "5 of 50 places" in plan.note
    assert bool((plan.steps < lengths[plan.rows]).all())


@pytest.mark.parametrize("furthest", [1, 2, 5, 33, 34, 1000, 99_999])
@pytest.mark.parametrize("most", [16, 64])
def test_lags_begin_one_by_one_and_reach_the_furthest(furthest, most):
    lags = choose_lags(furthest, most)
    assert len(lags) <= most and lags[-1] == furthest and list(lags) == sorted(set(lags))
    assert lags[: min(most // 2, furthest + 1)] == tuple(range(min(most // 2, furthest + 1)))
