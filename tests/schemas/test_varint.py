"""Varints: each number has one form."""

import pytest
from hypothesis import given

from schemas.errors import InvalidStructure
from schemas.varint import read_long, write_long
from tests.schemas import strategies


@given(strategies.longs)
def test_a_number_is_read_as_written(number: int) -> None:
    """Writing and reading 64 bits agree with each other and with Avro's specification."""
    written = write_long(number)

    assert written == strategies.long(number)
    assert read_long(b"\xff" + written + b"\xff", 1) == (number, 1 + len(written))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\x80\x00", "overlong"),
        (strategies.long(300, padding=3), "overlong"),
        (b"\xff" * 9 + b"\x02", "does not fit 64 bits"),
        (b"\xff" * 9 + b"\x7f", "does not fit 64 bits"),
        (b"\xff" * 10 + b"\x01", "longer than 10 bytes"),
        (b"\x80" * 100, "longer than 10 bytes"),
    ],
)
def test_any_other_form_is_refused(raw: bytes, message: str) -> None:
    """Overlong, too large and endless varints are refused, naming the byte where they begin."""
    with pytest.raises(InvalidStructure, match=message) as caught:
        read_long(b"\x00\x00" + raw, 2)

    assert "at byte 2" in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\xff" * 9])
def test_a_cut_varint_ends_the_buffer(raw: bytes) -> None:
    """A varint that the buffer cuts is an IndexError, which the walk translates."""
    with pytest.raises(IndexError):
        read_long(raw, 0)
