"""The task translate, from pairs to outputs: what it chooses, writes, scores and refuses."""

import json
import random

import jiwer
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import write_jsonl

import elman
from elman.data.example import Example
from elman.errors import ConfigError, DataError
from elman.metrics.translation import edit_distance, error_rate, text_scores
from elman.patterns.translate import STOP
from elman.report import ReportData, make_page
from elman.run import score
from elman.tasks.sides import choose_side
from elman.training.checkpoint import list_checkpoints

FAST = {"task": "translate", "threads": 1, "epochs": 2, "hidden_size": 8, "embedding_size": 4, "valid": 0.2}
NO_VALID = {name: value for name, value in FAST.items() if name != "valid"}


def reversals(count, seed=0, longest=5):
    """Words and their letters from the end, with spaces between them."""
    draw = random.Random(seed)
    words = ["".join(draw.choice("abcd") for _ in range(draw.randint(1, longest))) for _ in range(count)]
    return [(word, " ".join(reversed(word))) for word in words]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return elman.train(train=reversals(60), test=0.2, out=tmp_path_factory.mktemp("run") / "one", **FAST)


def test_it_learns_to_write_words_from_their_end():
    rows = reversals(500, longest=3)
    trained = elman.train(
        task="translate", train=rows, valid=rows[:50], threads=1, epochs=25, hidden_size=32,
        embedding_size=16, learning_rate=1e-2, dropout=0.0, cell="gru",
    )  # fmt: skip
    assert trained.result["valid"]["exact_match"] > 0.9
    assert trained.predict(["abc"])[0].prediction == "c b a"


def test_it_chooses_letters_for_words_and_symbols_for_sounds(run):
    assert (run.chosen.tokens, run.chosen.target_tokens) == ("characters", "spaces")
    assert choose_side(None, ["I know.", "You don't, do you?"]) == "words"
    assert choose_side(None, [("a", "b"), ("c",)]) == "spaces"


def test_a_prediction_is_a_text_with_its_log_probability(run):
    best = run.predict(["abc"])[0]
    assert isinstance(best.prediction, str) and best.score < 0
    assert best.attention.weights.shape == (len(best.attention.target), 3)
    line = best.to_json()
    assert set(line) == {"input", "prediction", "score"} and json.dumps(line)


@pytest.fixture(scope="module")
def babbler():
    """Return a model that never stops: the stop token has no probability."""
    trained = elman.train(train=reversals(60), test=0.2, **FAST)
    with torch.no_grad():
        trained.model.decoder.output.bias[STOP] = -torch.inf
    return trained


def test_an_output_that_was_cut_says_so(babbler):
    longest = babbler.chosen.max_target_length
    for said in babbler.predict(["abc", "d"], n_best=2):
        assert said.cut is True and said.to_json()["cut"] is True
        assert len(said.prediction.split()) == longest
        assert [row["cut"] for row in said.n_best] == [True, True]
    assert babbler.predict([""])[0].cut is None  # of nothing, nothing is cut


def test_cut_outputs_are_counted_and_reported(babbler, tmp_path):
    rows = [("abc", "c b a"), ("abc", "c b"), ("d", "d")]
    evaluation = score(babbler.task, babbler.model, babbler.baseline, [Example(*row) for row in rows])
    assert evaluation.metrics["cut_outputs"] == 2  # sources
    assert evaluation.metrics["alarms"][0].startswith("2 of 2 outputs reached the longest length")
    page = make_page(ReportData("one", "translate", "token_error_rate", evaluation=evaluation))
    assert "2 of 2 outputs reached the longest length" in page


def test_an_output_that_ended_by_itself_is_not_marked(babbler):
    with torch.no_grad():
        babbler.model.decoder.output.bias[STOP] = 1e9
    said = babbler.predict(["abc"])[0]
    assert said.cut is None and "cut" not in said.to_json()
    metrics = babbler.evaluate([("abc", "c b a")]).metrics
    assert metrics["cut_outputs"] == 0 and "alarms" not in metrics


