"""Mutated files: a reader returns sound examples or raises DataError and nothing else, whatever the bytes."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.conll import read_conll
from elman.data.in_memory import examples_from
from elman.data.lines import read_json
from elman.data.table import read_table
from elman.data.vectors import read_vectors
from elman.data.vocab import Vocab
from elman.errors import DataError

FILES = 3000 if os.environ.get("ELMAN_PROFILE") == "deep" else 150

TOKENS_AND_TAGS = [
    ("I", "PRON"),
    ("don't", "VERB"),
    ("£", "SYM"),
    ("你好", "X"),
    ("#tag", "NOUN"),
    (".", "PUNCT"),
]

# What breaks parsers: quotes, line ends, separators, odd or broken Unicode, numbers out of range or none.
# fmt: off
SPLICES = [
    b'"', b"'", b",", b"\t", b"\n", b"\r", b"\r\n", b"\x00", b" ", b"  ", b"_", b":", b"{", b"}", b"[", b"]",
    b"{}", b"[]", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\x85",
    b"\xd9\xa1", b"\\ud800", b"NaN", b"nan", b"-inf", b"1e999", b"1_0", b"0x1", b"null", b"true", b"9" * 400,
    b"9" * 5000,
    b"[" * 3000, b"-DOCSTART- -X-", b"1-2", b"8.1", b"# x", b"99999999999 9999999999\n", b"x" * 200_000,
]
# fmt: on


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """Return the content with one random damage, or up to four."""
    data = bytearray(content)
    for _ in range(max(1, int(random.integers(-4, 5)))):
        start, end = sorted(int(place) for place in random.integers(0, len(data) + 1, 2))
        end = min(end, start + 40)
        match int(random.integers(0, 7)):
            case 0:
                for place in random.integers(0, max(1, len(data)), 3):
                    if data:
                        data[place] = int(random.integers(0, 256))
            case 1:
                if data:
                    data[min(start, len(data) - 1)] ^= 1 << int(random.integers(0, 8))
            case 2:
                del data[start:]
            case 3:
                del data[start:end]
            case 4:
                data[start:start] = data[start:end] * int(random.integers(1, 4))
            case 5:
                data[start:start] = SPLICES[int(random.integers(0, len(SPLICES)))]
            case 6:
                lines = bytes(data).splitlines(keepends=True)
                random.shuffle(lines)
                data = bytearray(b"".join(lines))
    return bytes(data)


def text_rows(separator: str) -> bytes:
    """Return a table of texts, with quoted fields where the separator is a comma."""
    texts = ["so good", "so bad, really", "", 'the 5" disk', "你好 世界", "01"]
    rows = [("text", "a", "label"), *((text, str(n / 4), "yn"[n % 2]) for n, text in enumerate(texts))]
    if separator == ",":
        rows = [
            tuple(
                '"' + cell.replace('"', '""') + '"' if n % 2 else cell.replace('"', "").replace(",", "")
                for n, cell in enumerate(row, row[2] == "n")
            )
            for row in rows
        ]
    return "\n".join(separator.join(row) for row in rows).encode()


def jsonl(rows: list[dict]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


JSONL = [
    jsonl([{"text": "so good", "label": "y"}, {"text": "so bad", "label": "n"}, {"text": "", "label": 1}]),
    jsonl(
        [
            {"tokens": ["a", "b"], "tags": ["X", "Y"]},
            {"tokens": ["c"], "tags": ["X"]},
            {"tokens": [], "tags": []},
        ]
    ),
    jsonl([{"x": [[1, 2.5], [3, -4e-3]], "y": "a"}, {"x": [[5, 6]], "y": "b"}, {"x": [], "y": "b"}]),
    jsonl([{"x": [1, 2, 3], "z": [1, 2, 3], "y": True}, {"x": [4], "z": [5.5], "y": False}]),
]


def assert_sound(reading) -> None:
    """What every reader promises of what it returns."""
    assert reading.kind in ("text", "series") and reading.examples
    widths = set()
    for example in reading.examples:
        assert example.where
        if reading.kind == "series":
            assert (
                example.input.dtype == np.float32
                and example.input.ndim == 2
                and not np.isinf(example.input).any()
            )
            widths.add(example.input.shape[1])
        else:
            assert isinstance(example.input, str | tuple)
            "".join(example.input).encode()
        if isinstance(example.target, tuple):
            assert all(isinstance(label, str) and label for label in example.target)
        else:
            assert example.target is None or (isinstance(example.target, str) and example.target)
    assert len(widths) <= 1


def fuzz(path, contents: list[bytes], read, seed: int) -> tuple[int, int]:
    """Read many mutated files; return how many were read and how many refused."""
    random = np.random.default_rng(seed)
    read_well = refused = 0
    for number in range(FILES):
        content = mutate(contents[number % len(contents)], random)
        path.write_bytes(content)
        try:
            read(path, random)
            read_well += 1
        except DataError as error:
            refused += 1
            assert str(error).strip()
        except Exception as error:  # the case is worth more than the traceback alone
            raise AssertionError(f"file {number} of seed {seed}: {content!r}") from error
    assert read_well + refused == FILES and refused
    return read_well, refused


def read_any(reader, inputs: list[list[str] | None], **fixed):
    """Return a function that reads with arguments drawn at random and looks at the result."""

    def read(path, random):
        reading = reader(
            path,
            input=inputs[int(random.integers(0, len(inputs)))],
            kind=[None, None, None, None, "text", "series"][int(random.integers(0, 6))],
            need_target=bool(random.integers(0, 2)),
            **fixed,
        )
        assert_sound(reading)

    return read


@pytest.mark.slow
def test_mutated_csv_files_are_read_or_refused(tmp_path):
    fuzz(
        tmp_path / "a.csv", [text_rows(",")], read_any(read_table, [None, ["text"], ["a"], ["a", "text"]]), 1
    )


@pytest.mark.slow
def test_mutated_tsv_files_are_read_or_refused(tmp_path):
    fuzz(tmp_path / "a.tsv", [text_rows("\t")], read_any(read_table, [None, ["text"], ["2"], ["a", "1"]]), 2)


@pytest.mark.slow
def test_mutated_jsonl_files_are_read_or_refused(tmp_path):
    fuzz(tmp_path / "a.jsonl", JSONL, read_any(read_table, [None, None, None, None, ["x", "z"], ["1"]]), 3)


@pytest.mark.slow
def test_mutated_parquet_files_are_read_or_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra parquet)")
    parquet = pytest.importorskip("pyarrow.parquet")
    tables = [
        {"text": ["so good", "so bad", ""], "label": ["y", "n", None]},
        {"x": [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], "y": [1, 2]},
        {"tokens": [["a", "b"], ["c"]], "tags": [[0, 1], [2]]},
    ]
    contents = []
    for columns in tables:
        for compression in ("none", "snappy"):
            path = tmp_path / "whole.parquet"
            parquet.write_table(pyarrow.table(columns), path, compression=compression)
            contents.append(path.read_bytes())
    fuzz(tmp_path / "a.parquet", contents, read_any(read_table, [None, ["1"]]), 4)


@pytest.mark.slow
def test_mutated_conll_files_are_read_or_refused(tmp_path):
    sentence = "\n".join(f"{token}\t{tag}" for token, tag in TOKENS_AND_TAGS)
    spaced = "-DOCSTART- O\n\n" + "\n".join(f"{token}  {tag}" for token, tag in TOKENS_AND_TAGS)
    contents = [f"{sentence}\n\t\n{sentence}\n\n".encode(), f"{spaced}\n\n{spaced}".encode()]
    fuzz(tmp_path / "a.conll", contents, read_any(read_conll, [None, ["1"], ["2"]]), 5)


@pytest.mark.slow
def test_mutated_conllu_files_are_read_or_refused(tmp_path):
    lines = [
        f"{n}\t{token}\t_\t{tag}\t_\t_\t0\troot\t_\t_" for n, (token, tag) in enumerate(TOKENS_AND_TAGS, 1)
    ]
    lines.insert(1, "2-3\tdon't£" + "\t_" * 8)
    lines.insert(4, "3.1\tghost" + "\t_" * 8)
    sentence = "\n".join(["# text = x", *lines])
    fuzz(
        tmp_path / "a.conllu",
        [f"{sentence}\n\n{sentence}\n\n".encode()],
        read_any(read_conll, [None, ["lemma"]]),
        6,
    )


@pytest.mark.slow
def test_mutated_files_of_vectors_are_read_or_refused(tmp_path):
    rows = "\n".join(f"{token} {n}.5 -{n}e-3 {n}" for n, (token, _) in enumerate(TOKENS_AND_TAGS))
    words = ["<pad>", *(token for token, _ in TOKENS_AND_TAGS)]

    def read(path, random):
        matrix, found = read_vectors(path, words)
        assert matrix.shape[0] == len(words) and matrix.dtype == np.float32 and np.isfinite(matrix).all()
        assert found.shape == (len(words),) and not matrix[~found].any()

    fuzz(tmp_path / "a.txt", [rows.encode(), f"{len(TOKENS_AND_TAGS)} 3\n{rows}\n".encode()], read, 7)


@pytest.mark.slow
def test_mutated_vocabularies_are_read_or_refused(tmp_path):
    vocabs = [Vocab.build("to be or not to be".split()), Vocab.build(["y", "n", "你好"], specials=())]

    def read(path, random):
        vocab = Vocab.from_json(read_json(path))
        assert Vocab.from_json(vocab.to_json()) == vocab
        assert len(set(vocab.tokens)) == len(vocab) == len(vocab.counts)

    fuzz(tmp_path / "a.json", [json.dumps(vocab.to_json()).encode() for vocab in vocabs], read, 8)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=2)
)
VALUES = st.recursive(
    SCALARS | st.integers(0, 3).map(lambda size: np.ones((size, size))),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=1), inner)
    ),
    max_leaves=8,
)
ROWS = st.lists(
    st.tuples(VALUES, VALUES) | st.fixed_dictionaries({"a": VALUES, "b": VALUES, "c": VALUES}), max_size=4
)


@given(
    ROWS | VALUES,
    st.booleans(),
    st.sampled_from([None, "text", "series"]),
    st.sampled_from([None, ["a", "b"], ["2"]]),
)
def test_any_data_in_memory_are_read_or_refused(data, need_target, kind, input):
    try:
        reading = examples_from(data, need_target=need_target, kind=kind, input=input)
    except DataError as error:
        assert str(error).startswith("data")
    else:
        assert_sound(reading)
