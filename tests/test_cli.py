"""The command line: from `elman train` to `elman predict`, what goes where, and what an error looks like."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from tiny import mood_rows, series_rows, tagged_sentences, write_conll, write_csv, write_jsonl
from tiny_cli import said

from elman import cli, terminal
from elman.cli import commands, main

SOURCES = Path(__file__).parent.parent / "src"
FAST = ["--hidden-size", "16", "--threads", "1", "--learning-rate", "0.02", "--epochs", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with data of each kind."""
    folder = tmp_path_factory.mktemp("cli")
    write_csv(folder / "mood.csv", mood_rows(200))
    write_conll(folder / "names.conll", tagged_sentences(200))
    write_jsonl(folder / "series.jsonl", series_rows(120))
    return folder


@pytest.fixture(scope="module")
def mood(folder) -> str:
    """Return the folder of a classifier that was trained by the command line."""
    out = str(folder / "mood")
    assert (
        main(
            [
                "train",
                "--task",
                "classify",
                "--train",
                str(folder / "mood.csv"),
                "--test",
                "0.2",
                "--out",
                out,
                *FAST,
            ]
        )
        == 0
    )
    return out


@pytest.fixture(scope="module")
def names(folder) -> str:
    """Return the folder of a tagger that was trained by the command line."""
    out = str(folder / "names")
    assert (
        main(
            [
                "train",
                "--task",
                "tag",
                "--train",
                str(folder / "names.conll"),
                "--test",
                "0.2",
                "--out",
                out,
                *FAST,
            ]
        )
        == 0
    )
    return out


@pytest.fixture(scope="module")
def series(folder) -> str:
    """Return the folder of a classifier of numbers."""
    out = str(folder / "series")
    assert (
        main(["train", "--task", "classify", "--train", str(folder / "series.jsonl"), "--out", out, *FAST])
        == 0
    )
    return out


def the_object(capsys, *arguments: str) -> dict:
    """Run a command with --json; return the one object that standard output holds."""
    out, _ = said(capsys, *arguments, "--json")
    assert out.count("\n") == 1
    value = json.loads(out)
    assert isinstance(value, dict)
    return value


