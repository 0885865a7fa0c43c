"""What lecture notes on recurrent networks often get wrong, each with the numbers that show it.

    python examples/errata.py
    python examples/errata.py adam bias

Each erratum has a function of its own; docs/errata.md shows the same numbers, and a test holds it to them.
"""

import sys
from collections.abc import Callable

import torch
from torch import nn

import elman.nn
from elman.nn.embedding import TokenEmbedding
from elman.training.optim import Optimizer
from elman.xray.by_hand import Exercise, calculate
from elman.xray.eigenvalue_rule import eigenvalue_rule
from elman.xray.hand_losses import HandLoss
from elman.xray.textbook_errors import gradients_of_error


def adam() -> list[str]:
    """Dense Adam moves rows that are not in use; sparse Adam does not."""
    lines = ["moved in updates 2 to 5, after one use in update 1 (row 5) or none at all (row 7):"]
    for kind in ("trainable", "sparse"):
        torch.manual_seed(0)
        embedding = TokenEmbedding(9, 3, kind=kind)
        optimizer = Optimizer(embedding, rule="adam")
        marks = []
        for update in range(5):
            embedding(torch.tensor([5] if update == 0 else [6])).sum().backward()
            optimizer.step(0.01)
            optimizer.zero_grad()
            marks.append(embedding.weight.detach().clone())
        moved = (marks[4] - marks[0]).abs().amax(1)
        name = "dense" if kind == "trainable" else "sparse"
        lines.append(f"{name:6}  row 5: {moved[5]:.4f}  row 6, in use: {moved[6]:.4f}  row 7: {moved[7]:.4f}")
    return lines


def one_unit() -> Exercise:
    """Return the smallest exercise: one unit, three steps, all weights 0.5."""
    layer, output = nn.RNN(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for weight in (*layer.parameters(), *output.parameters()):
        nn.init.constant_(weight, 0.5)
    x = torch.tensor([[1.0], [0.5], [-1.0]])
    return Exercise(layer, output, x, torch.tensor([[1.0]]), HandLoss("mse"), at="last")


def input_weight() -> list[str]:
    """The derivative of h_t by W_x is not x_t."""
    exercise = one_unit()
    names = ["state_is_only_input", "input_weight_without_past", "without_activation_derivative"]
    lines = [
        f"dL/dW_x, right:                         {calculate(exercise).gradients['weight_ih'].item():8.4f}"
    ]
    for name in names:
        wrong = gradients_of_error(exercise, name)["weight_ih"].item()
        lines.append(f"dL/dW_x, {name:30} {wrong:8.4f}")
    return lines


def eigenvalues() -> list[str]:
    """Eigenvalues below one shrink the gradient, in the end, and the weights not at all."""
    rule = eigenvalue_rule([[0.5, 3.0], [0.0, 0.5]], 12)
    weight = torch.tensor([[0.5, 3.0], [0.0, 0.5]], requires_grad=True)
    state = torch.ones(2)
    for _ in range(12):
        state = weight @ state
    before = weight.detach().clone()
    state.sum().backward()
    sizes = "  ".join(f"{rule.sizes[k]:.4f}" for k in (0, 1, 2, 4, 8, 12))
    return [
        f"largest eigenvalue {rule.radius:.1f}, largest singular value {rule.largest_singular:.4f}",
        f"gradient 0, 1, 2, 4, 8, 12 steps back:  {sizes}",
        f"weights changed by backpropagation:     {(weight.detach() - before).abs().max():.4f}",
    ]


def unrolling() -> list[str]:
    """A network unrolled over ten steps has one layer's weights; ten stacked layers have ten."""
    torch.manual_seed(0)
    layer = elman.nn.RNN(8, 8)
    x = torch.randn(10, 1, 8)
    cell, state = elman.nn.RNNCell(8, 8), torch.zeros(1, 8)
    for part, given in zip(cell.parameters(), layer.parameters(), strict=True):
        part.data = given.data
    for step in x:
        state = cell(step, state)
    difference = (state - layer(x)[0][-1]).abs().max().item()
    stacked = elman.nn.RNN(8, 8, num_layers=10)
    return [
        f"one layer over 10 steps:  {count(layer):5} weights",
        f"the same cell, 10 times:  {count(cell):5} weights, same last state: {difference < 1e-6}",
        f"10 stacked layers:        {count(stacked):5} weights",
    ]


def decoder() -> list[str]:
    """A decoder that never updates its state gives the same scores whenever it reads the same token."""
    torch.manual_seed(0)
    embedding, cell, output = nn.Embedding(5, 4), elman.nn.GRUCell(4, 8), nn.Linear(8, 5)
    context = torch.randn(1, 8)
    lines = []
    for updates in (False, True):
        state, scores = context, []
        for token in (1, 2, 1):
            new = cell(embedding(torch.tensor([token])), state)
            scores.append(output(new))
            state = new if updates else state
        change = (scores[2] - scores[0]).abs().max().item()
        name = "state goes on" if updates else "state stays the encoder's"
        lines.append(f"{name:26} change of the scores between two readings of token 1: {change:.4f}")
    return lines


def concatenating() -> list[str]:
    """Concatenating all steps fixes the length, and its weights grow with it; pooling has neither problem."""
    lines = []
    for steps in (10, 100):
        lines.append(
            f"{steps:3} steps of 64, 2 classes:  concatenated {count(nn.Linear(64 * steps, 2)):6}  "
            f"pooled {count(nn.Linear(64, 2)):4} weights"
        )
    try:
        nn.Linear(64 * 10, 2)(torch.ones(1, 64 * 11))
    except RuntimeError:
        lines.append("11 steps for the network of 10: refused")
    return lines


def bias() -> list[str]:
    """Two biases are one in the RNN and the LSTM, learnt at twice the rate; in the GRU they are not."""
    lines = []
    for name, layer in (("RNN", nn.RNN(2, 3)), ("LSTM", nn.LSTM(2, 3)), ("GRU", nn.GRU(2, 3))):
        torch.manual_seed(0)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -1, 1)
        exercise = Exercise(layer, nn.Linear(3, 2), torch.randn(4, 2), torch.tensor([0, 1, 1, 0]))
        gradients = calculate(exercise).gradients
        apart = abs(gradients["bias_ih"] - gradients["bias_hh"]).max()
        lines.append(f"{name:4}  largest difference of dL/db_x and dL/db_h: {apart:.4f}")
    done, rate = calculate(one_bias()).gradients["bias_ih"].item(), 0.1
    lines.append(
        f"gradient {done:.4f}, rate 0.1: one bias moves {-rate * done:.4f}, the two {-2 * rate * done:.4f}"
    )
    return lines


def one_bias() -> Exercise:
    """Return an exercise of one unit with two biases of zero."""
    layer, output = nn.RNN(1, 1), nn.Linear(1, 1, bias=False)
    for parameter in (*layer.parameters(), *output.parameters()):
        nn.init.constant_(parameter, 0.5 if parameter.dim() == 2 else 0.0)
    return Exercise(layer, output, torch.ones(3, 1), torch.ones(1, 1), HandLoss("mse"), at="last")


def count(module: nn.Module) -> int:
    """Return how many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


ERRATA: dict[str, Callable[[], list[str]]] = {
    "adam": adam,
    "input_weight": input_weight,
    "eigenvalues": eigenvalues,
    "unrolling": unrolling,
    "decoder": decoder,
    "concatenating": concatenating,
    "bias": bias,
}


def main(names: list[str]) -> None:
    """Print the numbers of the errata that are named, or of all."""
    for name in names or ERRATA:
        print(f"{name}\n  " + "\n  ".join(ERRATA[name]()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
