"""Laws of the C++ kernels: odd sizes, odd memory, and whatever autograd may ask, against the plain equations.

Sizes go around those of registers and tiles; what is smaller is in the laws of the layers, on every backend.
"""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from kernel_cases import Found, disagreement, odd_cases
from layer_cases import Case, largest_difference, loss_of, parts_of
from tolerances import SAME_AS_KERNELS, SAME_ROW
from torch.autograd import forward_ad
from torch.nn.functional import pad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from elman.kernels import cpu, use

pytestmark = pytest.mark.skipif(cpu.native is None, reason="the C++ kernels were not built")
DTYPES = [torch.float32, torch.float64]

# Where numbers lie in memory; each gives the same shape, and a gradient flows back through it.
ARRANGEMENTS = {
    "as they come": lambda x: x,
    "turned": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "a slice": lambda x: pad(x, (1, 2))[..., 1:-2],
    "every other": lambda x: torch.stack((x, x), -1)[..., 0],
    "off by one": lambda x: torch.cat((x.new_zeros(1), x.flatten()))[1:].view(x.shape),
    "one row for all": lambda x: x[:1].expand_as(x),
}
PLANS = ("full", "lengths", "reset", "lengths and reset", "packed")


def run(case: Case, layer, plan: str = "full", arrange=ARRANGEMENTS["as they come"], x=None) -> Found:
    """Run a layer, forward and backward, in the layer's dtype; gradients arrive arranged, too."""
    dtype = next(layer.parameters()).dtype
    x = (case.input() if x is None else x).to(dtype)
    given_input = arrange((x if case.batch_first else x.transpose(0, 1)).requires_grad_())
    state = [arrange(part.to(dtype).requires_grad_()) for part in parts_of(case.state())]
    begin = tuple(state) if len(state) == 2 else state[0]
    weights = {name: arrange(weight) for name, weight in layer.named_parameters()}
    leaves = [given_input, *state, *weights.values()]
    options = {}
    if plan == "packed":
        lengths = case.lengths().clamp(min=1)
        packed = pack_padded_sequence(given_input, lengths, case.batch_first, enforce_sorted=False)
        leaves[0] = arrange(packed.data)
        given_input = PackedSequence(leaves[0], *packed[1:])
    if "lengths" in plan:
        options["lengths"] = case.lengths()
    if "reset" in plan:
        options["reset"] = case.reset()
    output, final = torch.func.functional_call(layer, weights, (given_input, begin), options)
    values = [output.data if plan == "packed" else output, *parts_of(final)]
    upstream = [arrange(torch.arange(v.numel()).cos().to(dtype).view_as(v)) for v in values]
    found = torch.autograd.grad(values, leaves, upstream, allow_unused=True, materialize_grads=True)
    return Found(values, list(found))


def by_plain_equations(case: Case, layer, *arguments, **options) -> Found:
    with use("reference"):
        return run(case, deepcopy(layer).double(), *arguments, **options)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data(), plan=st.sampled_from(PLANS), arrangement=st.sampled_from(list(ARRANGEMENTS)))
