"""Tables: every way in which a file can be wrong, and what is said of it."""

import pytest

from elman.data import lines
from elman.data.read import read_examples
from elman.data.table import read_table
from elman.errors import DataError

# File, content, arguments, and what the message must say (place and reason)

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
