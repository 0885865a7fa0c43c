"""Tables: what each format holds, which columns are used, and every way in which a file can be wrong."""

import json

import numpy as np
import pytest

from elman.data import lines
from elman.data.read import READERS, read_examples
from elman.data.table import read_table
from elman.errors import DataError


@pytest.fixture
def parquet(tmp_path):
    """Return a function that writes columns to a .parquet file and returns its path."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra parquet)")
    module = pytest.importorskip("pyarrow.parquet")

    def write(columns):
        path = tmp_path / "a.parquet"
        module.write_table(pyarrow.table(columns), path)
        return path

    return write


def pairs(reading):
    """Return input and target of each example."""
    return [(example.input, example.target) for example in reading.examples]


# What is read


def test_csv_defaults_to_the_first_column_as_input_and_the_last_as_target(write):
    reading = read_table(write("a.csv", "text,id,label\nso good,7,y\nso bad,8,n\n"))
    assert pairs(reading) == [("so good", "y"), ("so bad", "n")]
    assert (reading.input_columns, reading.target_column, reading.kind) == (["text"], "label", "text")
    assert reading.columns == ["text", "id", "label"]


def test_columns_are_named_or_counted_from_one(write):
    path = write("a.csv", "id,text,label\n7,so good,y\n")
    assert pairs(read_table(path, input=["text"], target="id")) == [("so good", "7")]
    assert pairs(read_table(path, input=["2"], target="1")) == [("so good", "7")]


def test_a_column_whose_name_is_a_number_is_found_by_its_name(write):
    assert pairs(read_table(write("a.csv", "2,1,y\na,b,c\n"), input=["1"])) == [("b", "c")]


def test_naming_only_the_last_column_as_input_leaves_the_other_as_target(write):
    assert pairs(read_table(write("a.tsv", "label\ttext\nham\thi\n"), input=["text"])) == [("hi", "ham")]


def test_csv_keeps_texts_as_written(write):
    reading = read_table(write("a.csv", "text,label\n01,NA\ntrue, x \nnull,1.0\n"))
    assert pairs(reading) == [("01", "NA"), ("true", " x "), ("null", "1.0")]


def test_csv_names_the_physical_line_on_which_a_row_begins(write):
    reading = read_table(write("a.csv", 'text,label\n"one\ntwo",y\n\nthree,n\n'))
    assert [example.where.rpartition(":")[2] for example in reading.examples] == ["2", "5"]
    assert reading.examples[0].input == "one\ntwo"


def test_csv_reads_doubled_quotes_and_quoted_commas(write):
    assert pairs(read_table(write("a.csv", 'a,b\n"say ""hi"", now",y\n'))) == [('say "hi", now', "y")]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(write):
    reading = read_table(write("a.csv", "text,label\r\nhi,y\r\n".encode("utf-8-sig")))
    assert reading.columns == ["text", "label"] and pairs(reading) == [("hi", "y")]
    reading = read_table(write("a.tsv", "text\tlabel\r\nhi\ty\r\n".encode("utf-8-sig")))
    assert reading.columns == ["text", "label"] and pairs(reading) == [("hi", "y")]


def test_line_and_page_separators_of_unicode_do_not_end_a_line(write):
    text = "a\u2028b\x0cc\x85d\x1ee"
    for name, row in [("a.tsv", f"t\tl\n{text}\ty\n"), ("a.csv", f"t,l\n{text},y\n")]:
        assert pairs(read_table(write(name, row))) == [(text, "y")]
    path = write("a.jsonl", json.dumps({"t": text, "l": "y"}, ensure_ascii=False))
    assert pairs(read_table(path)) == [(text, "y")]


def test_tsv_takes_quotes_as_characters(write):
    path = write("a.tsv", 'ham\t"Nah I don\'t\nspam\t5" disk\n')
    reading = read_table(path, columns=["label", "text"], input=["text"])
    assert pairs(reading) == [("\"Nah I don't", "ham"), ('5" disk', "spam")]


def test_a_file_without_a_header_takes_the_names_given(write):
    reading = read_table(write("a.csv", "hi,y\nho,n\n"), columns=["text", "label"])
    assert pairs(reading) == [("hi", "y"), ("ho", "n")]
    assert reading.examples[0].where.endswith(":1")


def test_several_numeric_columns_of_a_csv_are_one_vector_a_row(write):
    reading = read_table(write("a.csv", "a,b,label\n1,2.5,x\n-3e-1, 4 ,y\n"), input=["a", "b"])
    assert reading.kind == "series" and reading.input_columns == ["a", "b"]
    np.testing.assert_array_equal(reading.examples[0].input, np.array([[1, 2.5]], np.float32))
    np.testing.assert_array_equal(reading.examples[1].input, np.array([[-0.3, 4]], np.float32))


def test_kind_series_takes_every_column_of_a_csv_but_the_target(write):
    reading = read_table(write("a.csv", "label,a,b\nx,1,2\n"), kind="series", target="label")
    assert reading.input_columns == ["a", "b"] and reading.examples[0].input.shape == (1, 2)


def test_an_empty_text_is_a_sequence_of_length_zero(write):
    assert pairs(read_table(write("a.csv", "text,label\n,y\n"))) == [("", "y")]


def test_targets_may_be_missing_where_none_are_needed(write):
    path = write("a.csv", "text,label\nhi,\n")
    assert pairs(read_table(path, need_target=False)) == [("hi", None)]
    assert pairs(read_table(write("b.csv", "text\nhi\n"), need_target=False)) == [("hi", None)]
    assert pairs(read_table(write("b.csv", "text\nhi\n"), target="label", need_target=False)) == [
        ("hi", None)
    ]


def test_jsonl_strings_are_text_and_lists_of_strings_are_tokens(write):
    assert pairs(read_table(write("a.jsonl", '{"t": "hi", "l": "y"}\n\n{"t": "", "l": "n"}'))) == [
        ("hi", "y"),
        ("", "n"),
    ]
    reading = read_table(write("a.jsonl", '{"t": ["a", "b"], "l": ["X", "Y"]}\n{"t": [], "l": []}'))
    assert pairs(reading) == [(("a", "b"), ("X", "Y")), ((), ())]


def test_jsonl_arrays_are_series_of_unequal_lengths(write):
    rows = [{"x": [[1, 2], [3, 4.5]], "y": "a"}, {"x": [[5, 6]], "y": "b"}, {"x": [], "y": "b"}]
    reading = read_table(write("a.jsonl", "\n".join(map(json.dumps, rows))))
    assert reading.kind == "series"
    assert [example.input.shape for example in reading.examples] == [(2, 2), (1, 2), (0, 2)]
    assert all(example.input.dtype == np.float32 for example in reading.examples)
    reading = read_table(write("a.jsonl", '{"x": [1, 2, 3], "y": "a"}'))
    assert reading.examples[0].input.tolist() == [[1], [2], [3]]


def test_several_jsonl_arrays_are_the_columns_of_one_series(write):
    path = write("a.jsonl", '{"x": [1, 2], "z": [3, 4], "y": "a"}')
    assert read_table(path, input=["x", "z"]).examples[0].input.tolist() == [[1, 3], [2, 4]]


def test_jsonl_labels_that_are_no_strings_become_texts(write):
    rows = '{"t": "a", "l": 3}\n{"t": "b", "l": true}\n{"t": "c", "l": 1.5}\n{"t": "d", "l": [0, "B"]}'
    assert [target for _, target in pairs(read_table(write("a.jsonl", rows)))] == [
        "3",
        "true",
        "1.5",
        ("0", "B"),
    ]


def test_one_number_in_jsonl_is_a_text_unless_a_series_is_asked_for(write):
    path = write("a.jsonl", '{"t": 3, "l": "y"}')
    assert pairs(read_table(path)) == [("3", "y")]
    assert read_table(path, kind="series").examples[0].input.tolist() == [[3]]


def test_parquet_holds_what_jsonl_holds(parquet):
    assert pairs(read_table(parquet({"t": ["hi", ""], "l": ["y", "n"]}))) == [("hi", "y"), ("", "n")]
    reading = read_table(parquet({"t": [["a", "b"], ["c"]], "l": [[0, 1], [2]]}))
    assert pairs(reading) == [(("a", "b"), ("0", "1")), (("c",), ("2",))]
    reading = read_table(parquet({"x": [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], "y": [1, 2]}))
    assert [example.input.shape for example in reading.examples] == [(1, 2), (2, 2)]
    assert reading.examples[1].where.endswith("a.parquet: row 2")


def test_parquet_without_pyarrow_names_the_extra(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"elman\[parquet\]"):
        read_table(write("a.parquet", b"PAR1"))


def test_the_extension_chooses_the_reader_whatever_its_case(write):
    assert set(READERS) == {".csv", ".tsv", ".jsonl", ".parquet", ".conll", ".conllu", ".txt"}
    assert len(read_examples(write("A.CSV", "t,l\nhi,y\n")).examples) == 1
    assert read_examples(write("a.conll", "a X\n")).examples[0].input == ("a",)


# What is refused: file, content, arguments, and what the message must say (place and reason)

WRONG_TEXT_FILES = {
    "an empty file": ("a.csv", "", {}, "a.csv: is empty"),
    "an empty tsv file": ("a.tsv", "\n\n", {}, "a.tsv: is empty"),
    "an empty jsonl file": ("a.jsonl", " \n", {}, "a.jsonl: is empty"),
    "a header alone": ("a.csv", "text,label\n", {}, "a.csv: has a header but no rows"),
    "a missing column": (
        "a.csv",
        "text,label\na,b\n",
        {"input": ["txet"]},
        "a.csv:1: unknown column 'txet'; did you mean 'text'",
    ),
    "a missing target column": ("a.csv", "text,label\na,b\n", {"target": "labl"}, "did you mean 'label'"),
    "a column number out of range": ("a.csv", "text,label\na,b\n", {"target": "3"}, "unknown column '3'"),
    "one column for two": ("a.csv", "text\na\n", {}, "a.csv:1: no column is left for the target"),
    "input and target at once": (
        "a.csv",
        "t,l\na,b\n",
        {"input": ["l"], "target": "l"},
        "'l' is input and target at once",
    ),
    "an input named twice": ("a.csv", "t,l\na,b\n", {"input": ["t", "1"]}, "named twice as input"),
    "a name twice in the header": (
        "a.csv",
        "t,l,t\na,b,c\n",
        {},
        "a.csv:1: the header names column 't' twice",
    ),
    "an empty name in the header": ("a.csv", ",t,l\n0,b,c\n", {}, "a.csv:1: column 1 has no name"),
    "a missing field": ("a.csv", "t,i,l\na,b,c\na,b\n", {}, "a.csv:3: has 2 fields, but there are 3 columns"),
    "an extra field": ("a.csv", "t,l\na,b\na,b,c\n", {}, "a.csv:3: has 3 fields"),
    "a field too few in tsv": ("a.tsv", "t\tl\na\n", {}, "a.tsv:2: has 1 field, but there are 2 columns"),
    "a row after a text of two lines": ("a.csv", 't,l\n"x\ny",b\na\n', {}, "a.csv:4: has 1 field"),
    "a missing target": ("a.csv", "t,l\na,y\nb,\n", {}, "a.csv:3: column 'l' has no target"),
    "a quote never closed": ("a.csv", 't,l\na,y\n"b,y\nc,d\n', {}, "a.csv:3: a double quote opens"),
    "text after a closing quote": ("a.csv", 't,l\n"a"b,y\n', {}, "a.csv:2: is not CSV"),
    "old Macintosh line ends": ("a.csv", "t,l\ra,y\r", {}, "a.csv:1: holds a carriage return"),
    "names for a file with a header": (
        "a.csv",
        "t,l\na,y\n",
        {"columns": ["t", "l"]},
        "repeats the names in --columns",
    ),
    "too few names": (
        "a.csv",
        "a,b,c\n",
        {"columns": ["t", "l"]},
        "a.csv:1: has 3 fields, but --columns names 2",
    ),
    "names for jsonl": ("a.jsonl", '{"t": "a"}', {"columns": ["t"]}, "has its own names"),
    "bad UTF-8": (
        "a.csv",
        b"t,l\na,b\ncaf\xe9,y\n",
        {},
        "a.csv:3: is not UTF-8: byte 0xe9 at byte 11 of the file",
    ),
    "bad UTF-8 after a mark": (
        "a.tsv",
        b"\xef\xbb\xbft\tl\n\xff\ty\n",
        {},
        "a.tsv:2: is not UTF-8: byte 0xff at byte 7",
    ),
    "UTF-16": ("a.csv", "t,l\na,b\n".encode("utf-16"), {}, "a.csv:1: is UTF-16"),
    "a NUL byte": ("a.tsv", b"t\tl\na\x00\ty\n", {}, "a.tsv:2: holds a NUL byte, at byte 5"),
    "a word for a number": (
        "a.csv",
        "a,b,l\n1,2,y\n3,x,y\n",
        {"input": ["a", "b"]},
        "a.csv:3: column 'b' is 'x', which is no number",
    ),
    "NaN in a table": (
        "a.csv",
        "a,b,l\n1,nan,y\n",
        {"input": ["a", "b"]},
        "a.csv:2: column 'b' is 'nan', which is no number",
    ),
    "an underscore in a number": (
        "a.csv",
        "a,b,l\n1,1_0,y\n",
        {"input": ["a", "b"]},
        "'1_0', which is no number",
    ),
    "several columns as text": (
        "a.csv",
        "a,b,l\n1,2,y\n",
        {"input": ["a", "b"], "kind": "text"},
        "a.csv:1: several input columns (a, b) are the numbers of a vector",
    ),
    "no JSON": ("a.jsonl", '{"t": "a", "l": "y"}\n{"t": "a"\n', {}, "a.jsonl:2: is not JSON"),
    "a JSON list for a row": (
        "a.jsonl",
        '["a", "y"]',
        {},
        "a.jsonl:1: is a JSON list; an object was expected",
    ),
    "a key twice": ("a.jsonl", '{"t": "a", "t": "b", "l": "y"}', {}, "a.jsonl:1: key 't' stands twice"),
    "an object without keys": ("a.jsonl", "{}", {}, "a.jsonl:1: has no columns"),
    "a missing key": (
        "a.jsonl",
        '{"t": "a", "l": "y"}\n{"x": "a", "l": "y"}',
        {},
        "a.jsonl:2: has no key 't'",
    ),
    "a null input": ("a.jsonl", '{"t": null, "l": "y"}', {}, "a.jsonl:1: column 't' has no input"),
    "a null target": ("a.jsonl", '{"t": "a", "l": null}', {}, "a.jsonl:1: column 'l' has no target"),
    "an object as target": ("a.jsonl", '{"t": "a", "l": {"x": 1}}', {}, "a value of type dict is no label"),
    "NaN in jsonl": ("a.jsonl", '{"x": [1, NaN], "y": "a"}', {}, "a.jsonl:1: NaN is not a number"),
    "a number too large": (
        "a.jsonl",
        '{"x": [1, 1e39], "y": "a"}',
        {},
        "a.jsonl:1: step 2, column 'x' is 1e+39",
    ),
    "a number of 5,000 digits": ("a.jsonl", '{"x": [' + "9" * 5000 + '], "y": "a"}', {}, "a.jsonl:1: "),
    "steps of unequal width": (
        "a.jsonl",
        '{"x": [[1, 2], [3]], "y": "a"}',
        {},
        "a.jsonl:1: step 2 holds 1 numbers, step 1 holds 2",
    ),
    "steps without numbers": ("a.jsonl", '{"x": [[], []], "y": "a"}', {}, "steps without numbers"),
    "series of unequal width": (
        "a.jsonl",
        '{"x": [1], "y": "a"}\n{"x": [[1, 2]], "y": "a"}',
        {},
        "a.jsonl:2: has 2 numbers a step, but",
    ),
    "columns of unequal length": (
        "a.jsonl",
        '{"x": [1], "z": [1, 2], "y": "a"}',
        {"input": ["x", "z"]},
        "differ in steps (x 1, z 2)",
    ),
    "a boolean among numbers": (
        "a.jsonl",
        '{"x": [1, true], "y": "a"}',
        {},
        "a.jsonl:1: column 'x', number 2, is True",
    ),
    "a text among series": ("a.jsonl", '{"x": [1], "y": "a"}\n{"x": "b", "y": "a"}', {}, "a.jsonl:2: "),
    "a series among texts": (
        "a.jsonl",
        '{"x": "b", "y": "a"}\n{"x": [1], "y": "a"}',
        {},
        "a.jsonl:2: column 'x' holds",
    ),
    "tokens among texts": (
        "a.jsonl",
        '{"x": "b", "y": "a"}\n{"x": ["b"], "y": "a"}',
        {},
        "holds tokens here but a text in",
    ),
    "an empty token": ("a.jsonl", '{"x": ["b", ""], "y": "a"}', {}, "token 2 is ''"),
    "a series as text": ("a.jsonl", '{"x": [1], "y": "a"}', {"kind": "text"}, "a text was expected"),
    "a text as series": (
        "a.jsonl",
        '{"x": "abc", "y": "a"}',
        {"kind": "series"},
        "'abc', which is no number",
    ),
    "nothing but empty series": (
        "a.jsonl",
        '{"x": [], "y": "a"}',
        {"kind": "series"},
        "every input is empty",
    ),
    "half a surrogate pair": (
        "a.jsonl",
        '{"x": "\\ud800", "y": "a"}',
        {},
        "a.jsonl:1: has half a surrogate pair",
    ),
    "nesting without end": ("a.jsonl", "[" * 100_000, {}, "a.jsonl:1: is nested too deeply"),
    "bytes that are no Parquet": ("a.parquet", b"PAR1 no PAR1", {}, "a.parquet: cannot be read as Parquet"),
    "an unknown extension": ("a.xlsx", "x", {}, "unknown extension '.xlsx'"),
    "a mistyped extension": ("a.conlu", "x", {}, "did you mean '.conll"),
    "no extension": ("data", "x", {}, "no extension"),
}


@pytest.mark.parametrize("case", WRONG_TEXT_FILES)
def test_a_wrong_file_is_refused_with_its_place_and_reason(write, case):
    name, content, arguments, message = WRONG_TEXT_FILES[case]
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra parquet)")
    path = write(name, content)
    with pytest.raises(DataError) as caught:
        read_examples(path, **arguments)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_examples(tmp_path / "a.csv")


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        read_examples(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.conll", "a.conllu"])
def test_a_line_without_end_is_refused_before_it_is_read(write, monkeypatch, name):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    with pytest.raises(DataError, match=f"{name}:1: is longer than 1,000 bytes"):
        read_examples(write(name, b"x" * 1001))


def test_parquet_nulls_and_types_that_are_no_sequence_are_refused(parquet):
    with pytest.raises(DataError, match=r"row 2: column 't' has no input"):
        read_table(parquet({"t": ["a", None], "l": ["x", "y"]}))
    with pytest.raises(DataError, match=r"row 1: .* no series"):
        read_table(parquet({"t": [b"bytes"], "l": ["x"]}))
    with pytest.raises(DataError, match="is inf"):
        read_table(parquet({"t": [[1.0, float("inf")]], "l": ["x"]}))
    with pytest.raises(DataError, match="is empty"):
        read_table(parquet({"t": [], "l": []}))


def test_a_table_reader_refuses_what_is_no_table(write):
    with pytest.raises(DataError, match="is no table"):
        read_table(write("a.conll", "a b\n"))
