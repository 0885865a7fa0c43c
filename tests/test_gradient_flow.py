"""Gradients through time, held to autograd through a plain loop, and Jacobians held to autograd's own."""

import pytest
import torch
import xray_loops
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import elman.nn
from elman.cells import MODES
from elman.xray import examine
from elman.xray.lag_norms import Plan, exact_norms
from elman.xray.layer_record import record
from elman.xray.linearised import linearise
from elman.xray.passes import join
from elman.xray.rerun import rerun

KINDS = {
    "tanh": lambda *sizes, **options: nn.RNN(*sizes, **options),
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "gru": lambda *sizes, **options: nn.GRU(*sizes, **options),
    "lstm": lambda *sizes, **options: nn.LSTM(*sizes, **options),
    "projected": lambda *sizes, **options: nn.LSTM(*sizes, proj_size=2, **options),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
PARTS = {"hidden": 0, "cell": 1}


def make(kind, *, layers=1, both=False, batch_first=True, dtype=torch.float64):
    options = {"num_layers": layers, "bidirectional": both, "batch_first": batch_first, "dtype": dtype}
    return KINDS[kind](3, 4, **options)


def loop_kind(kind):
    return "lstm" if kind == "projected" else kind


def packed(layer, batch):
    """The tutorials' way: pack, run, pad."""
    rows, lengths, weights = batch
    sequence = nn.utils.rnn.pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
    output, state = layer(sequence)
    output = nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=rows.size(1))[0]
    return loss_of(output, state, weights)


def loss_of(output, state, weights):
    """A loss that looks at outputs and at the final state, with weights that differ everywhere."""
    state = state if isinstance(state, tuple) else (state,)
    ends = sum((part.sin().sum(1) * torch.arange(1, 1 + len(part)).unsqueeze(1)).sum() for part in state)
    return (output.sin() * weights[..., : output.size(-1)]).sum() + ends


def loop_gradients(layer, kind, rows, lengths, weights):
    """dL/ds_t of every row by (layer, direction): lists over steps of tuples of gradients."""
    found = []
    for row, length, weight in zip(rows, lengths.tolist(), weights, strict=True):
        states = {}
        output = xray_loops.run(layer, kind, row[:length], states)
        finals = [places[0 if direction else -1] for (_, direction), places in states.items()]
        state = tuple(
            torch.stack([final[part] for final in finals]).unsqueeze(1) for part in range(len(finals[0]))
        )
        loss_of(output, state, weight[:length]).backward()
        found.append(states)
    return found


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@every_kind
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    layers=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_total_gradients_are_autograds_through_a_plain_loop(kind, both, lengths, layers, seed):
    torch.manual_seed(seed)
    layer = make(kind, layers=layers, both=both)
    rows = torch.randn(len(lengths), max(lengths), 3, dtype=torch.float64)
    weights = torch.randn(*rows.shape[:2], 16, dtype=torch.float64)
    lengths = torch.tensor(lengths)
    found = examine(layer, (rows, lengths, weights), packed, places=1)
    expected = loop_gradients(layer, loop_kind(kind), rows, lengths, weights)
    assert len(found.layers) == layers * (1 + both)
    for flow in found.layers:
        for row, states in enumerate(expected):
            steps = states[flow.layer, flow.direction]
            for name, norms in flow.gradient_norms.items():
                want = torch.stack([state[PARTS[name]].grad.norm() for state in steps])
                torch.testing.assert_close(norms[row, : len(steps)], want, atol=1e-10, rtol=1e-10)
                assert not norms[row, len(steps) :].any()


def linear_layer(size=5):
    """A ReLU network on positive numbers, where it is linear: W^k is its Jacobian at every lag."""
    layer = nn.RNN(2, size, nonlinearity="relu", batch_first=True, dtype=torch.float64)
    for parameter in layer.parameters():
        parameter.data.uniform_(0.01, 0.4)
    return layer


