"""Targets that are numbers, from tables and memory; missing values and columns of names among inputs."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data import examples_from, read_examples
from elman.data.example import Example
from elman.data.measures import to_measures
from elman.errors import DataError
from elman.tasks.inputs import SeriesInputs
from elman.tasks.measures import TargetScale

numbers = st.floats(-1e12, 1e12).filter(lambda number: number == 0 or abs(number) > 1e-100)


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


# Targets


def test_several_target_columns_are_read_in_the_order_that_names_them(write):
    path = write("a.csv", "x,y,a,b\n1,2,3,4.5\n5,6,7,-8e-3\n")
    reading = read_examples(path, target="b,a", kind="series", measures="sequence")
    assert [row.target.tolist() for row in reading.examples] == [[4.5, 3.0], [-0.008, 7.0]]
    assert reading.target_column == "b,a" and reading.input_columns == ["x", "y"]
    assert reading.examples[0].target.dtype == np.float64


def test_a_column_with_a_comma_in_its_name_is_one_target(write):
    path = write("a.csv", 'x,"a,b"\n1,2\n')
    assert read_examples(path, target="a,b", measures="sequence").examples[0].target.tolist() == [2.0]


def test_one_number_a_step_and_several(write):
    path = write("a.jsonl", lines({"x": [1, 2, 3], "y": [5, None, 7]}, {"x": [], "y": []}))
    first, empty = (row.target for row in read_examples(path, measures="step").examples)
    np.testing.assert_array_equal(first, [[5], [np.nan], [7]])
    assert empty.shape == (0, 1)
    path = write("b.jsonl", lines({"x": [1, 2], "y": [3, 4], "z": [[5, 6], [7, 8]]}))
    reading = read_examples(path, input=["x"], target="y,z", measures="step")
    np.testing.assert_array_equal(reading.examples[0].target, [[3, 5, 6], [4, 7, 8]])


def test_targets_need_not_be_there_to_predict(write):
    path = write("a.csv", "x,y,a,b\n1,2,,?\n")
    assert (
        read_examples(path, target="a,b", measures="sequence", need_target=False).examples[0].target is None
    )
    path = write("b.csv", "x,y\n1,2\n")
    reading = read_examples(path, input=["x", "y"], target="a,b", measures="sequence", need_target=False)
    assert reading.examples[0].target is None


def test_targets_in_memory():
    rows = [("a text", 1), ("another", np.float32(2.5))]
    assert [row.target.tolist() for row in examples_from(rows, measures="sequence").examples] == [
        [1.0],
        [2.5],
    ]
    rows = [(np.zeros((2, 3)), np.array([1.0, np.nan])), (np.zeros((1, 3)), [3])]
    steps = [row.target for row in examples_from(rows, measures="step").examples]
    np.testing.assert_array_equal(steps[0], [[1.0], [np.nan]])
    rows = [{"x": "a", "y": 1, "z": 2}]
    assert examples_from(rows, target="y,z", measures="sequence").examples[0].target.tolist() == [1.0, 2.0]


WRONG = {
    "a text": (
        "a.csv",
        "x,y\n1,2\n3,much\n",
        "sequence",
        {},
        "a.csv:3: column 'y' is 'much', which is no number",
    ),
    "an empty cell": ("a.csv", "x,y\n1,2\n3,\n", "sequence", {}, "a.csv:3: column 'y' has no target"),
    "one of several": (
        "a.csv",
        "x,y,z\n1,2,3\n4,5,\n",
        "sequence",
        {"target": "y,z"},
        "a.csv:3: column 'z' has no",
    ),
    "infinity": ("a.csv", "x,y\n1,1e999\n", "sequence", {}, "a.csv:2: column 'y' is 1e999; a finite number"),
    "not a number": (
        "a.csv",
        "x,y\n1,nan\n",
        "sequence",
        {},
        "a.csv:2: column 'y' is 'nan', which is no number",
    ),
    "a truth": ("a.jsonl", lines({"x": [1], "y": True}), "sequence", {}, "a.jsonl:1: column 'y' is True"),
    "a huge integer": ("a.jsonl", '{"x": [1], "y": 1' + "0" * 999 + "}", "sequence", {}, "a.jsonl:1: "),
    "one number for steps": ("a.jsonl", lines({"x": [1, 2], "y": 3}), "step", {}, "--task regress"),
    "too few steps": ("a.jsonl", lines({"x": [1, 2], "y": [3]}), "step", {}, "1 targets stand beside 2"),
    "unequal widths": (
        "a.jsonl",
        lines({"x": [1, 2], "y": [[3], [4, 5]]}),
        "step",
        {},
        "step 2 holds 2 targets",
    ),
    "an unknown target": ("a.csv", "x,y\n1,2\n", "sequence", {"target": "y,zz"}, "unknown column 'zz'"),
    "a target twice": ("a.csv", "x,y,z\n1,2,3\n", "sequence", {"target": "y,2"}, "named twice as target"),
    "a target that is an input": (
        "a.csv",
        "x,y,z\n1,2,3\n",
        "sequence",
        {"input": ["x", "y"], "target": "z,y"},
        "input and target at once",
    ),
    "CoNLL": ("a.conll", "a 1\n\n", "step", {}, "is no table"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_target_is_refused_with_its_place(case, write):
    name, content, unit, options, message = WRONG[case]
    with pytest.raises(DataError) as error:
        read_examples(write(name, content), measures=unit, **options)
    assert message in str(error.value)


@given(st.lists(numbers, min_size=1, max_size=5))
def test_a_number_is_read_as_it_is_written(values):
    cells = {str(place): repr(value) for place, value in enumerate(values)}
    assert to_measures(cells, "row 1", "sequence").tolist() == values


@given(st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=2, max_size=8), st.integers(-6, 6))
def test_scaled_targets_are_scaled_back(rows, exponent):
    rows = [Example("a", np.array(row) * 10.0**exponent) for row in rows]
    try:
        scale = TargetScale.fit(rows, ["a", "b"], "sequence")
    except DataError as error:
        assert "nothing to learn" in str(error)
        return
    targets = np.stack([row.target for row in rows])
    z = (targets - targets.mean(0)) / targets.std(0)
    np.testing.assert_allclose(np.stack([scale.apply(row) for row in rows]), z, atol=1e-5)
    back = scale.invert(scale.standardiser.apply(targets).astype(np.float64))
    np.testing.assert_allclose(back, targets, atol=float(1e-6 * np.abs(targets).max()) + 1e-300)
    again = TargetScale.from_json(json.loads(json.dumps(scale.to_json())))
    assert again.invert(z).tobytes() == scale.invert(z).tobytes()


# Missing values


def test_gaps_in_a_table_are_nan(write):
    reading = read_examples(write("a.csv", "a,b,l\n1,,y\n ,2,n\n"), input=["a", "b"])
    np.testing.assert_array_equal(reading.examples[0].input, [[1, np.nan]])
    reading = read_examples(write("a.jsonl", lines({"x": [[1, None], [2, 3]], "l": "y"})))
    np.testing.assert_array_equal(reading.examples[0].input, [[1, np.nan], [2, 3]])


def vectors(rows):
    return [Example(np.array([row], np.float32), where=f"row {place}") for place, row in enumerate(rows, 1)]


nan = float("nan")


def test_a_gap_is_read_as_zero_and_marked_and_the_others_are_as_without_it():
    train = vectors([[1, 5, 2], [3, nan, 4], [8, 9, nan]])
    inputs = SeriesInputs.fit(train)
    assert inputs.gaps == (1, 2) and inputs.num_features == 5
    made = np.concatenate([row.numbers for row in inputs.encode(train)[0]])
    assert made[:, 3:].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert made[1, 1] == made[2, 2] == 0
    for column, values in enumerate([[1, 3, 8], [5, 9], [2, 4]]):
        z = (np.array(values) - np.mean(values)) / np.std(values)
        np.testing.assert_allclose(
            made[made[:, 2 + column] == 0 if column else slice(None), column], z, rtol=1e-6
        )


def test_what_nan_a_gap_is_has_no_influence():
    train = vectors([[1, 5], [3, nan], [4, 4]])
    inputs = SeriesInputs.fit(train)
    quiet = np.array([[2, np.nan]], np.float32)
    other = quiet.copy()
    other.view(np.uint32)[0, 1] = 0xFFC12345  # another not-a-number: sign and payload differ
    assert np.isnan(other[0, 1])
    one, two = (inputs.encode([Example(row)])[0][0].numbers for row in (quiet, other))
    assert one.tobytes() == two.tobytes()


def test_a_gap_that_training_never_saw_is_refused_and_so_is_a_column_of_gaps():
    inputs = SeriesInputs.fit(vectors([[1, 5], [3, nan]]))
    with pytest.raises(DataError, match=r"row 1: step 1, column 1 is nan; .* training data lack no value"):
        inputs.encode(vectors([[nan, 5]]))
    with pytest.raises(DataError, match="column 2 has no value in any row"):
        SeriesInputs.fit(vectors([[1, nan], [3, nan]]))


def test_without_gaps_nothing_is_marked():
    inputs = SeriesInputs.fit(vectors([[1, 5], [3, 6]]))
    assert inputs.num_features == 2
    assert inputs.encode(vectors([[1, 5]]))[0][0].numbers.shape == (1, 2)
    assert SeriesInputs.from_json(json.loads(json.dumps(inputs.to_json()))).num_features == 2


# Names beside numbers

MIXED = "size,colour,code,y\n1,red,7,1\n2,,8,2\n3,blue,7,3\n"


def test_a_column_without_a_number_holds_names(write):
    reading = read_examples(write("a.csv", MIXED), input=["size", "colour", "code"], measures="sequence")
    assert reading.categories == ("colour",) and reading.kind == "series"
    assert [row.categories for row in reading.examples] == [("red",), ("",), ("blue",)]
    np.testing.assert_array_equal(reading.examples[2].input, [[3, 7]])


def test_codes_are_names_where_they_are_said_to_be(write):
    path = write("a.csv", MIXED)
    reading = read_examples(path, input=["size", "colour", "code"], categories=["code", "colour"])
    assert reading.categories == ("colour", "code")
    assert reading.examples[0].categories == ("red", "7")
    with pytest.raises(DataError, match="did you mean 'code'"):
        read_examples(path, input=["size", "code"], categories=["cod"])


def test_a_name_is_one_number_and_an_unknown_one_none(write):
    reading = read_examples(write("a.csv", MIXED), input=["size", "colour"], measures="sequence")
    inputs = SeriesInputs.fit(reading.examples, (1,))
    made = [row.numbers[0, 1:].tolist() for row in inputs.encode(reading.examples)[0]]
    assert made == [[0, 1], [0, 0], [1, 0]]  # blue, red
    strange = Example(np.ones((1, 1), np.float32), categories=("pink",))
    assert inputs.encode([strange])[0][0].numbers[0, 1:].tolist() == [0, 0]


def test_a_name_beside_a_series_stands_at_every_step(write):
    path = write(
        "a.jsonl", lines({"x": [[1, 2], [3, 4]], "who": "anna", "y": 1}, {"x": [[5, 6]], "who": "bo", "y": 2})
    )
    reading = read_examples(path, input=["x", "who"], measures="sequence")
    inputs = SeriesInputs.fit(reading.examples, (1,))
    assert inputs.encode(reading.examples)[0][0].numbers[:, 2:].tolist() == [[1, 0], [1, 0]]


def test_a_text_among_numbers_and_nothing_but_names_are_refused(write):
    path = write("a.csv", "a,b,y\n1,2,3\n4,five,6\n")
    with pytest.raises(DataError, match=r"a\.csv:3: column 'b' is 'five', which is no number.*empty cell"):
        read_examples(path, input=["a", "b"], measures="sequence")
    with pytest.raises(DataError, match="every input column"):
        read_examples(write("b.csv", "a,b,y\nx,y,1\n"), input=["a", "b"])


def test_too_many_names_are_refused():
    rows = [
        Example(np.ones((1, 1), np.float32), where="a.csv:2", categories=(f"id {n}",)) for n in range(101)
    ]
    with pytest.raises(DataError, match=r"a\.csv:2: input column 2 holds 101 different names"):
        SeriesInputs.fit(rows, (1,))
