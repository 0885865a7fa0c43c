"""Every mistake that a user can make is one message that names the place; nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import mood_rows, series_rows, tagged_sentences, write_conll, write_csv, write_jsonl

from elman.cli import main

FAST = ["--epochs", "1", "--hidden-size", "4", "--threads", "1"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """Run a command that must fail; return its message, having checked that it is one message."""
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    message = err[err.index("error: ") :]
    assert message.count("error: ") == 1
    assert len(message.strip().splitlines()) == 1, message
    return message


def classify(path: Path, out: Path, *more: str) -> list[str]:
    return ["train", "--task", "classify", "--train", str(path), "--out", str(out), *FAST, *more]


def tag(path: Path, out: Path, *more: str) -> list[str]:
    return ["train", "--task", "tag", "--train", str(path), "--out", str(out), *FAST, *more]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "good.csv", mood_rows(40))


def test_an_empty_file_is_named(tmp_path, capsys):
    path = tmp_path / "empty.csv"
    path.write_text("")
    assert "empty.csv" in refused(capsys, *classify(path, tmp_path / "run"))


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert "nowhere.csv" in refused(capsys, *classify(tmp_path / "nowhere.csv", tmp_path / "run"))


def test_a_mistyped_file_is_named_with_the_nearest(good, tmp_path, capsys):
    message = refused(capsys, *classify(tmp_path / "goood.csv", tmp_path / "run"))
    assert "goood.csv" in message and f"did you mean '{good}'?" in message
    message = refused(capsys, *classify(tmp_path / "zzz" / "good.csv", tmp_path / "run"))
    assert "there is no folder" in message
    message = refused(capsys, *classify(good, tmp_path / "run", "--vectors", str(tmp_path / "god.csv")))
    assert f"did you mean '{good}'?" in message


def test_labels_that_are_to_be_tags_are_told_the_other_task(good, tmp_path, capsys):
    message = refused(capsys, *tag(good, tmp_path / "run"))
    assert "good.csv:" in message and "but 1 tag;" in message and "--task classify" in message
    path = write_jsonl(tmp_path / "tokens.jsonl", [{"words": ["a", "b"], "label": "x"}] * 9)
    message = refused(capsys, *tag(path, tmp_path / "run"))
    assert "the input is tokens, the target a text" in message and "--task classify" in message


def test_tags_that_are_to_be_labels_are_told_the_other_task(tmp_path, capsys):
    path = write_conll(tmp_path / "train.conll", tagged_sentences(20))
    message = refused(capsys, *classify(path, tmp_path / "run"))
    assert "a list of" in message and "--task tag" in message and "(" not in message.split("train.conll")[1]


def test_what_is_no_run_is_told_what_a_run_is(good, tmp_path, capsys):
    message = refused(capsys, "predict", str(good), "a text")
    assert "good.csv: is a file" in message and "elman train --out" in message and "--data" in message
    (tmp_path / "reviews").mkdir()
    message = refused(capsys, "info", str(tmp_path / "reviws"))
    assert f"did you mean '{tmp_path / 'reviews'}'?" in message
    assert "elman train --out" in refused(capsys, "info", str(tmp_path / "zzz"))


def test_a_missing_column_is_named_with_the_nearest(good, tmp_path, capsys):
    message = refused(capsys, *classify(good, tmp_path / "run", "--target", "lable"))
    assert "good.csv" in message and "lable" in message and "'label'" in message


def test_an_unknown_tag_column_is_named_with_the_nearest(tmp_path, capsys):
    path = tmp_path / "train.conllu"
    path.write_text(
        "".join(
            "1\tI\ti\tPRON\t_\t_\t0\troot\t_\t_\n2\tsee\tsee\tVERB\t_\t_\t1\tx\t_\t_\n\n" for _ in range(9)
        )
    )
    message = refused(capsys, *tag(path, tmp_path / "run", "--target", "uposs"))
    assert "uposs" in message and "upos" in message


def test_one_label_only_is_not_enough(tmp_path, capsys):
    path = write_csv(tmp_path / "one.csv", [("good film", "yes")] * 20)
    message = refused(capsys, *classify(path, tmp_path / "run"))
    assert "one.csv" in message and "'yes'" in message


def test_a_row_with_a_missing_field_is_named_by_line(good, tmp_path, capsys):
    good.write_text(good.read_text() + "no label here\n")
    assert "good.csv:42" in refused(capsys, *classify(good, tmp_path / "run"))


def test_bad_utf8_is_named_by_line(good, tmp_path, capsys):
    good.write_bytes(good.read_bytes() + b"caf\xe9 latte,yes\n")
    message = refused(capsys, *classify(good, tmp_path / "run"))
    assert "good.csv:42" in message and "UTF-8" in message


def test_conll_with_uneven_columns_is_named_by_line(tmp_path, capsys):
    path = write_conll(tmp_path / "train.conll", tagged_sentences(20))
    lines = path.read_text().splitlines()
    lines[2] = lines[2].split("\t")[0]
    path.write_text("\n".join(lines) + "\n")
    assert "train.conll:3" in refused(capsys, *tag(path, tmp_path / "run"))


def test_nan_in_vectors_is_named_by_line(good, tmp_path, capsys):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("good 0.1 0.2\nbad nan 0.2\n")
    assert "vectors.txt:2" in refused(capsys, *classify(good, tmp_path / "run", "--vectors", str(vectors)))


def test_nan_in_a_series_is_named_by_line(tmp_path, capsys):
    path = write_jsonl(tmp_path / "series.jsonl", series_rows(20))
    path.write_text(path.read_text() + '{"series": [[1.0, NaN]], "label": "up"}\n')
    assert "series.jsonl:21" in refused(capsys, *classify(path, tmp_path / "run"))


def test_an_unknown_key_in_a_settings_file_is_named_with_the_nearest(good, tmp_path, capsys):
    config = tmp_path / "config.toml"
    config.write_text(f'task = "classify"\ntrain = "{good}"\nout = "{tmp_path}/run"\nhiden_size = 3\n')
    message = refused(capsys, "train", str(config), code=2)
    assert "hiden_size" in message and "'hidden_size'" in message and "config.toml" in message


def test_an_unknown_flag_is_named_with_the_nearest(good, tmp_path, capsys):
    message = refused(capsys, *classify(good, tmp_path / "run"), "--hiden-size", "3", code=2)
    assert "--hiden-size" in message and "--hidden-size" in message


def test_a_folder_with_a_run_in_it_is_left_as_it_is(good, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(classify(good, run)) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert "--resume" in refused(capsys, *classify(good, run))
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_folder_with_other_things_in_it_is_left_as_it_is(good, tmp_path, capsys):
    run = tmp_path / "mine"
    run.mkdir()
    (run / "thesis.txt").write_text("precious")
    assert "thesis.txt" in refused(capsys, *classify(good, run))
    assert [path.name for path in run.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's way of dropping root")
def test_no_permission_to_write_is_said(good, tmp_path, capsys, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    if os.access(closed, os.W_OK):  # root may write everywhere: let the folder's maker be refused by hand
        real = Path.mkdir

        def mkdir(self, *args, **kwargs):
            if closed in self.parents:
                raise PermissionError(13, "Permission denied", str(self))
            return real(self, *args, **kwargs)

        monkeypatch.setattr(Path, "mkdir", mkdir)
    message = refused(capsys, *classify(good, closed / "run"))
    assert "permission" in message and "closed" in message


def test_a_full_disk_is_said_and_what_was_there_stays(good, tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        (disk / "mine.txt").write_text("precious")
        message = refused(capsys, *classify(good, disk / "run", "--hidden-size", "64"))
        assert ("disk is full" in message or "No space left" in message) and "run" in message
        assert (disk / "mine.txt").read_text() == "precious"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_loses_nothing_when_there_is_room_again(good, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(classify(good, run)) == 0
    assert json.loads((run / "result.json").read_text())["best"]["step"] > 0
    shutil.rmtree(run / "checkpoints")
    assert main(["predict", str(run), "a good film"]) == 0


def test_no_task_is_said_with_the_choice(good, tmp_path, capsys):
    message = refused(capsys, "train", "--train", str(good), "--out", str(tmp_path / "run"), code=2)
    assert "--task" in message and "classify" in message and "tag" in message


def test_no_training_data_is_said(tmp_path, capsys):
    assert "--train" in refused(capsys, "train", "--task", "tag", "--out", str(tmp_path / "run"), code=2)


def test_a_damaged_run_is_named(good, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(classify(good, run)) == 0
    model = run / "model.safetensors"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))
    capsys.readouterr()
    assert "model.safetensors" in refused(capsys, "predict", str(run), "a good film")


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert "no config.json" in refused(capsys, "predict", str(tmp_path), "a good film")


@pytest.mark.parametrize("wrong", [["--target", "lable"], ["--metric", "f1"], ["--bptt-window", "2"]])
def test_after_a_mistake_the_same_folder_can_be_named_again(good, tmp_path, capsys, wrong):
    run = tmp_path / "run"
    assert main([*classify(good, run), *wrong]) in (1, 2)
    assert main(classify(good, run)) == 0


def test_a_run_that_has_not_trained_yet_is_named(good, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(classify(good, run)) == 0
    (run / "model.safetensors").unlink()
    capsys.readouterr()
    assert f"--resume {run}" in refused(capsys, "predict", str(run), "a good film")
    config = json.loads((run / "config.json").read_text())
    del config["chosen"]  # as it is while the data are read
    (run / "config.json").write_text(json.dumps(config))
    assert f"--resume {run}" in refused(capsys, "info", str(run))


def test_a_series_given_to_a_text_model_is_named(good, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(classify(good, run)) == 0
    path = write_jsonl(tmp_path / "series.jsonl", series_rows(3))
    capsys.readouterr()
    message = refused(capsys, "predict", str(run), "--data", str(path))
    assert "series.jsonl" in message


def test_resuming_with_changed_data_is_refused(good, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(classify(good, run)) == 0
    write_csv(good, mood_rows(40, seed=1))
    assert "changed" in refused(capsys, "train", "--resume", str(run))


def test_resuming_with_another_network_is_refused(good, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(classify(good, run)) == 0
    assert "hidden_size" in refused(capsys, "train", "--resume", str(run), "--hidden-size", "9", code=2)


def test_an_unknown_metric_is_refused_before_training_with_the_nearest(good, tmp_path, capsys):
    message = refused(capsys, *classify(good, tmp_path / "run", "--metric", "acuracy"), code=2)
    assert "acuracy" in message and "'accuracy'" in message
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize("task", ["classify", "forecast"])
def test_a_folder_in_the_place_of_a_file_is_named(task, tmp_path, capsys):
    message = refused(
        capsys, "train", "--task", task, "--train", str(tmp_path), "--out", str(tmp_path / "run")
    )
    assert f"{tmp_path}: is a folder" in message


def test_a_file_in_the_place_of_the_run_folder_is_named(good, capsys):
    for out in (good, good / "run"):
        assert "a file is in the way; name another folder" in refused(capsys, *classify(good, out))


def test_a_training_that_is_not_kept_says_so(good, tmp_path, capsys):
    assert main(["train", "--task", "classify", "--train", str(good), *FAST]) == 0
    assert "no --out FOLDER is named: the model is not kept" in capsys.readouterr().err
    assert main(classify(good, tmp_path / "run")) == 0
    assert "not kept" not in capsys.readouterr().err
