"""From a raw file to a used model: train, load, predict, evaluate, resume."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import mood_rows, series_rows, tagged_sentences, write_conll, write_csv, write_jsonl

import elman
from elman import metrics
from elman.errors import ConfigError, DataError, RunError

FAST = {"hidden_size": 16, "threads": 1, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def mood_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mood")
    path = write_csv(folder / "train.csv", mood_rows(200))
    return elman.train(
        task="classify",
        train=str(path),
        test=0.2,
        out=str(folder / "run"),
        epochs=4,
        dropout=0.1,
        input_dropout=0.1,
        **FAST,
    )


@pytest.fixture(scope="module")
def name_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    train = write_conll(folder / "train.conll", tagged_sentences(200))
    test = write_conll(folder / "test.conll", tagged_sentences(40, seed=1))
    return elman.train(
        task="tag", train=str(train), test=str(test), out=str(folder / "run"), epochs=10, **FAST
    )


def test_a_classifier_learns_what_decides_the_label(mood_run):
    assert mood_run.result["test"]["accuracy"] == 1.0
    assert [p.prediction for p in mood_run.predict(["the film was awful", "a great song"])] == ["no", "yes"]


def test_probabilities_sum_to_one(mood_run):
    probabilities = mood_run.predict(["what is this"])[0].probabilities
    assert set(probabilities) == {"yes", "no"}
    assert math.isclose(sum(probabilities.values()), 1, abs_tol=1e-6)


def test_a_prediction_does_not_depend_on_its_neighbours(mood_run):
    texts = ["the film was awful", "good", "", "a great song " * 20]
    together = mood_run.predict(texts)
    for text, prediction in zip(texts, together, strict=True):
        alone = mood_run.predict([text])[0].probabilities
        for label, value in alone.items():
            assert math.isclose(value, prediction.probabilities[label], abs_tol=1e-6)


def test_an_input_without_tokens_has_no_tags(name_run):
    for prediction in name_run.predict([[], "", ()]):
        assert prediction.tags == [] and prediction.spans == []


def test_tags_that_are_too_many_are_refused_with_their_row():
    rows = [(["a"], ["X", "Y"]), (["b"], ["Y"])]
    with pytest.raises(DataError, match="row 1: 1 tokens but 2 tags"):
        elman.train(task="tag", train=rows, valid=rows, **FAST)


def test_a_tagger_learns_spans_and_makes_none_that_is_illegal(name_run):
    assert name_run.result["test"]["f1"] > 0.9
    assert name_run.chosen.crf is True
    prediction = name_run.predict([["Pankaj", "Elman", "visits", "Lima", "."]])[0]
    assert prediction.tags == ["B-PER", "I-PER", "O", "B-LOC", "O"]
    assert prediction.spans[0] == {"start": 0, "end": 2, "label": "PER", "text": "Pankaj Elman"}
    for row in name_run.predict(["Lima Lima visits Ada Ada ."] * 3):
        assert metrics.is_legal(row.tags, "BIO")


@pytest.mark.parametrize("crf", [True, False])
def test_a_tagger_with_drawn_weights_makes_no_illegal_span(tmp_path, crf):
    run = elman.train(
        task="tag",
        train=tagged_sentences(30),
        epochs=1,
        crf=crf,
        hidden_size=8,
        threads=1,
        learning_rate=1e-9,
    )
    for words, _ in tagged_sentences(20, seed=2):
        assert metrics.is_legal(run.predict([words])[0].tags, "BIO")


def test_tags_that_break_their_scheme_are_learned_as_they_are():
    rows = [(["Ada", "sleeps"], ["I-PER", "O"]), (["Lima", "sleeps"], ["I-LOC", "O"])] * 30
    run = elman.train(task="tag", train=rows, epochs=8, **FAST)
    assert run.predict([["Ada", "sleeps"]])[0].tags == ["I-PER", "O"]


def test_a_loaded_run_says_the_same(mood_run, name_run):
    for run, inputs in ((mood_run, ["the film was awful"]), (name_run, ["Ada visits Oslo ."])):
        loaded = elman.load(run.folder)
        assert [p.to_json() for p in loaded.predict(inputs)] == [p.to_json() for p in run.predict(inputs)]
        assert loaded.result == json.loads((run.folder / "result.json").read_text())


def test_evaluate_gives_the_scores_of_the_result(name_run):
    metrics_then = name_run.result["test"]
    again = elman.load(name_run.folder).evaluate(name_run.folder.parent / "test.conll").metrics
    assert {k: again[k] for k in ("f1", "accuracy", "loss")} == {
        k: metrics_then[k] for k in ("f1", "accuracy", "loss")
    }
    assert again["baseline"]["accuracy"] == metrics_then["baseline"]["accuracy"]


def test_series_of_unequal_length_are_classified(tmp_path):
    path = write_jsonl(tmp_path / "train.jsonl", series_rows(150))
    run = elman.train(task="classify", train=str(path), test=0.2, out=str(tmp_path / "run"), epochs=4, **FAST)
    assert run.result["test"]["accuracy"] > 0.9
    rising = np.stack([np.arange(5.0), np.full(5, 5.0)], axis=1)
    assert elman.load(run.folder).predict([rising, -rising])[0].prediction == "up"


def test_everything_a_run_folder_promises_is_there(mood_run):
    names = {path.name for path in mood_run.folder.iterdir()}
    assert {
        "config.json",
        "vocab.json",
        "model.safetensors",
        "checkpoints",
        "metrics.jsonl",
        "timing.jsonl",
        "result.json",
        "report.html",
    } <= names
    config = json.loads((mood_run.folder / "config.json").read_text())
    assert config["chosen"]["pooling"] == mood_run.chosen.pooling
    assert config["settings"]["epochs"] == 4
    assert (
        config["data"]["train"]["examples"]
        + config["data"]["valid"]["examples"]
        + config["data"]["test"]["examples"]
        == 200
    )
    for line in (mood_run.folder / "metrics.jsonl").read_text().splitlines():
        assert {"epoch", "step", "train", "valid"} <= set(json.loads(line))


def test_baselines_stand_beside_the_scores(mood_run, name_run):
    assert 0 <= mood_run.result["test"]["baseline"]["accuracy"] <= 1
    assert name_run.result["test"]["baseline"]["name"]


def test_rows_in_memory_train_without_a_folder():
    run = elman.train(task="classify", train=mood_rows(80), epochs=2, **FAST)
    assert run.folder is None
    assert set(run.predict(["good"])[0].probabilities) == {"yes", "no"}


def test_files_and_folders_may_be_paths(tmp_path):
    path = write_csv(tmp_path / "train.csv", mood_rows(40))
    elman.train(task="classify", train=path, valid=path, out=tmp_path / "run", epochs=1, **FAST)
    assert elman.train(resume=tmp_path / "run").result["stopped"] == "finished"


def test_the_seed_decides_every_weight():
    def weights(seed: int) -> dict[str, torch.Tensor]:
        return elman.train(
            task="classify", train=mood_rows(60), epochs=2, seed=seed, **FAST
        ).model.state_dict()

    first, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_training_leaves_the_callers_random_state_and_threads_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    before = torch.get_num_threads()
    elman.train(task="classify", train=mood_rows(40), epochs=1, hidden_size=4, threads=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == before


def test_neighbours_are_the_nearest_by_cosine(mood_run):
    near = mood_run.neighbours("good", count=3)
    vectors = mood_run.model.token_vectors().detach().double()
    vocab = mood_run.task.inputs.vocab
    query = vectors[vocab.id("good")]
    cosines = {
        token: float(vectors[vocab.id(token)] @ query / vectors[vocab.id(token)].norm() / query.norm())
        for token in vocab.tokens[2:]
        if token != "good"
    }
    expected = sorted(cosines.items(), key=lambda pair: -pair[1])[:3]
    assert [token for token, _ in near] == [token for token, _ in expected]
    assert near[0][1] == pytest.approx(expected[0][1])


def test_neighbours_of_an_unknown_word_name_the_nearest_known(mood_run):
    with pytest.raises(DataError, match=r"goodd.*'good'"):
        mood_run.neighbours("goodd")


def test_labels_unseen_in_training_count_as_errors(mood_run):
    metrics_ = mood_run.evaluate([("the film was good", "yes"), ("the film was odd", "maybe")]).metrics
    assert metrics_["accuracy"] == 0.5
    assert math.isfinite(metrics_["loss"])


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_a_test_part_of_unseen_labels_alone_has_no_loss_and_is_written(tmp_path, task):
    rows = {
        "classify": (mood_rows(20), ("a good film", "maybe")),
        "tag": (tagged_sentences(20), ("x", "NEW")),
    }
    train, unseen = rows[task]
    unseen = unseen if task == "classify" else ([unseen[0]], [unseen[1]])
    out = tmp_path / "run"
    run = elman.train(task=task, train=train, test=[unseen], out=str(out), epochs=1, **FAST)
    assert run.result["test"]["loss"] is None and run.result["test"]["accuracy"] == 0
    assert elman.load(out).result == run.result


def test_columns_keep_their_names_in_parts_where_they_stand_elsewhere(tmp_path):
    train = write_csv(tmp_path / "train.csv", mood_rows(40))
    other = tmp_path / "test.csv"
    other.write_text("id,label,text\n1,yes,the film was good\n2,no,the film was bad\n")
    run = elman.train(task="classify", train=str(train), valid=str(other), epochs=1, **FAST)
    assert run.samples(2) == [("the film was good", "yes"), ("the film was bad", "no")]
    other.write_text("id,label\n1,yes\n")
    with pytest.raises(DataError, match=r"test\.csv.*unknown column 'text'"):
        elman.train(task="classify", train=str(train), test=str(other), epochs=1, **FAST)


def test_columns_known_by_number_are_not_looked_up_in_another_format(tmp_path):
    train = write_conll(tmp_path / "train.conll", tagged_sentences(30))
    other = tmp_path / "valid.conllu"
    other.write_text("1\tAda\t_\tB-PER\t_\t_\t0\troot\t_\t_\n2\tsleeps\t_\tO\t_\t_\t1\tdep\t_\t_\n")
    run = elman.train(task="tag", train=str(train), valid=str(other), epochs=1, **FAST)
    assert run.samples(1) == [(("Ada", "sleeps"), ("B-PER", "O"))]


def test_texts_to_tag_are_cut_as_the_training_texts_were(tmp_path):
    path = write_csv(tmp_path / "train.csv", [("a well-known fact", "DET ADJ NOUN"), ("so?", "X")] * 5)
    out = tmp_path / "run"
    run = elman.train(task="tag", train=str(path), valid=str(path), out=str(out), epochs=1, **FAST)
    for model in (run, elman.load(out)):
        assert model.predict(["a well-known\tfact ?"])[0].tokens == ["a", "well-known", "fact", "?"]
        assert [len(row.tags) for row in model.predict_file(path)[:2]] == [3, 1]


def test_predicting_one_text_without_a_list_is_refused(mood_run):
    with pytest.raises(ConfigError, match=r"predict\(\[text\]\)"):
        mood_run.predict("the film was good")


def test_pre_trained_vectors_are_used_and_frozen_ones_stay(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("good 1 2 3\nbad -1 -2 -3\nfilm 0 0 1\n")
    run = elman.train(
        task="classify", train=mood_rows(60), vectors=str(path), embedding="frozen", epochs=2, **FAST
    )
    vocab = run.task.inputs.vocab
    assert run.model.token_vectors()[vocab.id("good")].tolist() == [1, 2, 3]
    assert run.chosen.embedding_size == 3


@pytest.mark.parametrize("embedding", ["trainable", "sparse", "one-hot"])
def test_every_kind_of_embedding_trains(embedding):
    run = elman.train(task="classify", train=mood_rows(120), embedding=embedding, epochs=6, valid=0.2, **FAST)
    assert run.result["valid"]["accuracy"] > 0.9


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", "mean+max"])
def test_every_cell_and_pooling_trains(cell, pooling):
    run = elman.train(task="classify", train=mood_rows(60), cell=cell, pooling=pooling, epochs=1, **FAST)
    assert math.isfinite(run.result["valid"]["loss"])


@pytest.mark.parametrize("characters", ["none", "recurrent", "convolution"])
def test_every_reading_of_spelling_trains(characters):
    run = elman.train(task="tag", train=tagged_sentences(40), characters=characters, epochs=1, **FAST)
    assert math.isfinite(run.result["valid"]["loss"])


def test_training_can_start_from_another_runs_weights(mood_run, tmp_path):
    path = mood_run.folder.parent / "train.csv"
    run = elman.train(
        task="classify",
        train=str(path),
        test=0.2,
        out=str(tmp_path / "more"),
        start_from=str(mood_run.folder),
        epochs=1,
        hidden_size=16,
        threads=1,
        learning_rate=1e-12,
    )
    for name, weight in mood_run.model.state_dict().items():
        assert torch.allclose(run.model.state_dict()[name], weight, atol=1e-8)


def test_weights_whose_labels_stand_in_another_order_are_refused(tmp_path):
    rows = [(np.full((3, 1), float(number)), "down" if number < 5 else "up") for number in range(20)]
    first = elman.train(task="classify", train=rows, out=str(tmp_path / "first"), epochs=1, **FAST)
    assert first.task.labels.tokens == ["up", "down"]
    swapped = [(series, {"up": "down", "down": "up"}[label]) for series, label in rows]
    with pytest.raises(ConfigError, match="other labels"):
        elman.train(
            task="classify", train=swapped, start_from=str(tmp_path / "first"), epochs=1, hidden_size=16
        )


def test_a_finished_run_that_is_resumed_stays_as_it_is(mood_run):
    before = (mood_run.folder / "metrics.jsonl").read_bytes()
    again = elman.train(resume=str(mood_run.folder))
    assert (mood_run.folder / "metrics.jsonl").read_bytes() == before
    assert again.result["test"]["accuracy"] == mood_run.result["test"]["accuracy"]


def test_a_run_stopped_by_time_goes_on_to_the_same_weights(tmp_path):
    path = write_csv(tmp_path / "train.csv", mood_rows(120))
    common = {"task": "classify", "train": str(path), "epochs": 3, **FAST}
    whole = elman.train(out=str(tmp_path / "whole"), **common)
    elman.train(out=str(tmp_path / "parts"), max_minutes=1e-6, **common)
    assert json.loads((tmp_path / "parts" / "result.json").read_text())["stopped"] == "time"
    rest = elman.train(resume=str(tmp_path / "parts"))
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(rest.model.state_dict()[name], weight)
    assert (tmp_path / "parts" / "metrics.jsonl").read_bytes() == (
        tmp_path / "whole" / "metrics.jsonl"
    ).read_bytes()


def test_truncated_gradients_train_and_two_directions_refuse_them():
    run = elman.train(
        task="classify", train=mood_rows(60), bptt_window=2, bidirectional=False, epochs=1, **FAST
    )
    assert math.isfinite(run.result["valid"]["loss"])
    with pytest.raises(ConfigError, match="bidirectional"):
        elman.train(task="classify", train=mood_rows(60), bptt_window=2, bidirectional=True, epochs=1, **FAST)


def test_class_weights_are_balanced_on_request():
    rows = mood_rows(60) + [("so so", "maybe")] * 4
    run = elman.train(task="classify", train=rows, valid=0.25, class_weights="balanced", epochs=1, **FAST)
    counts = torch.tensor(run.task.labels.counts, dtype=torch.float32)
    assert torch.allclose(
        run.model.class_weights * counts, torch.full_like(counts, float(counts.sum()) / len(counts))
    )


def test_two_trainings_cannot_share_a_folder(tmp_path):
    from elman.training.lock import RunLock

    with RunLock(tmp_path), pytest.raises(RunError):
        elman.train(task="classify", train=mood_rows(40), out=str(tmp_path), epochs=1, **FAST)


def test_summary_names_every_weight_and_counts_them(mood_run):
    text = mood_run.summary()
    for name, _ in mood_run.model.named_parameters():
        assert name in text
    assert f"{sum(w.numel() for w in mood_run.model.parameters()):,}" in text


def test_a_report_stands_alone(mood_run):
    page = Path(mood_run.folder / "report.html").read_text(encoding="utf-8")
    assert "<html" in page and 'src="http' not in page
