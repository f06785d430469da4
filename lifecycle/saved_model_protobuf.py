"""A reader of protobuf's wire format: enough to look into a saved_model.pb without TensorFlow.

Importing TensorFlow's own message classes costs six seconds and half a gigabyte; the signatures of a model
are a few hundred bytes beside its graph, which is stepped over here without being parsed.
Source: protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT_BYTES = 10


class Malformed(Exception):
    """The bytes are not a protobuf message."""


class CutShort(Malformed):
    """The bytes end inside a field: part of the message is missing."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number and value, in the order of the bytes.

    A varint is an int (unsigned); everything else is a view of the field's bytes, nothing is copied.

    Raises:
        Malformed: the bytes are not a protobuf message.
        CutShort: they end too early.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise Malformed(f"field number 0 before byte {at}")
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in {_FIXED32, _FIXED64}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise Malformed(f"unknown field kind {kind} before byte {at}")
        if at + size > len(message):
            raise CutShort(f"field {number} needs {size} bytes at byte {at} of {len(message)}")
        yield number, message[at : at + size]
        at += size


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """The bytes of each field of that number that holds a message, a string or bytes.

    Raises:
        Malformed: as `fields`, and when such a field holds a number instead.
    """
    for found, value in fields(message):
        if found == number:
            if isinstance(value, int):
                raise Malformed(f"field {number} holds a number where a message was expected")
            yield value


def varints(message: memoryview) -> Iterator[int]:
    """The numbers of a packed field, unsigned.

    Raises:
        Malformed: the bytes are no such numbers.
    """
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for position in range(_LONGEST_VARINT_BYTES):
        if at + position >= len(message):
            raise CutShort(f"a number is cut short at byte {at}")
        byte = message[at + position]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, at + position + 1
    raise Malformed(f"a number at byte {at} is longer than {_LONGEST_VARINT_BYTES} bytes")
