"""CoNLL files: the formats, the published sets, and every way in which a file can be wrong."""

import os
from pathlib import Path

import pytest

from elman.data.conll import CONLLU_COLUMNS, read_conll
from elman.errors import DataError

SETS = os.environ.get("ELMAN_SETS", "")
"""A folder that holds one folder for each published set; `benchmarks/README.md` says where they come from."""


def conllu(*tokens, **columns):
    """Return CoNLL-U lines: tokens are (id, form); `columns` fill the others."""
    rows = []
    for identifier, form in tokens:
        cells = dict.fromkeys(CONLLU_COLUMNS, "_") | {"id": str(identifier), "form": form} | columns
        rows.append("\t".join(cells[name] for name in CONLLU_COLUMNS))
    return "\n".join(rows) + "\n"


def pairs(reading):
    """Return tokens and tags of each sentence."""
    return [(example.input, example.target) for example in reading.examples]


def test_two_columns_are_tokens_and_tags(write):
    reading = read_conll(write("a.conll", "New\tB-loc\nYork\tI-loc\n\nyes\tO\n"))
    assert pairs(reading) == [(("New", "York"), ("B-loc", "I-loc")), (("yes",), ("O",))]
    assert [example.where.rpartition(":")[2] for example in reading.examples] == ["1", "4"]
    assert (reading.kind, reading.input_columns, reading.target_column) == ("text", ["1"], "2")


def test_columns_may_be_separated_by_runs_of_spaces(write):
    reading = read_conll(
        write("a.conll", "-DOCSTART- -X- -X- O\n\nEU  NNP B-NP   B-ORG\nrejects\tVBZ \tB-VP O\n")
    )
    assert pairs(reading) == [(("EU", "rejects"), ("B-ORG", "O"))]


def test_a_tab_in_the_first_line_makes_tabs_the_separator(write):
    assert pairs(read_conll(write("a.conll", "New York\tX\nrest\tY\n"))) == [
        (("New York", "rest"), ("X", "Y"))
    ]


def test_a_token_may_be_a_hash_or_hold_odd_spaces(write):
    reading = read_conll(write("a.conll", "#\tO\n# x\tO\na\u00a0b\tO\n\u2028\tO\n"))
    assert reading.examples[0].input == ("#", "# x", "a\u00a0b", "\u2028")


def test_lines_of_white_space_end_a_sentence_and_the_last_needs_no_line_end(write):
    reading = read_conll(write("a.conll", "\n \na\tX\n\t\n\n \t \nb\tY\r\n\r\nc\tZ"))
    assert pairs(reading) == [(("a",), ("X",)), (("b",), ("Y",)), (("c",), ("Z",))]


def test_columns_of_conll_take_the_names_given(write):
    path = write("a.conll", "a X 1\n")
    assert pairs(read_conll(path, columns=["word", "pos", "n"], target="pos")) == [(("a",), ("X",))]
    assert pairs(read_conll(path, input=["3"], target="1")) == [(("1",), ("a",))]


def test_conllu_reads_form_and_upos_and_leaves_out_what_is_no_token(write):
    text = "# text = au parc\n" + conllu(
        ("1-2", "au"), (1, "à"), (2, "le"), ("2.1", "ghost"), (3, "parc"), upos="X"
    )
    reading = read_conll(write("a.conllu", text))
    assert pairs(reading) == [(("à", "le", "parc"), ("X", "X", "X"))]
    assert reading.examples[0].where.endswith(":3")
    assert (reading.input_columns, reading.target_column) == (["form"], "upos")


def test_any_column_of_conllu_can_be_input_or_target(write):
    path = write("a.conllu", conllu((1, "dogs"), lemma="dog", xpos="NNS"))
    assert pairs(read_conll(path, input=["lemma"], target="xpos")) == [(("dog",), ("NNS",))]
    assert pairs(read_conll(path, target="5")) == [(("dogs",), ("NNS",))]


def test_conllu_forms_may_hold_spaces(write):
    assert read_conll(write("a.conllu", conllu((1, "10 000")))).examples[0].input == ("10 000",)


def test_a_column_of_tokens_alone_is_enough_where_no_tags_are_needed(write):
    assert pairs(read_conll(write("a.conll", "a\nb\n\nc\n"), need_target=False)) == [
        (("a", "b"), None),
        (("c",), None),
    ]


