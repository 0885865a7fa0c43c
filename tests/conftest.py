"""What every test shares: how hard hypothesis looks, how many threads torch uses, where chance starts.

`make test` looks a little, `make test-deep` (ELMAN_PROFILE=deep) looks at everything the project promises.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PROFILE = os.environ.get("ELMAN_PROFILE", "quick")

# Commands that tests start use one thread too: on a busy machine two that wait for each other take far more
# time than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Timings on a shared machine say nothing about correctness, hence no deadline; the quick profile repeats the
# same cases, so that a failure in CI is a failure at one's desk.
slow_machine = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "quick",
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=slow_machine,
)
settings.register_profile(
    "deep",
    max_examples=500,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=slow_machine,
)
settings.load_profile(PROFILE)


@pytest.fixture(autouse=True)
def same_chance_and_threads() -> Iterator[None]:
    """Start each test from the same random state, with one thread, whatever ran before it."""
    torch = sys.modules.get("torch")  # tests of readers and settings stay free of torch
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Return a function that writes a file and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def parquet(tmp_path):
    """Return a function that writes columns to a .parquet file and returns its path."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra parquet)")
    module = pytest.importorskip("pyarrow.parquet")

    def write(columns):
        path = tmp_path / "a.parquet"
        module.write_table(pyarrow.table(columns), path)
        return path

    return write