def run_elman(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "COLUMNS": "80"}
    command = [sys.executable, "-m", "elman", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


# Errors


def test_a_run_that_is_not_there_is_one_message(tmp_path, capsys):
    out, err = said(capsys, "info", str(tmp_path / "nowhere"), code=1)
    assert not out and err.startswith("error: ") and "nowhere" in err


def test_a_bug_shows_its_traceback(monkeypatch):
    def broken(arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr(commands, "info", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["info", "runs/x"])


def test_ctrl_c_outside_of_training_ends_quietly(monkeypatch, capsys):
    def stopped(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "info", stopped)
    assert main(["info", "runs/x"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


@pytest.mark.slow
def test_a_reader_that_stops_reading_ends_it_quietly(names):
    command = [sys.executable, "-m", "elman", "predict", names, "Ada visits Paris ."]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == cli.EXIT_BROKEN_PIPE


# Train


def test_train_shows_scores_the_verdict_samples_and_where_the_report_is(folder, capsys):
    out_folder = folder / "shown"
    out, err = said(
        capsys, "train", "--task", "classify", "--train", str(folder / "mood.csv"), "--test", "0.2",
        "--out", str(out_folder), *FAST,
    )  # fmt: skip
    assert "accuracy" in out and "Accuracy on the test part is" in out and "baseline" in out
    assert "from the test part:" in out and "→" in out
    assert f"report   {out_folder / 'report.html'}" in out and (out_folder / "report.html").exists()
    assert "epoch 4/4" in err and "tokens words" in err, "choices and progress go to standard error"
    assert "epoch 4/4" not in out
    assert all(cell_len(line) <= 80 for line in out.splitlines() if str(folder) not in line)


def test_columns_that_nobody_named_and_that_are_not_read_are_told(folder, tmp_path, capsys):
    table = tmp_path / "numbered.csv"
    rows = (folder / "mood.csv").read_text().splitlines()
    table.write_text("\n".join(f"{'id' if number == 0 else number},{row}" for number, row in enumerate(rows)))
    text, label = rows[0].split(",")
    shared = ["train", "--task", "classify", "--train", str(table), *FAST, "--epochs", "1"]
    _, err = said(capsys, *shared)
    note = f"note: 'id' is read as the input and {label!r} as the target; not read: {text};"
    assert note in " ".join(err.split())
    _, err = said(capsys, *shared, "--input", text, "--target", label)
    assert "not read" not in err
    shared[2] = "generate"
    _, err = said(capsys, *shared, "--condition", label)
    assert f"{label!r} as the condition; not read: {text}" in " ".join(err.split())
    _, err = said(capsys, *shared, "--input", text, "--condition", label)
    assert "not read" not in err


def test_a_folder_with_a_run_is_refused(folder, mood, capsys):
    _, err = said(
        capsys, "train", "--task", "classify", "--train", str(folder / "mood.csv"), "--out", mood, code=1
    )
    assert err.startswith("error: ") and "--resume" in err


def test_a_finished_run_that_is_resumed_says_the_same_again(mood, capsys):
    before = json.loads((Path(mood) / "result.json").read_text())
    said(capsys, "train", "--resume", mood)
    after = json.loads((Path(mood) / "result.json").read_text())
    assert {name: after[name] for name in ("valid", "test", "best")} == {
        name: before[name] for name in ("valid", "test", "best")
    }


# Evaluate


def test_evaluate_shows_the_baseline_beside_the_model(folder, mood, capsys):
    out, _ = said(capsys, "evaluate", mood, "--data", str(folder / "mood.csv"))
    assert "mood.csv" in out and "model" in out and "precision" in out and "Accuracy on mood.csv" in out


def test_evaluate_json_is_one_object_as_in_result_json(folder, mood, capsys):
    scores = the_object(capsys, "evaluate", mood, "--data", str(folder / "mood.csv"))
    assert 0.9 < scores["accuracy"] <= 1 and "accuracy" in scores["baseline"] and "loss" in scores
    stored = json.loads((Path(mood) / "result.json").read_text())["test"]
    assert set(stored) == set(scores)


# Predict


def test_tags_stand_under_their_words(names, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out, _ = said(capsys, "predict", names, "Ada visits Paris .")
    words, tags = out.splitlines()
    assert words.split() == ["Ada", "visits", "Paris", "."]
    assert tags.split() == ["B-PER", "O", "B-LOC", "O"]
    assert [words.index(word) for word in ("Ada", "visits", "Paris")] == [
        tags.index("B-PER"), tags.index(" O ") + 1, tags.index("B-LOC"),
    ]  # fmt: skip


def test_an_empty_text_is_said_to_have_nothing_in_it(names, mood, capsys):
    assert said(capsys, "predict", names, "")[0] == f"{terminal.NO_TOKENS}\n"
    assert said(capsys, "predict", mood, "")[0].startswith("(an empty text)\n")


def test_a_classifier_shows_its_likeliest_labels(mood, capsys):
    out, _ = said(capsys, "predict", mood, "the film was good", "the film was awful")
    lines = out.splitlines()
    assert lines[0] == "the film was good" and lines[1].split()[0] == "yes" and "█" in lines[1]
    assert lines[3] == "the film was awful" and lines[4].split()[0] == "no"


def test_predict_json_is_one_object_in_the_inputs_order(mood, names, capsys):
    texts = ["the film was good", "the film was awful"]
    predictions = the_object(capsys, "predict", mood, *texts)["predictions"]
    assert [each["input"] for each in predictions] == texts
    assert [each["prediction"] for each in predictions] == ["yes", "no"]
    assert sum(predictions[0]["probabilities"].values()) == pytest.approx(1)
    tagged = the_object(capsys, "predict", names, "Ada visits Paris .")["predictions"][0]
    assert tagged["tags"] == ["B-PER", "O", "B-LOC", "O"] and tagged["spans"][1]["label"] == "LOC"


def test_predict_writes_a_line_a_row_in_the_files_order(folder, mood, tmp_path, capsys):
    path = tmp_path / "out.jsonl"
    out, err = said(capsys, "predict", mood, "--data", str(folder / "mood.csv"), "--output", str(path))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert not out and "200 predictions" in err
    assert [row["input"] for row in rows] == [text for text, _ in mood_rows(200)]
    assert all({"input", "prediction", "probabilities"} <= row.keys() for row in rows)


def test_predict_on_a_file_shows_a_line_a_row(folder, mood, capsys):
    out, _ = said(capsys, "predict", mood, "--data", str(folder / "mood.csv"))
    assert len(out.splitlines()) == 200


def test_predict_reads_standard_input(mood):
    done = run_elman("predict", mood, "-", "--json", input="the film was good\nthe book was bad\n")
    assert done.returncode == 0, done.stderr
    assert [each["prediction"] for each in json.loads(done.stdout)["predictions"]] == ["yes", "no"]


def test_a_model_of_numbers_takes_json_arrays(series, capsys):
    out, _ = said(capsys, "predict", series, "[[0, 5], [1, 5], [2, 5], [3, 5]]")
    assert out.splitlines()[1].split()[0] == "up"
    _, err = said(capsys, "predict", series, "rising", code=1)
    assert "JSON array" in err and "[[0.1, 0.2], [0.3, 0.4]]" in err
    _, err = said(capsys, "predict", series, "5.1", code=1)
    assert "'5.1' is no JSON array" in err and "[[0.1, 0.2], [0.3, 0.4]]" in err


def test_an_output_named_as_another_kind_of_file_is_refused_before_the_work(mood, tmp_path, capsys):
    _, err = said(capsys, "predict", mood, "x", "--output", str(tmp_path / "out.csv"), code=2)
    assert "ends in .jsonl." in err and not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_one_message(mood, tmp_path, capsys):
    _, err = said(capsys, "predict", mood, "x", "--output", str(tmp_path / "no" / "out.jsonl"), code=1)
    assert err.startswith("error: ") and "out.jsonl" in err


def test_a_text_cannot_steer_the_terminal(mood, names, capsys):
    for model in (mood, names):
        out, _ = said(capsys, "predict", model, "\x1b[31mred\x07 \x9b2J good")
        assert not [character for character in out if character < " " and character != "\n"]
        assert "\x9b" not in out


# Info


def test_info_shows_layers_settings_data_and_scores(mood, capsys):
    out, _ = said(capsys, "info", mood)
    for part in ("LSTM", "parameters", "hidden_size", "given", "train", "accuracy", "baseline"):
        assert part in out


def test_info_json_is_one_object(mood, capsys):
    info = the_object(capsys, "info", mood)
    assert info["task"] == "classify" and info["chosen"]["hidden_size"] == 16 and info["parameters"] > 0


def test_info_lists_the_nearest_words(mood, capsys):
    out, _ = said(capsys, "info", mood, "--neighbours", "good")
    assert "nearest to good" in out and len(out.splitlines()) > 5
    near = the_object(capsys, "info", mood, "--neighbours", "good")
    assert near["word"] == "good" and all(-1.001 <= cosine <= 1.001 for _, cosine in near["neighbours"])


# What a person sees


def test_colour_is_for_terminals_alone(monkeypatch, capsys):
    assert terminal.paint("x", terminal.BOLD) == "x"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.paint("x", terminal.BOLD) == "\x1b[1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("x", terminal.BOLD) == "x"


def test_json_holds_no_number_that_json_cannot():
    value = {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": (1, None)}}
    assert (
        json.dumps(commands.finite(value), allow_nan=False)
        == '{"a": null, "b": [null, 1.5], "c": {"d": [1, null]}}'
    )
