"""Tables: what each format holds, and which columns are used."""

import json

import numpy as np
import pytest

from elman.data.read import READERS, read_examples
from elman.data.table import read_table


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
