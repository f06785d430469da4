"""Walkers of what has no parts: numbers, text, bytes, enum symbols; and of the choice that is a union.

Each function makes one closure for one field, whose name (`where`) its messages carry. Called by
`schemas.structure_walk`.
"""

from collections.abc import Sequence

from schemas.errors import InvalidStructure, LimitExceeded, Truncated
from schemas.marks import Marks, Walker
from schemas.varint import read_long

INT_BOUND = 2**31


def fixed(size: int, where: str) -> Walker:
    """A datum of always the same size."""

    def walk_fixed(buffer: bytes, position: int, _: Marks) -> int:
        if position + size > len(buffer):
            raise Truncated(f"{where}: {size} bytes, {len(buffer) - position} are left")
        return position + size

    return walk_fixed


def boolean(where: str) -> Walker:
    """One byte, 0 or 1."""

    def walk_boolean(buffer: bytes, position: int, _: Marks) -> int:
        if buffer[position] > 1:
            raise InvalidStructure(f"{where}: a boolean of {buffer[position]}, it is 0 or 1")
        return position + 1

    return walk_boolean


def integer(where: str, *, bounded: bool) -> Walker:
    """A `long`; an `int` (32 bits) when bounded."""

    def walk_integer(buffer: bytes, position: int, _: Marks) -> int:
        if buffer[position] < 0x80:
            return position + 1
        number, position = read_long(buffer, position)
        if bounded and not -INT_BOUND <= number < INT_BOUND:
            raise InvalidStructure(f"{where}: {number} does not fit an int of 32 bits")
        return position

    return walk_integer


def enumeration(symbols: int, where: str) -> Walker:
    """The index of a symbol."""

    def walk_enumeration(buffer: bytes, position: int, _: Marks) -> int:
        index, position = read_long(buffer, position)
        if not 0 <= index < symbols:
            raise InvalidStructure(f"{where}: enum symbol {index}, there are {symbols}")
        return position

    return walk_enumeration


def union(branches: Sequence[Walker], where: str) -> Walker:
    """The index of a branch, and a datum of it."""

    def walk_union(buffer: bytes, position: int, marks: Marks) -> int:
        index, position = read_long(buffer, position)
        if not 0 <= index < len(branches):
            raise InvalidStructure(f"{where}: union branch {index}, there are {len(branches)}")
        return branches[index](buffer, position, marks)

    return walk_union


def plain_bytes(where: str, most: int, limit: str) -> Walker:
    """A length and as many bytes."""

    def walk_bytes(buffer: bytes, position: int, _: Marks) -> int:
        size, position = read_long(buffer, position)
        _check_size(where, size, len(buffer) - position)
        if size > most:
            raise LimitExceeded(f"{where}: {size} bytes, at most {most} (limit '{limit}')")
        return position + size

    return walk_bytes


def tensor_data(where: str) -> Walker:
    """A tensor's plain bytes, whose place is marked. The record's size is their limit."""

    def walk_data(buffer: bytes, position: int, marks: Marks) -> int:
        size, position = read_long(buffer, position)
        _check_size(where, size, len(buffer) - position)
        marks.data.append((position, position + size))
        return position + size

    return walk_data


def text(where: str, most: int) -> Walker:
    """A length and as many bytes of UTF-8."""

    def walk_text(buffer: bytes, position: int, _: Marks) -> int:
        size, start = read_long(buffer, position)
        _check_size(where, size, len(buffer) - start)
        if size > most:
            raise LimitExceeded(f"{where}: {size} bytes, at most {most} (limit 'string_bytes')")
        try:
            buffer[start : start + size].decode()
        except UnicodeDecodeError:
            raise InvalidStructure(f"{where}: the text is not UTF-8") from None
        return start + size

    return walk_text


def request_id(where: str, most: int) -> Walker:
    """A request's id: text whose place is marked."""
    walk_text = text(where, most)

    def walk_id(buffer: bytes, position: int, marks: Marks) -> int:
        marks.id_at = position
        return walk_text(buffer, position, marks)

    return walk_id


def _check_size(where: str, size: int, left: int) -> None:
    if size < 0:
        raise InvalidStructure(f"{where}: a negative length of {size}")
    if size > left:
        raise Truncated(f"{where}: a length of {size}, {left} bytes are left")
