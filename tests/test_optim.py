"""Optimisers are those of torch, sparse rows move as if alone, and the schedule is its formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from elman.errors import CheckpointError, ConfigError
from elman.training.optim import OPTIMIZERS, Optimizer, Schedule

TOLERANCE = {
    torch.float32: 1e-6,  # twenty steps of one rounding each; the fused kernels may contract multiply-add
    torch.float64: 1e-14,
}

TORCH_RULES = {
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01),
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, lr=0.01),
}


def make_network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype)


def set_gradients(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        gradient = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.grad = gradient.to(parameter.dtype)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_each_rule_moves_weights_as_torch_does(name: str, weight_decay: float, dtype: torch.dtype) -> None:
    ours, theirs = make_network(dtype), make_network(dtype)
    optimizer = Optimizer(ours, rule=name, weight_decay=weight_decay)
    vectors = [p for p in theirs.parameters() if p.ndim <= 1]
    matrices = [p for p in theirs.parameters() if p.ndim > 1]
    reference = TORCH_RULES[name](
        [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    )
    for step in range(20):
        set_gradients(ours, step)
        set_gradients(theirs, step)
        if step == 3:  # a part of the network that was not used: its weights and averages must not move
            ours[0].weight.grad = theirs[0].weight.grad = None
        optimizer.step(0.01)
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_every_optimizer_of_the_settings_is_in_the_table() -> None:
    from typing import get_args

    from elman.config import OptimizerName

    assert set(OPTIMIZERS) == set(get_args(OptimizerName))


def test_biases_are_not_decayed() -> None:
    network = make_network()
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = Optimizer(network, rule="adamw", weight_decay=0.5)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1)
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.equal(new, old) == (new.ndim == 1)


def train_embedding(
    name: str, *, sparse: bool, batches: list[torch.Tensor], weight_decay: float = 0.0
) -> nn.Embedding:
    torch.manual_seed(0)
    embedding = nn.Embedding(6, 3, sparse=sparse).double()
    optimizer = Optimizer(embedding, rule=name, weight_decay=weight_decay)
    for step, tokens in enumerate(batches):
        embedding(tokens).pow(2).sum().backward()
        optimizer.gradient_norm()
        optimizer.step(0.05 / (step + 1))
        optimizer.zero_grad()
    return embedding


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_sparse_gradients_give_the_dense_result_when_every_row_is_used(name: str) -> None:
    batches = [torch.tensor([0, 1, 2, 3, 4, 5, step % 6]) for step in range(8)]
    dense = train_embedding(name, sparse=False, batches=batches)
    sparse = train_embedding(name, sparse=True, batches=batches)
    torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_sparse_gradients_move_only_the_rows_in_use(name: str) -> None:
    first, second = torch.tensor([0, 1, 1]), torch.tensor([2, 3])
    both = train_embedding(name, sparse=True, batches=[first, second])
    one = train_embedding(name, sparse=True, batches=[first])
    assert torch.equal(both.weight[[0, 1, 4, 5]], one.weight[[0, 1, 4, 5]])
    assert not torch.equal(both.weight[[2, 3]], one.weight[[2, 3]])


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_sparse_gradients_are_not_decayed(name: str) -> None:
    batches = [torch.tensor([0, 1, 1]), torch.tensor([1, 2])]
    decayed = train_embedding(name, sparse=True, batches=batches, weight_decay=0.1)
    assert torch.equal(decayed.weight, train_embedding(name, sparse=True, batches=batches).weight)


def test_sparse_adam_is_that_of_torch() -> None:
    # SparseAdam adds eps before the bias correction, we after it, as Adam does: a difference of about eps.
    batches = [torch.tensor([0, 1, 1]), torch.tensor([1, 2]), torch.tensor([5, 0])]
    ours = train_embedding("adam", sparse=True, batches=batches)
    torch.manual_seed(0)
    theirs = nn.Embedding(6, 3, sparse=True).double()
    reference = torch.optim.SparseAdam(theirs.parameters())
    for step, tokens in enumerate(batches):
        reference.param_groups[0]["lr"] = 0.05 / (step + 1)
        reference.zero_grad()
        theirs(tokens).pow(2).sum().backward()
        reference.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-6, atol=1e-6)


def test_a_sparse_embedding_lives_beside_dense_layers() -> None:
    network = nn.Sequential(nn.Embedding(6, 3, sparse=True), nn.Linear(3, 2))
    optimizer = Optimizer(network, rule="adamw", weight_decay=0.1)
    before = [p.detach().clone() for p in network.parameters()]
    network(torch.tensor([1, 1])).sum().backward()
    norm = optimizer.gradient_norm().item()
    expected = math.sqrt(sum(p.grad.to_dense().pow(2).sum().item() for p in network.parameters()))
    assert norm == pytest.approx(expected, rel=1e-6)
    optimizer.scale_gradients(0.5 / norm)
    assert optimizer.gradient_norm().item() == pytest.approx(0.5, rel=1e-6)
    optimizer.step(0.1)
    assert all(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    assert torch.equal(before[0][[0, 2, 3, 4, 5]], network[0].weight[[0, 2, 3, 4, 5]])


def test_without_gradients_the_norm_is_zero_and_a_step_moves_nothing() -> None:
    network = make_network()
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = Optimizer(network)
    assert optimizer.gradient_norm().item() == 0.0
    optimizer.step(0.1)
    assert all(map(torch.equal, before, network.parameters()))


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_sparse_gradient_of_no_rows_moves_nothing(name: str) -> None:
    batches = [torch.tensor([0, 1]), torch.tensor([], dtype=torch.int64)]
    with_empty = train_embedding(name, sparse=True, batches=batches)
    assert torch.equal(with_empty.weight, train_embedding(name, sparse=True, batches=batches[:1]).weight)


def test_clipping_is_that_of_torch() -> None:
    ours, theirs = make_network(), make_network()
    set_gradients(ours, 1)
    set_gradients(theirs, 1)
    optimizer = Optimizer(ours)
    norm = optimizer.gradient_norm().item()
    optimizer.scale_gradients(0.3 / norm)
    assert norm == pytest.approx(nn.utils.clip_grad_norm_(theirs.parameters(), 0.3).item(), rel=1e-6)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(
            mine.grad, other.grad, rtol=1e-5, atol=1e-7
        )  # torch divides by norm + 1e-6


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_loaded_state_goes_on_to_the_last_bit(name: str, sparse: bool) -> None:
    def make() -> tuple[nn.Embedding, Optimizer]:
        torch.manual_seed(0)
        embedding = nn.Embedding(5, 3, sparse=sparse)
        return embedding, Optimizer(embedding, rule=name)

    def steps(embedding: nn.Embedding, optimizer: Optimizer, tokens: list[int]) -> None:
        for token in tokens:
            embedding(torch.tensor([token, 0])).pow(2).sum().backward()
            optimizer.gradient_norm()
            optimizer.step(0.1)
            optimizer.zero_grad()

    whole, whole_optimizer = make()
    steps(whole, whole_optimizer, [1, 2, 3, 1])
    first, first_optimizer = make()
    steps(first, first_optimizer, [1, 2])
    second, second_optimizer = make()
    second.load_state_dict(first.state_dict())
    second_optimizer.load_state_dict({k: v.clone() for k, v in first_optimizer.state_dict().items()})
    steps(second, second_optimizer, [3, 1])
    assert torch.equal(second.weight, whole.weight)


def test_the_state_of_another_rule_or_network_is_refused() -> None:
    adam = Optimizer(make_network(), rule="adam")
    with pytest.raises(CheckpointError, match="does not fit"):
        adam.load_state_dict(Optimizer(make_network(), rule="sgd").state_dict())
    with pytest.raises(CheckpointError, match="does not fit"):
        adam.load_state_dict(Optimizer(nn.Sequential(nn.Linear(4, 6)), rule="adam").state_dict())


def test_frozen_parameters_stay_and_a_frozen_network_is_refused() -> None:
    network = make_network()
    network[0].weight.requires_grad_(False)
    assert "0.weight" not in Optimizer(network).parameters
    with pytest.raises(ConfigError, match="no weights to train"):
        Optimizer(network.requires_grad_(False))


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'rmsprop'"):
        Optimizer(make_network(), rule="rmspropp")
    with pytest.raises(ConfigError, match="cosine"):
        Schedule(1.0, decay="cosin")


@given(
    warmup=st.integers(0, 30),
    decay=st.sampled_from(["none", "linear", "cosine"]),
    total=st.integers(1, 100),
    peak=st.floats(1e-6, 10),
)
def test_the_rate_rises_to_its_peak_then_falls_to_zero(
    warmup: int, decay: str, total: int, peak: float
) -> None:
    rates = [Schedule(peak, warmup=warmup, decay=decay, total_steps=total).rate(s) for s in range(total + 5)]
    assert all(0 <= rate <= peak * (1 + 1e-12) for rate in rates)
    assert all(rate > 0 for rate in rates[:total])
    rising, falling = rates[:warmup], rates[warmup:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    if warmup < total:
        assert rates[warmup] == pytest.approx(peak)
        assert rates[total] == pytest.approx(peak if decay == "none" else 0.0)


def test_the_rate_halfway_is_half_the_peak_whether_linear_or_cosine() -> None:
    for decay in ("linear", "cosine"):
        assert Schedule(1.0, warmup=10, decay=decay, total_steps=110).rate(60) == pytest.approx(0.5)
    assert Schedule(1.0, warmup=0, decay="cosine", total_steps=100).rate(25) == pytest.approx(
        (1 + math.cos(math.pi / 4)) / 2
    )
