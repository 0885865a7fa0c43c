"""Holds the pages to what they say: links lead somewhere, examples run, commands and flags exist."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from elman.config import make_settings, read_toml

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])
FENCE = re.compile(r"^```(\{?[\w-]*\}?)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A piece of code on a page: its language, its text, and the line it starts on."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start(2)) + 1) for m in FENCE.finditer(text)]


def commands(page: Path) -> list[list[str]]:
    """Return every line of code, fenced or indented, that calls elman or make, as words."""
    fenced = [line for block in blocks(page) for line in block.text.splitlines()]
    outside = FENCE.sub("", page.read_text(encoding="utf-8")).splitlines()
    lines = [line.strip() for line in fenced + [line for line in outside if line.startswith("    ")]]
    words = [line.split(" #")[0].removeprefix("$ ").split() for line in lines]
    return [line for line in words if line and line[0] in {"elman", "make"}]


def anchor(heading: str) -> str:
    """Return the name by which a link finds a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def help_of(command: str) -> str:
    """Return what `elman COMMAND --help` prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", "NO_COLOR": "1"}
    call = [sys.executable, "-m", "elman", command, "--help"]
    return subprocess.run(call, capture_output=True, text=True, check=True, env=environment).stdout


def by_page(function):
    """Run a test once for each page."""
    return pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])(function)


@by_page
def test_links_lead_somewhere(page):
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target} is not there"
        if heading:
            headings = {anchor(text) for text in HEADING.findall(file.read_text(encoding="utf-8"))}
            assert heading in headings, f"{page.name}: {target}: no such heading, only {sorted(headings)}"


@by_page
def test_no_place_is_left_to_be_filled(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"<!--|TODO|FIXME|TBD|XXX", text)


def test_every_page_of_the_documentation_can_be_reached():
    listed = (ROOT / "docs" / "index.md").read_text("utf-8") + (ROOT / "docs" / "concepts.md").read_text(
        "utf-8"
    )
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in listed, f"{page.name} is listed nowhere"


@by_page
@pytest.mark.slow
def test_commands_and_their_flags_exist(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for call in commands(page):
        if call[0] == "make":
            assert call[1] in targets, f"{page.name}: make {call[1]}"
        elif len(call) > 1 and not call[1].startswith("-") and call[1].isalpha() and call[1].islower():
            known = set(re.findall(r"--[\w-]+", help_of(call[1]))) | {"--help"}
            flags = {word.split("=")[0] for word in call[2:] if word.startswith("--")}
            assert flags <= known, f"{page.name}: elman {call[1]} knows no {flags - known}"


@by_page
def test_settings_on_a_page_are_settings(page, tmp_path):
    for block in blocks(page):
        if block.language == "toml":
            (tmp_path / "config.toml").write_text(block.text, encoding="utf-8")
            make_settings(read_toml(tmp_path / "config.toml"), source=f"{page.name}:{block.line}")


@by_page
@pytest.mark.slow
def test_examples_on_a_page_run(page, tmp_path, monkeypatch):
    """Python and sh blocks of a page run in order, in an empty folder that holds the examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
    namespace = {"__name__": page.stem}
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        if block.language == "sh":
            script = 'elman() { python -m elman "$@"; }\n' + block.text
            done = subprocess.run(
                ["bash", "-euc", script], capture_output=True, text=True, stdin=subprocess.DEVNULL
            )
            assert done.returncode == 0, f"{place}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        elif block.language == "python" and ">>> " in block.text:
            test = doctest.DocTestParser().get_doctest(block.text, namespace, place, str(page), block.line)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            runner.run(test, clear_globs=False)
            namespace = test.globs
            assert runner.summarize(verbose=False).failed == 0, place
        elif block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)  # noqa: S102
