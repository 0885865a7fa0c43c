"""--output: what is refused before anything is computed."""

import pytest

from elman.cli import main

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
