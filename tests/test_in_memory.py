"""Data in memory: pairs, dicts and data frames give what a file would."""

import numpy as np
import pytest

from elman.data.example import Example
from elman.data.in_memory import examples_from
from elman.errors import DataError


class PandasLike:
    """The part of a pandas DataFrame that is used, for machines without pandas."""

    def __init__(self, columns):
        self.columns = list(columns)
        self._data = columns

    def to_dict(self, orient):
        assert orient == "records"
        return [dict(zip(self._data, row, strict=True)) for row in zip(*self._data.values(), strict=True)]


class PolarsLike(PandasLike):
    """The part of a polars DataFrame that is used."""

    to_dict = None

    def to_dicts(self):
        return PandasLike.to_dict(self, "records")


def pairs(reading):
    return [(example.input, example.target) for example in reading.examples]


def test_pairs_are_input_and_target():
    reading = examples_from([("so good", "y"), ["so bad", 0]])
    assert pairs(reading) == [("so good", "y"), ("so bad", "0")] and reading.kind == "text"
    assert [example.where for example in reading.examples] == ["data: row 1", "data: row 2"]


def test_tokens_and_tags_may_be_lists_or_tuples():
    assert pairs(examples_from([(["a", "b"], ["X", "Y"]), (("c",), ("X",))])) == [
        (("a", "b"), ("X", "Y")),
        (("c",), ("X",)),
    ]


def test_numpy_arrays_and_lists_of_numbers_are_series():
    reading = examples_from([(np.ones((3, 2)), np.int64(4)), ([[1, 2]], "x"), ([], "x")])
    assert reading.kind == "series"
    assert [example.input.shape for example in reading.examples] == [(3, 2), (1, 2), (0, 2)]
    assert all(example.input.dtype == np.float32 for example in reading.examples)
    assert reading.examples[0].target == "4"


def test_strings_of_numpy_become_plain_ones():
    given = np.array(["hi", "ho"])
    reading = examples_from([(given[0], given[1]), ("a", "b"), (given[0], "c")])
    assert {type(value) for pair in pairs(reading) for value in pair} == {str}
    reading = examples_from([(list(given), list(given))])
    assert {type(value) for value in reading.examples[0].input + reading.examples[0].target} == {str}


def test_arrays_of_strings_are_tokens():
    assert pairs(examples_from([(np.array(["a", "b"]), np.array(["X", "Y"]))])) == [(("a", "b"), ("X", "Y"))]


def test_torch_tensors_are_series():
    torch = pytest.importorskip("torch")
    assert examples_from([(torch.ones(2, 3), "y")]).examples[0].input.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_dicts_are_rows_of_a_table():
    rows = [{"id": 1, "text": "hi", "label": "y"}, {"label": "n", "id": 2, "text": "ho"}]
    reading = examples_from(rows, input=["text"])
    assert pairs(reading) == [("hi", "y"), ("ho", "n")] and reading.target_column == "label"


@pytest.mark.parametrize("frame", [PandasLike, PolarsLike])
def test_data_frames_are_read_without_importing_their_packages(frame):
    reading = examples_from(frame({"text": ["hi", "ho"], "label": [1, 0]}))
    assert pairs(reading) == [("hi", "1"), ("ho", "0")]
    reading = examples_from(frame({"a": [1, 2], "b": [0.5, 1.5], "label": ["x", "y"]}), input=["a", "b"])
    assert reading.examples[1].input.tolist() == [[2, 1.5]]


def test_a_real_data_frame_is_read():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"text": ["hi", "ho"], "label": ["y", "n"]})
    assert pairs(examples_from(frame)) == [("hi", "y"), ("ho", "n")]


def test_without_targets_each_item_is_an_input():
    assert pairs(examples_from(["hi", "ho"], need_target=False)) == [("hi", None), ("ho", None)]
    assert pairs(examples_from([("a", "b")], need_target=False)) == [(("a", "b"), None)]
    assert examples_from([[1.0, 2.0]], need_target=False).kind == "series"


def test_examples_are_taken_as_they_are():
    given = [Example("hi", "y", "a.csv:2"), Example("ho", "n", "a.csv:3")]
    assert examples_from(given).examples == given
    assert pairs(examples_from(given, need_target=False)) == [("hi", None), ("ho", None)]


def test_half_a_surrogate_pair_is_refused_before_it_breaks_a_file():
    for wrong in ("a\ud800", ["b", "\udfff"]):
        with pytest.raises(DataError, match=r"data: row 1: .* half a surrogate pair"):
            examples_from([(wrong, "y")])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "train: is empty"),
        ("a text", "train: is a str"),
        ({"text": ["a"]}, "train: is a dict"),
        (3, "train: is a int"),
        (["a", "b"], "train: row 1 is no pair|train: row 1: is no pair"),
        ([("a", "y"), ("b", "y", "z")], "train: row 2: is no pair"),
        ([("a", None)], "train: row 1: column 'target' has no target"),
        ([("a", float("nan"))], "has no target"),
        ([(None, "y")], "train: row 1: column 'input' has no input"),
        (
            [("a", "y"), (["b"], "y")],
            "train: row 2: column 'input' holds tokens here but a text in train: row 1",
        ),
        ([({"x": 1}, "y")], "value of type dict is no series"),
        ([(np.ones((1, 2, 3)), "y")], "array of float64 with 3 dimensions"),
        ([(np.array([1 + 2j]), "y")], "array of complex128"),
        ([(np.array([[1.0], [np.inf]]), "y")], "train: row 1: step 2, column 'input' is inf"),
        ([{"t": "a", "l": "y"}, {"t": "a"}], "train: row 2 is not a dict with the keys of row 1"),
        ([{}, {}], "has no columns"),
        (PandasLike({"t": [], "l": []}), "table without rows"),
        (PandasLike({"t": ["a", float("nan")], "l": ["y", "n"]}), "row 2: column 't' has no input"),
    ],
)
def test_wrong_data_are_refused_with_their_row_and_reason(data, message):
    with pytest.raises(DataError, match=message):
        examples_from(data, name="train")


def test_names_of_columns_are_for_files():
    with pytest.raises(DataError, match="files without a header"):
        examples_from([("a", "y")], columns=["t", "l"])