def test_kernels_equal_the_plain_equations_in_float64(instructions, dtype, data, plan, arrangement):
    case = data.draw(odd_cases(dtype))
    layer, arrange = case.make(), ARRANGEMENTS[arrangement]
    with use("cpu"):
        found = run(case, layer, plan, arrange)
        with torch.no_grad():
            begin = case.state()
            untrained = layer(case.input() if case.batch_first else case.input().transpose(0, 1), begin)[0]
    expected = by_plain_equations(case, layer, plan, arrange)
    assert disagreement(found, expected) <= SAME_AS_KERNELS[dtype]
    if plan == "full" and arrangement == "as they come":
        assert torch.equal(untrained, found.values[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["RNN", "RNN relu", "GRU", "LSTM", "LSTM projected"])
@pytest.mark.parametrize(
    "batch, steps, inputs, hidden",
    [(1, 1, 1, 2), (1, 67, 5, 64), (70, 1, 33, 17), (70, 5, 64, 3), (3, 300, 3, 5), (2, 9, 200, 130)],
)
def test_extreme_sizes_equal_the_plain_equations(kind, dtype, batch, steps, inputs, hidden):
    sizes = {"input_size": inputs, "hidden_size": hidden, "proj_size": hidden // 2}
    case = Case(kind, 1, True, True, True, batch, steps, 3, dtype, **sizes)
    layer = case.make()
    for plan in ("full", "lengths"):
        with use("cpu"):
            found = run(case, layer, plan)
        assert disagreement(found, by_plain_equations(case, layer, plan)) <= SAME_AS_KERNELS[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data())
def test_a_row_alone_equals_the_row_in_a_batch_of_any_size(dtype, data):
    case = data.draw(odd_cases(dtype))
    layer, x, row = case.make(), case.input(), data.draw(st.integers(0, case.batch - 1))
    with use("cpu"):
        output, final = case.run(layer, x, case.state())
        own = tuple(part[:, row : row + 1] for part in parts_of(case.state()))
        alone, final_alone = case.run(layer, x[row : row + 1], own if len(own) == 2 else own[0])
    assert largest_difference(alone[0], output[row]) <= SAME_ROW[dtype]
    expected = [part[:, row : row + 1] for part in final]
    assert largest_difference(list(final_alone), expected) <= SAME_ROW[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM", "LSTM projected"])
@pytest.mark.parametrize("both", [False, True], ids=["one", "both"])
@pytest.mark.parametrize("batch", [3, 9, 14, 19, 23])
def test_the_number_of_threads_changes_no_byte(kind, dtype, both, batch):
    """Few rows are shared by units, many by rows (native/share.h); the work is worth four threads."""
    case = Case(kind, 1, both, True, True, batch, 31, 5, dtype, input_size=48, hidden_size=65, proj_size=33)
    if kind == "RNN":
        case = replace(case, steps=95)
    layer = case.make()
    found = []
    for threads in (1, 2, 4, 3):
        torch.set_num_threads(threads)
        with use("cpu"):
            trained = run(case, layer, "lengths")
            with torch.no_grad():
                output, final = case.run(layer, case.input(), case.state())
        found.append([*trained.values, *trained.slopes, output, *final])
    assert all(torch.equal(*pair) for other in found[1:] for pair in zip(found[0], other, strict=True))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM", "LSTM projected"])
def test_gradients_of_gradients_equal_finite_differences(kind, caplog):
    case = Case(kind, 1, True, True, True, 2, 3, 3, input_size=2, hidden_size=3)
    layer = case.make()
    names = [name for name, _ in layer.named_parameters()]

    def of(x, *weights):
        named = dict(zip(names, weights, strict=True))
        output, final = torch.func.functional_call(layer, named, (x, case.state()), {"lengths": [3, 2]})
        return output, *parts_of(final)

    leaves = [case.input(), *(weight.detach() for weight in layer.parameters())]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    with use("cpu"):
        assert torch.autograd.gradcheck(of, leaves)
        assert torch.autograd.gradgradcheck(of, leaves, fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by torch, at the first dual number
@pytest.mark.parametrize("trains", [False, True])
def test_a_forward_mode_derivative_is_not_lost(trains):
    case = Case("GRU", 1, False, True, True, 2, 3, 3)
    layer, tangents = case.make(), []
    for backend in (nullcontext(), use("reference")):
        with backend, torch.set_grad_enabled(trains), forward_ad.dual_level():
            output, _ = layer(forward_ad.make_dual(case.input(), torch.ones(2, 3, 3, dtype=torch.float64)))
            tangents.append(forward_ad.unpack_dual(output).tangent)
    assert largest_difference(*tangents) <= SAME_AS_KERNELS[torch.float64]


@given(case=odd_cases(torch.float32), plan=st.sampled_from(PLANS[:-1]))
def test_a_second_backward_gives_the_same_bytes(case, plan):
    layer, x = case.make(), case.input().requires_grad_()
    options = {"lengths": case.lengths()} if "lengths" in plan else {}
    with use("cpu"):
        loss = loss_of(*case.run(layer, x, case.state(), **options))
    leaves = [x, *layer.parameters()]
    ask = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}  # all rows may be empty
    first, second, third = (torch.autograd.grad(loss, leaves, **ask) for _ in range(3))
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(first, second, third, strict=True))


@given(case=odd_cases(), data=st.data())
def test_gradients_do_not_depend_on_which_others_are_wanted(case, data):
    """Nor on which results the loss reads: the others then come without a gradient."""
    layer, state = case.make(), parts_of(case.state())
    leaves = {"input": case.input(), **dict(layer.named_parameters())}
    leaves |= {f"state {i}": part for i, part in enumerate(state)}
    wanted = data.draw(st.lists(st.sampled_from(list(leaves)), min_size=1, unique=True))
    read = data.draw(st.lists(st.integers(0, len(state)), min_size=1, unique=True))

    def slopes(names):
        for name, leaf in leaves.items():
            leaf.requires_grad_(name in names)
        begin = state if len(state) == 2 else state[0]
        output, final = case.run(layer, leaves["input"], begin)
        loss = loss_of(output.new_zeros(1), tuple((output, *final)[i] for i in read))
        own = [leaves[name] for name in names]
        return torch.autograd.grad(loss, own, allow_unused=True, materialize_grads=True)

    with use("cpu"):
        few, all_of_them = slopes(wanted), dict(zip(leaves, slopes(list(leaves)), strict=True))
    with use("reference"):
        expected = slopes(wanted)
    assert all(torch.equal(slope, all_of_them[name]) for name, slope in zip(wanted, few, strict=True))
    for slope, plain in zip(few, expected, strict=True):
        scale = max(1.0, plain.abs().max().item())
        assert largest_difference(slope, plain) / scale <= SAME_AS_KERNELS[torch.float64]


@pytest.mark.parametrize("what", ["output", "input", "weight"])
def test_what_backward_needs_may_not_be_changed_in_place(what):
    layer, x = Case("GRU", 1, False, True, True, 2, 3, 0).make(), torch.ones(2, 3, 3, dtype=torch.float64)
    given_input = x.requires_grad_() * 1
    with use("cpu"):
        output, _ = layer(given_input)
    loss = output.sum()
    with torch.no_grad():
        {"output": output, "input": given_input, "weight": layer.weight_hh_l0}[what].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@given(data=st.data())
def test_what_is_not_finite_stays_in_its_row(instructions, dtype, poison, data):
    case = data.draw(odd_cases(dtype, steps=9))
    case = replace(case, num_layers=1)
    layer, clean, row = case.make(), case.input(), data.draw(st.integers(0, case.batch - 1))
    poisoned = clean.clone()
    poisoned[row, data.draw(st.integers(0, case.steps - 1)), 0] = poison
    with use("cpu"):
        before, after = run(case, layer), run(case, layer, x=poisoned)
    expected = by_plain_equations(case, layer, x=poisoned)
    others = torch.arange(case.batch) != row
    for part, other in ((before.values[0], after.values[0]), (before.slopes[0], after.slopes[0])):
        rows, of_others = (r.movedim(0 if case.batch_first else 1, 0)[others] for r in (part, other))
        assert torch.equal(rows, of_others)
        assert rows.isfinite().all()
    found, plain = [*after.values, *after.slopes], [*expected.values, *expected.slopes]
    assert all(torch.equal(a.isfinite(), b.isfinite()) for a, b in zip(found, plain, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM", "LSTM projected"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_saturated_gates_are_numbers(instructions, kind, dtype, size):
    case = Case(kind, 1, True, True, True, 3, 4, 1, dtype, input_size=5, hidden_size=7, proj_size=3)
    layer = case.make()
    with use("cpu"):
        found = run(case, layer, x=size * case.input())
    assert all(part.isfinite().all() for part in (*found.values, *found.slopes))
    if dtype == torch.float64:
        expected = by_plain_equations(case, layer, x=size * case.input())
        assert disagreement(found, expected) <= 1e-9  # sums of 1e4 carry an error of 1e-12 into the gates
