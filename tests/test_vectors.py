"""Pre-trained vectors: both text formats, and every way in which a file can be wrong."""

import logging

import numpy as np
import pytest

from elman.data.vectors import read_vectors
from elman.errors import DataError


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(content):
        path = tmp_path / "vectors.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_rows_stand_in_the_order_of_the_words(write):
    matrix, found = read_vectors(write("a 1 2\nb 3 4\nc 5 6\n"), ["<pad>", "c", "x", "a"])
    assert matrix.tolist() == [[0, 0], [5, 6], [0, 0], [1, 2]] and matrix.dtype == np.float32
    assert found.tolist() == [False, True, False, True]


def test_the_first_line_of_word2vec_is_no_vector(write):
    matrix, found = read_vectors(write("2 3\na 1 2 3 \nb 4 5 6 \n"), ["b", "2"])
    assert matrix.tolist() == [[4, 5, 6], [0, 0, 0]] and found.tolist() == [True, False]


def test_tabs_windows_line_ends_and_blank_lines_are_read(write):
    matrix, _ = read_vectors(write("\ufeffa\t1\t2\r\n\r\nb 3e-1 -4\r\n"), ["a", "b"])
    np.testing.assert_array_equal(matrix, np.array([[1, 2], [0.3, -4]], np.float32))


def test_a_word_may_be_a_number_or_odd_white_space(write):
    matrix, found = read_vectors(write("7 1 2\n\u00a0 3 4\n"), ["7", "\u00a0"])
    assert found.all() and matrix.tolist() == [[1, 2], [3, 4]]


def test_a_word_with_spaces_does_not_shift_its_numbers(write):
    matrix, found = read_vectors(write("a 1 2\n. . . 3 4\nat x@y.z 5 6\n"), [". . .", "at x@y.z", "."])
    assert matrix.tolist() == [[3, 4], [5, 6], [0, 0]] and found.tolist() == [True, True, False]


def test_a_word_takes_its_own_spelling_first_and_lower_case_second(write):
    for content in ("paris 1\nParis 2\n", "Paris 2\nparis 1\n"):
        matrix, _ = read_vectors(write(content), ["Paris", "paris", "PARIS"])
        assert matrix.tolist() == [[2], [1], [1]]


def test_the_first_of_two_vectors_is_kept_and_the_others_counted(write, caplog):
    with caplog.at_level(logging.WARNING, logger="elman"):
        matrix, _ = read_vectors(write("a 1\na 2\nb 3\nb 4\nx 5\nx 6\n"), ["a", "b"])
    assert matrix.tolist() == [[1], [3]]
    assert "2 words stand in it more than once" in caplog.text


def test_bytes_that_are_not_utf_8_do_no_harm_to_other_words(write):
    matrix, found = read_vectors(write(b"a 1 2\n\xff\xfe 3 4\nb 5 6\n"), ["a", "b"])
    assert found.all() and matrix.tolist() == [[1, 2], [5, 6]]


WRONG = {
    "an empty file": ("", "holds no vector"),
    "a header alone": ("5 3\n", "promises 5 vectors, but 0 follow"),
    "a file cut off": ("3 1\na 1\nb 2\n", "promises 3 vectors, but 2 follow. Is the file cut off"),
    "more vectors than promised": ("1 1\na 1\nb 2\n", "promises 1 vectors, but 2 follow"),
    "a width of zero": ("3 0\n", ":1: promises 3 vectors of 0 numbers"),
    "an absurd width": ("3 99999999\n", ":1: promises 3 vectors of 99999999 numbers"),
    "words without numbers": ("a\nb\n", ":1: has 0 numbers"),
    "a number too few": ("a 1 2\nb 3\n", ":2: has 1 numbers, but 2 were expected"),
    "a number too many": ("a 1 2\nb 3 4 5\n", ":2: has 3 numbers; 2 were expected"),
    "a word missing": ("a 1 2\n 3 4\n", "and no word; 2 were expected"),
    "NaN": ("a 1 2\nb nan 4\n", ":2: 'nan' is no finite number"),
    "NaN in a word nobody wants": ("a 1 2\nz 1 NaN\n", ":2: 'NaN' is no finite number"),
    "infinity": ("a 1 -inf\n", ":1: '-inf' is no finite number"),
    "a number too large": ("a 1 1e39\n", ":1: holds a number too large for float32"),
    "a malformed number": ("a 1 1-2\n", ":1: holds what is no number"),
    "two spaces": ("a 1 2\nb 1  2\n", ":2: "),
    "a NUL byte among numbers": ("a 1 \x002\n", "is no finite number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_its_place_and_reason(write, case):
    content, message = WRONG[case]
    path = write(content)
    with pytest.raises(DataError) as caught:
        read_vectors(path, ["a", "b"])
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_vectors(tmp_path / "none.txt", ["a"])
