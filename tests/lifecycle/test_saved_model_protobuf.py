"""The reader of protobuf's wire format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import saved_model_protobuf as protobuf


def test_each_kind_of_field_is_read_or_stepped_over() -> None:
    """Varints become ints, and strings, doubles and floats the view of their bytes."""
    message = memoryview(b"\x08\xac\x02" + b"\x12\x02hi" + b"\x19" + bytes(8) + b"\x25" + bytes(4))

    found = [(n, v if isinstance(v, int) else bytes(v)) for n, v in protobuf.fields(message)]

    assert found == [(1, 300), (2, b"hi"), (3, bytes(8)), (4, bytes(4))]


@pytest.mark.parametrize("data", [b"\x08", b"\x08\x80", b"\x12\x05hi", b"\x19\x00", b"\x12"])
def test_bytes_that_end_inside_a_field_are_cut_short(data: bytes) -> None:
    """What may be the beginning of a message is told apart from what is none."""
    with pytest.raises(protobuf.CutShort):
        list(protobuf.fields(memoryview(data)))


@pytest.mark.parametrize("data", [b"\x00\x00", b"\x0b", b"\x0f", b"\x08" + b"\xff" * 11])
def test_bytes_that_are_no_message_are_malformed(data: bytes) -> None:
    """Field number 0, groups, unknown kinds and endless numbers are refused."""
    with pytest.raises(protobuf.Malformed) as caught:
        list(protobuf.fields(memoryview(data)))

    assert not isinstance(caught.value, protobuf.CutShort)


def test_a_number_where_a_message_stands_is_malformed() -> None:
    """A field of the wrong kind is refused, not skipped."""
    with pytest.raises(protobuf.Malformed, match="field 1 holds a number"):
        list(protobuf.messages(memoryview(b"\x08\x01"), 1))


@given(st.binary(max_size=64))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    """Whatever the bytes are, reading ends, with fields or a named error."""
    try:
        for _, value in protobuf.fields(memoryview(data)):
            assert isinstance(value, int | memoryview)
    except protobuf.Malformed:
        pass


def test_packed_numbers_are_read_one_by_one() -> None:
    """Of any length; one that is cut short is told."""
    assert list(protobuf.varints(memoryview(b"\x00\x7f\x96\x01"))) == [0, 127, 150]
    assert list(protobuf.varints(memoryview(b""))) == []
    with pytest.raises(protobuf.CutShort):
        list(protobuf.varints(memoryview(b"\x01\x96")))
