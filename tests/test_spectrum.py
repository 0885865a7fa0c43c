"""Eigenvalues, singular values and Lyapunov exponents of matrices for which they are known."""

import math

import pytest
import torch
from torch import nn

from elman.xray import examine
from elman.xray.spectrum import measure, transient_growth


def exponents(matrix, steps=400, rows=2):
    """The exponents of x -> matrix x, as a ReLU network on positive numbers."""
    layer = nn.RNN(1, len(matrix), nonlinearity="relu", dtype=torch.float64)
    for parameter in layer.parameters():
        parameter.data.fill_(0.1)
    layer.weight_hh_l0.data = matrix
    found = examine(
        layer, torch.ones(steps, rows, 1, dtype=torch.float64), lambda net, x: net(x)[0].mean(), places=1
    )
    return found.layers[0].spectra


def test_exponents_of_a_linear_map_are_the_logarithms_of_its_eigenvalues():
    matrix = torch.tensor([[0.5, 0.3, 0.0], [0.1, 0.4, 0.2], [0.0, 0.1, 0.8]], dtype=torch.float64)
    want = torch.linalg.eigvals(matrix).abs().log().sort(descending=True).values
    # The first vectors turn towards the eigenvectors for a few steps, which the mean forgets as 1 / steps.
    torch.testing.assert_close(exponents(matrix, steps=400).lyapunov, want, atol=4 / 400, rtol=0)


def test_exponents_of_a_diagonal_map_are_exact():
    spectra = exponents(torch.diag(torch.tensor([0.25, 1.0, 0.5], dtype=torch.float64)), steps=5)
    want = torch.tensor([0.0, math.log(0.5), math.log(0.25)], dtype=torch.float64)
    torch.testing.assert_close(spectra.lyapunov, want, atol=1e-12, rtol=0)


def test_the_top_exponents_of_a_large_state_are_those_of_the_whole_spectrum():
    values = torch.linspace(1.0, 0.1, 70, dtype=torch.float64) ** 2
    found = exponents(torch.diag(values), steps=120, rows=1).lyapunov
    torch.testing.assert_close(found, values[:8].log(), atol=0.05, rtol=0)


def test_a_rotation_is_normal_and_says_so():
    turned = torch.tensor([[0.0, -0.9], [0.9, 0.0]], dtype=torch.float64)
    found = measure(turned)
    assert found.departure == pytest.approx(0, abs=1e-7)
    assert found.radius == pytest.approx(0.9) and found.norm == pytest.approx(0.9)
    assert "normal" in found.statement and "dies out" in found.statement


def test_a_jordan_block_grows_before_it_dies():
    block = torch.tensor([[0.9, 1.0], [0.0, 0.9]], dtype=torch.float64)
    found = measure(block)
    powers = [torch.linalg.matrix_norm(torch.linalg.matrix_power(block, k), ord=2) for k in range(1, 101)]
    assert found.transient_growth == pytest.approx(float(max(powers)), rel=1e-12)
    assert found.departure == pytest.approx(1.0)  # the entry above the diagonal, which no rotation removes
    assert found.radius == pytest.approx(0.9, abs=1e-6) and found.norm > 1
    assert "transient growth" in found.statement


def test_growth_without_bound_is_infinite():
    assert transient_growth(torch.eye(2, dtype=torch.float64) * 1e9) == math.inf


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_largest_values_of_a_large_matrix_are_estimated(scale):
    matrix = torch.randn(600, 600, dtype=torch.float64) / 600**0.5
    matrix[:, 0] += scale / 3  # an eigenvalue outside of the disc of the others
    found = measure(matrix)
    assert not found.is_exact and "estimates" in found.statement
    assert found.radius == pytest.approx(float(torch.linalg.eigvals(matrix).abs().max()), rel=0.05)
    assert found.norm == pytest.approx(float(torch.linalg.matrix_norm(matrix, ord=2)), rel=1e-3)


def test_spectra_name_the_gates_and_read_their_blocks():
    layer = nn.LSTM(2, 3, dtype=torch.float64)
    found = examine(layer, torch.randn(4, 1, 2, dtype=torch.float64), lambda net, x: net(x)[0].sum())
    spectra = found.layers[0].spectra
    assert list(spectra.recurrent) == ["input_gate", "forget_gate", "candidate", "output_gate"]
    forget = layer.weight_hh_l0.detach()[3:6]
    torch.testing.assert_close(spectra.recurrent["forget_gate"].singular_values, torch.linalg.svdvals(forget))
    assert len(spectra.jacobians) == 4 and len(spectra.lyapunov) == 6
