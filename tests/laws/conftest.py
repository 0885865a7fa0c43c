"""The laws of the layers are tried on every backend that a user may get, one after the other."""

from collections.abc import Iterator

import pytest
from layer_cases import FASTER

from elman.kernels import cpu, use

ON_EVERY_BACKEND = (
    "test_layers_equal_torch",
    "test_layers_padding",
    "test_layers_reset",
    "test_layers_time",
)


def pytest_generate_tests(metafunc) -> None:
    """Repeat the tests of these files for each backend."""
    if metafunc.module.__name__ in ON_EVERY_BACKEND:
        metafunc.fixturenames.append("on_backend")
        metafunc.parametrize("on_backend", FASTER, indirect=True, scope="module")


@pytest.fixture(scope="module")
def on_backend(request) -> Iterator[str]:
    """Run tests on one backend."""
    with use(request.param):
        yield request.param


@pytest.fixture(params=cpu.native.variants() if cpu.native else ["none"], scope="module")
def instructions(request) -> Iterator[str]:
    """Run a test on each instruction set that this machine has."""
    before = cpu.native.variant()
    cpu.native.choose(request.param)
    yield request.param
    cpu.native.choose(before)