WRONG = {
    "no line": ("a.conll", "", {}, "a.conll: has no sentence"),
    "only blank lines": ("a.conllu", "\n# x\n\n", {}, "a.conllu: has no sentence"),
    "uneven columns": (
        "a.conll",
        "a\tX\nb\n",
        {},
        "a.conll:2: has 1 column separated by tabs, but line 1 has 2",
    ),
    "uneven spaces": (
        "a.conll",
        "a X\n\nb c X\n",
        {},
        "a.conll:3: has 3 columns separated by spaces, but line 1 has 2",
    ),
    "an empty tag": ("a.conll", "a\tX\nb\t\n", {}, "a.conll:2: column '2' is empty"),
    "an empty token": ("a.conll", "a\tX\n\tX\n", {}, "a.conll:2: column '1' is empty"),
    "an unknown tag column": (
        "a.conllu",
        conllu((1, "a")),
        {"target": "upso"},
        "unknown column 'upso'; did you mean 'upos'",
    ),
    "a number out of range": ("a.conll", "a X\n", {"target": "3"}, "unknown column '3'"),
    "no tags": ("a.conll", "a\nb\n", {}, "no column is left for the target"),
    "two inputs": ("a.conll", "a b X\n", {"input": ["1", "2"]}, "has one input column"),
    "numbers asked for": ("a.conll", "a X\n", {"kind": "series"}, "holds tokens, not numbers"),
    "too few names": (
        "a.conll",
        "a b X\n",
        {"columns": ["w", "t"]},
        "a.conll:1: has 3 columns, but --columns names 2",
    ),
    "names for conllu": ("a.conllu", conllu((1, "a")), {"columns": ["w", "t"]}, "leave --columns out"),
    "nine columns in conllu": (
        "a.conllu",
        "1" + "\ta" * 8,
        {},
        "a.conllu:1: has 9 columns separated by tabs; CoNLL-U has 10",
    ),
    "spaces in conllu": (
        "a.conllu",
        "1 a b c d e f g h i\n",
        {},
        "a.conllu:1: has 1 column separated by tabs",
    ),
    "a blank line missing": (
        "a.conllu",
        conllu((1, "a"), (2, "b"), (1, "c")),
        {},
        "a.conllu:3: column 'id' is '1'; 3 was expected. Is a blank line",
    ),
    "a word skipped": (
        "a.conllu",
        conllu((1, "a"), (3, "b")),
        {},
        "a.conllu:2: column 'id' is '3'; 2 was expected",
    ),
    "an id that is none": ("a.conllu", conllu(("x", "a")), {}, "column 'id' is 'x'"),
    "bad UTF-8": ("a.conll", b"a\tX\n\xe9\tX\n", {}, "a.conll:2: is not UTF-8: byte 0xe9 at byte 4"),
    "a NUL byte": ("a.conllu", b"# \x00\n", {}, "a.conllu:1: holds a NUL byte"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_its_place_and_reason(write, case):
    name, content, arguments, message = WRONG[case]
    path = write(name, content)
    with pytest.raises(DataError) as caught:
        read_conll(path, **arguments)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentences", "words", "tags"),
    [
        ("ud_english_ewt/en_ewt-ud-train.rebuilt.conllu", 12544, 204577, 17),
        ("ud_english_ewt/en_ewt-ud-dev.conllu", 2001, 25147, 17),
        ("ud_english_ewt/en_ewt-ud-test.conllu", 2077, 25094, 17),
        ("ud_english_atis/en_atis-ud-train.conllu", 4274, 48655, 13),
        ("ud_english_atis/en_atis-ud-dev.conllu", 572, 6644, 14),
        ("ud_english_atis/en_atis-ud-test.conllu", 586, 6580, 13),
        ("wnut17/wnut17train.conll", 3394, 62730, 13),
        ("wnut17/emerging.dev.conll", 1009, 15733, 13),
        ("wnut17/emerging.test.annotated", 1287, 23394, 13),
    ],
)
def test_published_sets_have_the_counts_that_their_authors_give(name, sentences, words, tags):
    path = Path(SETS, name)
    if not SETS or not path.exists():
        pytest.skip(f"{name} is not here; ELMAN_SETS names the folder of published sets")
    examples = read_conll(path).examples
    assert (len(examples), sum(len(example.input) for example in examples)) == (sentences, words)
    assert len({tag for example in examples for tag in example.target}) == tags
