"""`import elman` loads nothing, and the command line's help answers without torch."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import elman

SOURCES = Path(__file__).parent.parent / "src"

# What `elman --help` and each command's own help may take from a cold start, in processor time: a wall clock
# on a busy machine measures its neighbours.
HELP_SECONDS, COMMAND_HELP_SECONDS = 0.3, 0.8


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "COLUMNS": "80"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


def processor_seconds(*arguments: str) -> float:
    """Return the least processor time of three runs."""
    best = float("inf")
    for _ in range(3):
        before = os.times()
        assert run_python(*arguments).returncode == 0
        after = os.times()
        used = after.children_user - before.children_user + after.children_system - before.children_system
        best = min(best, used)
    return best


def modules_after(code: str) -> set[str]:
    done = run_python("-c", f"import sys\n{code}\nprint(' '.join(sys.modules), file=sys.stderr)")
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_importing_elman_loads_no_torch_no_numpy_and_no_room():
    loaded = modules_after("import elman")
    assert not loaded & {"torch", "numpy", "pydantic", "tyro", "rich", "plotly"}
    assert not {name for name in loaded if name.startswith("elman.")}


def test_settings_and_errors_load_without_torch():
    assert "torch" not in modules_after(
        "import elman; elman.Settings; elman.ElmanError; elman.config; elman.errors"
    )


def test_help_loads_the_standard_library_alone():
    loaded = modules_after("from elman.cli import main; main(['--help'])")
    assert not loaded & {"torch", "numpy", "pydantic", "tyro", "rich", "plotly"}


@pytest.mark.parametrize("command", ["train", "tune", "evaluate", "predict", "info", "demo"])
def test_a_commands_own_help_loads_neither_torch_nor_numpy(command):
    code = f"from elman.cli import main\ntry: main([{command!r}, '--help'])\nexcept SystemExit: pass"
    loaded = modules_after(code)
    assert not loaded & {"torch", "numpy", "plotly"}


@pytest.mark.slow
def test_help_answers_in_less_than_three_tenths_of_a_second():
    assert processor_seconds("-m", "elman", "--help") < HELP_SECONDS


@pytest.mark.slow
def test_help_of_train_answers_in_less_than_eight_tenths_of_a_second():
    assert processor_seconds("-m", "elman", "train", "--help") < COMMAND_HELP_SECONDS


def test_every_name_that_is_offered_is_there():
    for name in {*elman._PLACES, *elman.__all__}:
        assert getattr(elman, name) is not None
        assert name in dir(elman)


def test_a_name_leads_to_its_module_or_to_what_is_in_it():
    assert elman.nn is importlib.import_module("elman.nn")
    assert elman.train is importlib.import_module("elman.run_train").train


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = elman.trian


def test_the_version_is_a_string():
    assert isinstance(elman.__version__, str) and elman.__version__


def test_a_star_import_gives_what_all_names():
    assert not modules_after(
        "from elman import *; [ElmanError, Padded, Run, Settings, load, nn, train]"
    ).isdisjoint(["elman.nn"])
