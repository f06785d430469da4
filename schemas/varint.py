"""Avro's zigzag variable-length integers, in the one form that each number has."""

from schemas.errors import InvalidStructure

MOST_BYTES = 10


def read_long(buffer: bytes, position: int) -> tuple[int, int]:
    """The number at a position, and the position behind it.

    An overlong form (trailing zero groups) is refused: no encoder writes one, and where two forms mean one
    number, comparing bytes no longer tells what a decoder would read.

    Raises:
        InvalidStructure: more than ten bytes, more than 64 bits, or an overlong form.
        IndexError: the buffer ends inside the number.
    """
    byte = buffer[position]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position + 1
    start, shift, value = position, 7, byte & 0x7F
    while byte >= 0x80:
        position += 1
        if position - start == MOST_BYTES:
            raise InvalidStructure(f"the varint at byte {start} is longer than {MOST_BYTES} bytes")
        byte = buffer[position]
        value |= (byte & 0x7F) << shift
        shift += 7
    if not byte:
        raise InvalidStructure(f"the varint at byte {start} is overlong: its last byte adds nothing")
    if value >> 64:
        raise InvalidStructure(f"the varint at byte {start} does not fit 64 bits")
    return (value >> 1) ^ -(value & 1), position + 1


def write_long(number: int) -> bytes:
    """The bytes of a number of at most 64 bits."""
    value = (number << 1) ^ (number >> 63)
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes(content: bytes) -> bytes:
    """Avro's `bytes` or `string`: the length, then the content."""
    return write_long(len(content)) + content
