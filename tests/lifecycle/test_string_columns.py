"""Strings as columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import errors, string_columns
from lifecycle.string_columns import StringColumns

STRINGS = st.lists(st.binary(max_size=40), max_size=8)


def words_of(string: bytes) -> list[int]:
    """The words of one string."""
    return [
        int.from_bytes(string[start : start + 8].ljust(8, b"\0"), "little")
        for start in range(0, len(string), 8)
    ]


@given(STRINGS)
def test_words_are_a_strings_bytes_and_zeros(strings: list[bytes]) -> None:
    """No byte of the next string is among them."""
    columns = StringColumns.of(strings)
    rows = np.flatnonzero(columns.lengths > 0)

    words, begins = columns.words(rows)

    expected = [words_of(strings[row]) for row in rows]
    assert words.tolist() == [word for each in expected for word in each]
    assert begins.tolist() == [sum(map(len, expected[:n])) for n in range(len(expected))]


@given(STRINGS)
def test_a_string_comes_back_with_every_byte(strings: list[bytes]) -> None:
    """Zeros at its end included."""
    columns = StringColumns.of(strings)

    assert [columns.string(row) for row in range(len(columns))] == strings


def test_some_rows_are_columns_too() -> None:
    """In the order that is asked for."""
    some = StringColumns.of([b"a", b"bc", b""]).of_rows(np.array([2, 1]))

    assert [some.string(0), some.string(1)] == [b"", b"bc"]


def test_runs_follow_each_other() -> None:
    """Empty ones take no place."""
    indices, begins = string_columns.runs(np.array([10, 5, 7]), np.array([2, 0, 3]))

    assert indices.tolist() == [10, 11, 7, 8, 9]
    assert begins.tolist() == [0, 2, 2]


def test_text_is_refused() -> None:
    """Bytes are asked for."""
    with pytest.raises(errors.InvalidInput, match="is to be given as bytes"):
        StringColumns.of([b"a", "b"])  # type: ignore[list-item]