@pytest.mark.parametrize("size", [1, 3, 8])
def test_norms_of_a_linear_network_are_those_of_the_powers_of_its_matrix(size):
    layer = linear_layer(size)
    found = examine(layer, torch.rand(2, 30, 2, dtype=torch.float64), lambda net, x: net(x)[0].sum())
    norms = found.layers[0].lag_norms["hidden"]
    assert norms.is_exact and norms.lags.tolist() == list(range(30))
    power = torch.eye(size, dtype=torch.float64)
    for lag in range(30):
        for values, order in [(norms.spectral, 2), (norms.frobenius, "fro")]:
            there = values[:, lag][~values[:, lag].isnan()]
            want = torch.linalg.matrix_norm(power, ord=order).expand_as(there)
            torch.testing.assert_close(there, want, atol=0, rtol=1e-10)
        assert (~norms.spectral[:, lag].isnan()).sum() == min(64, 60) - 2 * lag
        power = layer.weight_hh_l0.detach() @ power


def scans_of(layer, rows):
    return rerun(join(record(layer, rows, lambda net, x: net(x)[0].sum()).calls)[0], torch.float64)[0]


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@every_kind
@given(seed=st.integers(0, 9), lag=st.integers(1, 4))
def test_products_of_jacobians_are_autograds_jacobian_of_the_steps(kind, both, seed, lag):
    torch.manual_seed(seed)
    layer = make(kind, layers=2, both=both)
    for directions in scans_of(layer, torch.randn(2, 5, 3, dtype=torch.float64)):
        for scan in directions:
            weights = scan.weights
            sizes = [part.size(-1) for part in scan.after]
            row, start = 1, 4 - lag

            def through(vector, scan=scan, weights=weights, sizes=sizes, row=row, start=start):
                state = tuple(part.unsqueeze(0) for part in vector.split(sizes))
                for t in range(start + 1, start + 1 + lag):
                    state = MODES[scan.cell.mode].step(scan.input[t, row : row + 1], state, weights)
                return torch.cat(state, -1)[0]

            here = torch.cat([part[start, row] for part in scan.after])
            want = torch.autograd.functional.jacobian(through, here)
            plan = Plan(torch.tensor([start]), torch.tensor([row]), (0, lag), None)
            found = exact_norms(linearise(scan), torch.tensor([5, 5]), plan)
            blocks = {"state": slice(None), "hidden": slice(0, sizes[0]), "cell": slice(sizes[0], None)}
            for name, norms in found.items():
                block = want[blocks[name], blocks[name]]
                for value, order in [(norms.spectral, 2), (norms.frobenius, "fro")]:
                    expected = torch.linalg.matrix_norm(block, ord=order)
                    torch.testing.assert_close(value[0, 1], expected, atol=1e-8, rtol=1e-8)


@every_kind
def test_push_pull_and_jacobian_are_one_matrix(kind):
    (scan,) = scans_of(make(kind), torch.randn(2, 3, 3, dtype=torch.float64))[0]
    linear = linearise(scan)
    index = torch.tensor([2, 1]), torch.tensor([0, 1])
    matrices = linear.jacobian(index)
    vectors = torch.randn(2, 3, linear.state_size, dtype=torch.float64)
    pushed = torch.cat(linear.push(index, vectors.split(linear.sizes, -1)), -1)
    pulled = torch.cat(linear.pull(index, vectors.split(linear.sizes, -1)), -1)
    torch.testing.assert_close(pushed, vectors @ matrices.mT, atol=1e-12, rtol=0)
    torch.testing.assert_close(pulled, vectors @ matrices, atol=1e-12, rtol=0)


