"""The laws of the layers are tried on every backend that a user may get, one after the other."""

from collections.abc import Iterator

import pytest

from elman.kernels import BACKENDS, cpu, use

FASTER = [name for name in BACKENDS if name != "reference"]
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
    if request.param == "cpu" and cpu.native is None:
        pytest.skip("the C++ kernels were not built: no compiler was there when elman was installed")
    with use(request.param):
        yield request.param