def test_the_n_best_begin_with_the_prediction(run):
    best = run.predict(["abc"], beam_size=4, n_best=3)[0]
    assert len(best.n_best) == 3 and best.n_best[0]["prediction"] == best.prediction
    assert best.n_best[0]["score"] == best.score


def test_what_was_saved_predicts_what_was_trained(run):
    again = elman.load(run.folder)
    for one, other in zip(run.predict(["abc", "d"]), again.predict(["abc", "d"]), strict=True):
        assert (one.prediction, one.score) == (other.prediction, other.score)
    assert again.evaluate(reversals(9, seed=3)).metrics == run.evaluate(reversals(9, seed=3)).metrics


def test_characters_that_training_never_saw_are_unknown_ones(run):
    assert isinstance(run.predict(["axz"])[0].prediction, str)


def test_of_nothing_nothing_is_made(run):
    empty, full = run.predict(["", "abc"])
    assert (empty.prediction, empty.score) == ("", 0.0)
    assert full.prediction == run.predict(["abc"])[0].prediction


def test_a_list_is_tokens_and_a_text_is_cut(run):
    assert run.predict([["a", "b"]])[0].prediction == run.predict(["ab"])[0].prediction


def test_a_source_with_several_targets_is_scored_once_by_the_nearest(run):
    said = run.predict(["abc"])[0].prediction
    metrics = run.evaluate([("abc", "d d d d d d"), ("abc", said or "a")]).metrics
    if said:
        assert metrics["exact_match"] == 1.0 and metrics["token_error_rate"] == 0.0


def test_a_source_stands_on_one_side_of_a_split_only():
    rows = [(word, target) for word, target in reversals(40) for _ in range(2)]
    trained = elman.train(train=rows, test=0.3, **FAST)
    held = {example.input for example in trained.held_out}
    total = trained.data["train"]["examples"] + trained.data["valid"]["examples"]
    assert sum(source not in held for source, _ in rows) == total


@pytest.mark.parametrize("schedule", ["always", "inverse-sigmoid"])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, schedule):
    rows = reversals(60)
    settings = FAST | {"teacher_forcing": schedule, "epochs": 3}
    whole = elman.train(train=rows, out=tmp_path / "whole", **settings)
    elman.train(train=rows, out=tmp_path / "part", max_minutes=1e-6, **settings)
    again = elman.train(train=rows, resume=tmp_path / "part")
    one, other = (list_checkpoints(folder / "checkpoints")[-1] for folder in (whole.folder, again.folder))
    assert one.name == other.name
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_tokens_on_the_source_side_may_be_listed(tmp_path):
    rows = [{"source": [*word, "PLURAL"], "target": word + "s"} for word, _ in reversals(30)]
    trained = elman.train(train=str(write_jsonl(tmp_path / "a.jsonl", rows)), **FAST)
    assert (trained.chosen.tokens, trained.chosen.target_tokens) == ("spaces", "characters")
    assert "PLURAL" in trained.task.inputs.vocab


def test_syllables_taken_apart_come_back_whole():
    rows = [("ab", "한국"), ("c", "말"), ("ba", "국한")] * 8
    trained = elman.train(train=rows, valid=rows, target_tokens="characters", normal_form="nfd", **NO_VALID)
    side = trained.task.outputs
    letters = side.tokens_of(Example("한국"))
    assert len(letters) == 6 and "한" not in side.vocab
    assert side.join(letters) == "한국"


def test_one_vocabulary_may_serve_both_sides():
    trained = elman.train(train=reversals(40), shared_vocab=True, **FAST)
    assert trained.task.inputs.vocab == trained.task.outputs.vocab


def test_a_vocabulary_of_one_symbol_is_enough():
    trained = elman.train(train=[("a" * n, "x" * n) for n in range(1, 6)] * 6, **FAST)
    assert set(trained.predict(["aaa"])[0].prediction) <= {"x"}


def test_lists_of_any_two_lengths_are_a_pair(tmp_path):
    rows = [(list(word), [*reversed(word), "end"]) for word, _ in reversals(30)]
    trained = elman.train(train=rows, **FAST)
    assert isinstance(trained.predict([["a", "b"]])[0].prediction, str)