def same_flow(padded, alone, row):
    """Hold the X-ray of a padded row to that of the row alone."""
    close = {"atol": 1e-10, "rtol": 1e-10}
    for flow, own in zip(padded.layers, alone.layers, strict=True):
        length = int(own.lengths[0])
        for name, norms in flow.gradient_norms.items():
            torch.testing.assert_close(norms[row, :length], own.gradient_norms[name][0, :length], **close)
        for gate, its in zip(flow.gates, own.gates, strict=True):
            torch.testing.assert_close(
                gate.gradient_norm[row, :length], its.gradient_norm[0, :length], **close
            )
        for name, norms in flow.lag_norms.items():
            mine = own.lag_norms[name]
            order, its_order = (norms.rows == row).nonzero()[:, 0], torch.arange(len(mine.rows))
            assert norms.steps[order].tolist() == mine.steps[its_order].tolist()
            kept = norms.frobenius[order][:, : mine.frobenius.size(1)]
            torch.testing.assert_close(kept, mine.frobenius, equal_nan=True, **close)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=3).filter(any), seed=st.integers(0, 9))
def test_the_x_ray_of_a_padded_row_is_that_of_the_row_alone(kind, lengths, seed):
    torch.manual_seed(seed)
    makers = {"rnn": elman.nn.RNN, "gru": elman.nn.GRU, "lstm": elman.nn.LSTM}
    layer = makers[kind](3, 4, 2, bidirectional=True, batch_first=True, initial_state="learned").double()
    rows = torch.randn(len(lengths), max(lengths) + 2, 3, dtype=torch.float64)

    def loss(net, batch):
        output, state = net(batch[0], lengths=batch[1])
        return loss_of(output, state, torch.arange(1, 9, dtype=torch.float64))

    padded = examine(layer, (rows, torch.tensor(lengths)), loss)
    for row, length in enumerate(lengths):
        if length:
            alone = examine(layer, (rows[row : row + 1, :length], torch.tensor([length])), loss)
            same_flow(padded, alone, row)


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_row_that_is_cut_is_two_rows(kind, both):
    layer = {"gru": elman.nn.GRU, "lstm": elman.nn.LSTM}[kind](3, 4, 2, bidirectional=both, batch_first=True)
    layer = layer.double()
    row = torch.randn(1, 7, 3, dtype=torch.float64)
    cut = torch.zeros(1, 7, dtype=torch.bool)
    cut[0, 3] = True
    whole = examine(layer, row, lambda net, x: net(x, reset=cut)[0].sin().sum())
    halves = [examine(layer, part, lambda net, x: net(x)[0].sin().sum()) for part in (row[:, :3], row[:, 3:])]
    for flow, first, second in zip(whole.layers, *(half.layers for half in halves), strict=True):
        for name, norms in flow.gradient_norms.items():
            both_parts = torch.cat((first.gradient_norms[name], second.gradient_norms[name]), 1)
            torch.testing.assert_close(norms, both_parts, atol=1e-12, rtol=0)
        norms = next(iter(flow.lag_norms.values()))
        across = (norms.steps == (4 if flow.direction else 1)).nonzero()[0, 0]
        assert norms.frobenius[across, 2] == 0
        exponents = torch.cat((first.spectra.lyapunov, second.spectra.lyapunov, flow.spectra.lyapunov))
        assert exponents.isfinite().all()


def test_a_horizon_is_the_first_lag_at_which_a_scaled_rotation_is_forgotten():
    layer = linear_layer(2)
    layer.weight_hh_l0.data = torch.tensor([[0.0, 0.5], [0.5, 0.0]], dtype=torch.float64)
    found = examine(layer, torch.rand(1, 20, 2, dtype=torch.float64), lambda net, x: net(x)[0].sum())
    assert found.layers[0].memory_horizon == 7  # 0.5^7 < 0.01 < 0.5^6
    short = examine(layer, torch.rand(1, 7, 2, dtype=torch.float64), lambda net, x: net(x)[0].sum())
    assert short.layers[0].memory_horizon is None
    single = examine(layer, torch.rand(1, 1, 2, dtype=torch.float64), lambda net, x: net(x)[0].sum())
    assert single.layers[0].memory_horizon is None
    assert single.layers[0].lag_norms["hidden"].lags.tolist() == [0]
