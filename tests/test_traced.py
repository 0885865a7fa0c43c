"""Layers in programs traced by torch.compile and torch.export: equal outputs for any batch and length."""

import shutil

import pytest
import torch
from tolerances import SAME_AS_TORCH

import elman.nn
from elman.kernels import traced

pytestmark = pytest.mark.slow  # tracing takes seconds

LAYERS = ["RNN", "GRU", "LSTM"]
FLOAT32 = SAME_AS_TORCH[torch.float32]


@pytest.fixture(autouse=True)
def nothing_compiled_before():
    """Start each test without the graphs of the others: torch compiles the same code a few times only."""
    torch._dynamo.reset()


def flat(result):
    output, state = result
    return [output, *(state if isinstance(state, tuple) else (state,))]


def close(first, second, tolerance=FLOAT32):
    return all((a - b).abs().max() <= tolerance for a, b in zip(flat(first), flat(second), strict=True))


@pytest.mark.parametrize("options", ["plain", "lengths", "lengths and reset"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_whole_compiled_graph_gives_equal_outputs_and_gradients(name, options):
    check_compiled(name, options, "aot_eager")


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_inductor_gives_equal_outputs_and_gradients(name):
    check_compiled(name, "lengths", "inductor")


def check_compiled(name, options, backend):
    """Compare a compiled layer with itself, for a second batch of another shape too."""
    layer = getattr(elman.nn, name)(3, 4, 2, bidirectional=True, batch_first=True)
    compiled = torch.compile(layer, fullgraph=True, backend=backend, dynamic=True)
    for batch, steps in ((4, 6), (2, 9)):
        x = torch.randn(batch, steps, 3)
        given = {}
        if "lengths" in options:
            given["lengths"] = torch.arange(batch) + 2
        if "reset" in options:
            given["reset"] = torch.eye(batch, steps).bool()
        results = []
        for module in (layer, compiled):
            layer.zero_grad()
            result = flat(module(x, **given))
            sum(part.square().sum() for part in result).backward()
            results.append([*result, *(p.grad.clone() for p in layer.parameters())])
        assert all((a - b).abs().max() <= 10 * FLOAT32 for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("strict", [False, True], ids=["as it runs", "strict"])
@pytest.mark.parametrize("name", LAYERS)
def test_an_exported_layer_takes_any_batch_and_any_time(name, strict):
    layer = getattr(elman.nn, name)(3, 4, 2, bidirectional=True, batch_first=True).eval()
    batch, time = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("time", min=1, max=512)
    example = {"lengths": torch.tensor([5, 2])}
    shapes = {"input": {0: batch, 1: time}, "lengths": {0: batch}}
    program = torch.export.export(
        layer, (torch.randn(2, 5, 3),), example, dynamic_shapes=shapes, strict=strict
    ).module()
    for rows, steps in ((2, 5), (3, 11), (1, 1)):
        x, lengths = torch.randn(rows, steps, 3), torch.arange(rows).clamp(max=steps)
        assert close(program(x, lengths=lengths), layer(x, lengths=lengths))


def test_a_compiled_layer_honours_autocast_and_initial_states():
    layer = elman.nn.LSTM(3, 4, batch_first=True, initial_state="learned")
    layer.initial_cell.data.fill_(0.5)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    x, given = torch.randn(2, 5, 3), {"lengths": torch.tensor([5, 3]), "reset": torch.eye(2, 5).bool()}
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = compiled(x, **given), layer(x, **given)
    assert [part.dtype for part in flat(found)] == [part.dtype for part in flat(expected)]
    assert close(found, expected)
    compiled(x, **given)[0].sum().backward()
    assert layer.initial_cell.grad.any()


def test_a_compiled_layer_draws_dropout_and_random_states_anew():
    layer = elman.nn.GRU(3, 4, 2, dropout=0.5, initial_state="random", batch_first=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    x, everywhere = torch.ones(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
    first, second = (compiled(x, reset=everywhere)[0] for _ in range(2))
    assert not torch.equal(first, second)
    layer.dropout = 0.0
    steps = compiled(x, reset=everywhere)[0].flatten(0, 1)
    assert len(steps.unique(dim=0)) == len(steps)  # each cut draws its own state


@pytest.mark.parametrize("kind", LAYERS)
def test_the_operator_passes_the_checks_torch_has_for_operators(kind):
    layer = getattr(elman.nn, kind)(3, 4, bidirectional=True, batch_first=True)
    stack = layer._stack()
    state = [torch.zeros(2, 2, 4) for _ in stack.cell.state]
    weights = [weight.detach().requires_grad_() for weight in stack.weights]
    reset = torch.tensor([[False, True, False], [False, False, False]])
    settings = (stack.mode, True, 1, True, True, None)
    afresh = [part[:, :1].clone() for part in state]
    inputs = (torch.ones(2, 3, 3), state, weights, torch.tensor([3, 2]), reset, afresh, *settings)
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(traced._recurrence, inputs, test_utils=checks)
