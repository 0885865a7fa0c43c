"""Run tests on the kernels of another build: test_kernels.py PATH_OF_NATIVE PYTEST_ARGUMENTS..."""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest

NAME = "elman.kernels._native"


def take(path: str) -> None:
    """Make elman use the extension module at a path."""
    spec = spec_from_file_location(NAME, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no extension module")
    sys.modules[NAME] = module_from_spec(spec)  # found there when elman.kernels.cpu imports it
    spec.loader.exec_module(sys.modules[NAME])


if __name__ == "__main__":
    take(sys.argv[1])
    sys.exit(pytest.main(sys.argv[2:]))
