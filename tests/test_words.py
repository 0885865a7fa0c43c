"""A mistake in the words of a command line is one line: the flag, the value, what was expected."""

import shlex

import pytest

from elman.cli import flags, main
from elman.cli.command_flags import Predict
from elman.cli.words import kinds_of
from elman.config import Settings
from elman.errors import ConfigError

# What was typed, and what the message must name.
MISTAKES = {
    "train --cell lstmm": ["--cell", "'lstmm'", "'lstm'", "rnn, gru, lstm"],
    "train --cell=lstmm": ["--cell", "'lstmm'", "'lstm'"],
    "train --cell zzz": ["--cell", "'zzz'", "rnn, gru, lstm"],
    "train --tokens wrds": ["--tokens", "'wrds'", "'words'"],
    "train --hidden-size big": ["--hidden-size", "'big'", "whole number"],
    "train --hidden_size 1.5": ["--hidden_size", "'1.5'", "whole number"],
    "train --hidden-size 0": ["--hidden-size 0", "greater than or equal to 1"],
    "train --learning-rate fast": ["--learning-rate", "'fast'", "no number"],
    "train --dropout 1.5": ["--dropout 1.5", "less than 1"],
    "train --train": ["--train has no value", "--train FILE"],
    "train --train --task tag": ["--train has no value", "'--task'"],
    "train --valid": ["--valid has no value", "FILE|SHARE"],
    "train --crf=yes": ["--crf takes no value", "'yes'", "--no-crf"],
    "train --crf true": ["--crf takes no value", "'true'"],
    "train --no-crf=1": ["--no-crf takes no value", "'1'"],
    "train --no-hidden-size": ["--hidden-size takes a value"],
    "train -e 3": ["'-e'", "elman train --help"],
    "train one.toml two.toml": ["'two.toml'", "a word too many"],
    "evaluate": ["no run is named", "elman evaluate RUN --data FILE"],
    "evaluate runs/x": ["--data", "elman evaluate RUN --data FILE"],
    "evaluate runs/x --data": ["--data has no value", "--data FILE"],
    "predict": ["no run is named", "elman predict RUN"],
    "predict runs/x text --output": ["--output has no value", "FILE.jsonl"],
    "predict runs/x text --json=1": ["--json takes no value", "'1'"],
    "predict runs/x --run y": ["'--run'"],
    "predict runs/x -text": ["'-text'", "after --"],
    "info": ["no run is named", "elman info RUN"],
    "info runs/x runs/y": ["'runs/y'", "a word too many"],
    "info runs/x --no-json": ["'--no-json'", "'--json'"],
    "demo names --seed x": ["--seed", "'x'", "whole number"],
    "demo names cantonese": ["'cantonese'", "a word too many"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_that_names_flag_value_and_what_was_expected(line, capsys):
    assert main(shlex.split(line)) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("error: ") and err.count("\n") == 1, out + err
    for part in MISTAKES[line]:
        assert part in err, err


SWITCHES = ("crf", "pairs", "recursive", "calendar")


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name not in SWITCHES])
def test_every_flag_but_switches_needs_a_value(name):
    if bool in kinds_of(Settings.model_fields[name].annotation):
        flags.train_grammar().check([f"--{name}", f"--no-{name}"])
    else:
        with pytest.raises(ConfigError, match="has no value"):
            flags.train_grammar().check([f"--{name.replace('_', '-')}"])


def test_negative_numbers_and_attached_dashes_are_values():
    settings = flags.read_train(["--forget-bias", "-1.5", "--input=-text"])
    assert settings.forget_bias == -1.5 and settings.input == "-text"


def test_texts_after_two_dashes_may_begin_with_a_dash():
    wanted = flags.read_command(Predict, ["runs/x", "--json", "--", "-a", "--b"], "predict")
    assert wanted.text == ("-a", "--b") and wanted.json


def test_help_goes_before_mistakes(capsys):
    assert main(["train", "--cell", "lstmm", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: elman train")


def test_a_wrong_choice_in_a_settings_file_names_the_nearest(tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text('cell = "lstmm"\n')
    assert main(["train", str(path)]) == 2
    err = capsys.readouterr().err
    assert "config.toml: cell = 'lstmm'" in err and "'lstm'" in err and err.count("\n") == 1


def test_what_only_tyro_refuses_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr("elman.cli.words.Grammar.check", lambda self, arguments: None)
    assert main(["train", "--hidden-size", "big"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and "--hidden-size" in err and "│" not in err