def test_the_nearest_source_is_scored_by_the_tokens_of_its_target():
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed (extra: text)")
    rows = [("la une", "the dogs' bones are here"), ("un deux", "rock 'n' roll is good")] * 20
    own = {"valid": rows, "target_tokens": "words", "tokens": "words"}
    trained = elman.train(train=rows, **FAST | own)
    found = trained.result["valid"]["baseline"]
    assert found["exact_match"] == 1 and found["token_error_rate"] == 0


def test_chrono_gates_are_for_every_pattern():
    elman.train(train=reversals(20), init="chrono", memory_steps=9, **FAST)


@pytest.mark.parametrize("attention", ["additive", "none"])
def test_every_attention_trains_and_searches(attention):
    trained = elman.train(train=reversals(40), attention=attention, **FAST)
    assert (trained.predict(["ab"])[0].attention is None) == (attention == "none")


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([("", "x"), *reversals(20)], {}, "row 1: the source is empty"),
        ([("a", " "), *reversals(20)], {}, "row 1: .*target"),
        ([("a", None), *reversals(20)], {}, "row 1: .*no target"),
        (reversals(20), {"max_target_length": 2}, "have more than max_target_length = 2 tokens"),
        ([("a", "b")], {}, "1 example"),
        (reversals(20), {"crf": True}, "crf is for tag"),
        (reversals(20), {"bptt_window": 4}, "bptt_window is for"),
        (reversals(20), {"metric": "bleu"}, "unknown metric 'bleu'"),
        (reversals(20), {"teacher_forcing": "exponential", "teacher_forcing_end": 0.0}, "above 0"),
        (reversals(20), {"teacher_forcing": "linear", "weight_drop": 0.2}, "leave out one or the other"),
        (reversals(20), {"attention": "additive", "weight_drop": 0.2}, "choose attention multiplicative"),
    ],
)
def test_wrong_input_is_one_clear_message(rows, settings, message):
    with pytest.raises((ConfigError, DataError), match=message):
        elman.train(train=rows, **FAST | settings)


def test_teacher_forcing_and_search_are_for_translate_alone():
    rows = [("good", "yes"), ("bad", "no")] * 10
    with pytest.raises(ConfigError, match="teacher_forcing is for"):
        elman.train(task="classify", train=rows, epochs=1, hidden_size=4, teacher_forcing="linear")
    trained = elman.train(task="classify", train=rows, epochs=1, hidden_size=4)
    with pytest.raises(ConfigError, match="n_best is for models of --task translate"):
        trained.predict(["good"], n_best=2)


# Error rates, beside another implementation

words = st.lists(st.sampled_from("abc"), max_size=70)


@given(words, words)
def test_the_edit_distance_is_that_of_the_table(one, other):
    above = list(range(len(other) + 1))
    for row, token in enumerate(one, 1):
        line = [row]
        for column, sign in enumerate(other, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (token != sign)))
        above = line
    assert edit_distance(one, other) == above[-1]


texts = st.lists(st.sampled_from(["the", "cat", "sat", "a"]), min_size=1, max_size=6).map(" ".join)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_word_and_character_error_rates_are_those_of_jiwer(pairs):
    gold, said = [list(side) for side in zip(*pairs, strict=True)]
    scores = text_scores([[one] for one in gold], said)
    assert scores["word_error_rate"] == pytest.approx(jiwer.wer(gold, said))
    assert scores["character_error_rate"] == pytest.approx(jiwer.cer(gold, said))


def test_the_nearest_reference_is_the_one_that_counts():
    assert error_rate([["abcd", "xy"]], ["xz"]) == 0.5


def test_every_setting_of_the_run_is_kept_in_its_vocabulary(run):
    stored = json.loads((run.folder / "vocab.json").read_text(encoding="utf-8"))
    assert stored["outputs"]["vocab"]["specials"] == ["<pad>", "<unk>", "<start>", "<stop>"]


def test_the_report_shows_exposure_bias_lengths_and_attention(run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert all(
        text in page for text in ("Wrong tokens by position", "Exact outputs by length", "Where it looked")
    )
    gap = run.result["test"]["exposure_gap"]
    assert f"{100 * gap:.1f} points" in page
