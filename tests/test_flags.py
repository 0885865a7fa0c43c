"""Help and flags: what the command line explains, reads and refuses before anything is done."""

import pytest
from tiny_cli import said

from elman import cli
from elman.cli import flags
from elman.config import Settings

# Help


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words, capsys):
    out, err = said(capsys, *words)
    assert not err
    for command in cli.COMMANDS:
        assert f"\n  {command} " in out


def test_help_fits_a_terminal_of_eighty_columns():
    assert max(len(line) for line in cli.HELP.splitlines()) <= 80


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_every_command_has_its_own_help(command, capsys):
    out, _ = said(capsys, command, "--help")
    assert out.startswith(f"usage: elman {command}")


def test_help_of_train_shows_every_setting_with_its_default(capsys):
    out, _ = said(capsys, "train", "--help")
    flat = " ".join(out.replace("│", " ").split())
    for name, info in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in flat
        if isinstance(info.default, str):
            assert f"(default: {info.default})" in flat
    assert "--bidirectional, --no-bidirectional" in flat
    assert "None" not in flat


def test_the_version_is_told(capsys):
    assert said(capsys, "--version")[0].startswith("elman ")


# Flags


def test_flags_are_settings(capsys):
    settings = flags.read_train(
        [
            "--task",
            "tag",
            "--valid",
            "0.1",
            "--test",
            "dev.conll",
            "--no-crf",
            "--bidirectional",
            "--hidden-size=7",
        ]
    )
    given = {
        "task": "tag",
        "valid": 0.1,
        "test": "dev.conll",
        "crf": False,
        "bidirectional": True,
        "hidden_size": 7,
    }
    assert settings.model_dump(exclude_unset=True) == given


def test_flags_override_the_toml_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('task = "tag"\ncell = "lstm"\nhidden-size = 8\n')
    settings = flags.read_train([str(path), "--cell", "gru"])
    assert settings.model_dump(exclude_unset=True) == {"task": "tag", "cell": "gru", "hidden_size": 8}


def test_a_wrong_key_in_the_toml_file_is_the_files(tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text('task = "tag"\nhiden_size = 8\n')
    _, err = said(capsys, "train", str(path), code=2)
    assert "config.toml" in err and "'hidden_size'" in err


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["trian"], "'train'"),
        (["train", "--hiden-size", "3"], "'--hidden-size'"),
        (["train", "--hiden-size=3"], "'--hidden-size'"),
        (["train", "--no-bidirectionl"], "'--bidirectional'"),
        (["predict", "runs/x", "text", "--ouput", "x"], "'--output'"),
        (["evaluate", "runs/x", "--dta", "x"], "'--data'"),
        (["info", "runs/x", "--jsn"], "'--json'"),
        (["demo", "nmaes"], "'names'"),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest(words, nearest, capsys):
    out, err = said(capsys, *words, code=2)
    assert not out and err.startswith("error: ") and nearest in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["train"],
        ["train", "data.csv"],
        ["train", "--hidden-size", "three"],
        ["train", "--hidden-size", "0"],
        ["train", "--cell", "grru"],
        ["train", "--train"],
        ["evaluate"],
        ["evaluate", "runs/x"],
        ["predict"],
        ["predict", "runs/x"],
        ["predict", "runs/x", "text", "--data", "x.csv"],
        ["info"],
        ["demo", "names", "--seed", "x"],
    ],
)
def test_wrong_flags_end_with_two_and_one_line(words, capsys):
    out, err = said(capsys, *words, code=2)
    assert not out and err.startswith("error: ") and err.count("\n") == 1
