"""What commands print and write: --output that is refused before anything is computed, and widths of help."""

from dataclasses import is_dataclass

import pytest

from elman.cli import command_flags, main, tune

COMMANDS = [["xray", "run"], ["compare", "a", "b"], ["generate", "run"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_promises_another_format_is_refused(command, tmp_path, capsys):
    assert main([*command, "--output", str(tmp_path / "said.txt")]) == 2
    ending = ".jsonl" if command[0] == "generate" else ".html"
    assert f"name a file that ends in {ending}" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_is_not_there_is_told_before_the_run_is_read(command, tmp_path, capsys):
    ending = "jsonl" if command[0] == "generate" else "html"
    assert main([*command, "--output", str(tmp_path / "no" / f"said.{ending}")]) == 1
    assert f"there is no folder {tmp_path / 'no'}" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "ending"), [("xray", "html"), ("compare", "html"), ("predict", "jsonl")])
def test_a_missing_name_is_asked_for_with_its_ending(command, ending, capsys):
    assert main([command, "run", "--output"]) == 2
    assert f"expected: --output FILE.{ending}" in capsys.readouterr().err


def test_a_flag_that_has_no_opposite_is_not_offered_one(capsys):
    assert main(["compare", "a", "b", "--xray=true"]) == 2
    assert "--no-xray" not in capsys.readouterr().err


def test_what_help_says_first_keeps_to_80_columns():
    said = [each.__doc__ for each in vars(command_flags).values() if is_dataclass(each)] + [tune.HELP]
    heads = [text.split("Args:")[0] for text in said]
    assert len(heads) > 8 and not [line for text in heads for line in text.splitlines() if len(line) > 84]


def test_the_list_of_demos_keeps_to_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
