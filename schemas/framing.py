"""What the first bytes of a value say about the rest of it."""

import struct

from schemas.errors import EmptyValue, FramingNotAccepted, Truncated, UnknownFraming

SINGLE_OBJECT = b"\xc3\x01"
"""Avro single-object encoding: this marker, the schema's fingerprint (8 bytes, little-endian), the body."""
HEADER_BYTES = 10
_NOT_ACCEPTED = {
    0x00: "a schema-registry frame (00 and a schema id)",
    0x7B: "JSON ('{')",
}


def header(fingerprint: int) -> bytes:
    """The first ten bytes of every value with this schema."""
    return SINGLE_OBJECT + struct.pack("<Q", fingerprint)


def fingerprint_of(value: bytes | None) -> int:
    """The fingerprint that a value in single-object encoding names.

    Raises:
        EmptyValue: None or no bytes.
        FramingNotAccepted: a framing that is planned and not taken yet.
        UnknownFraming: no framing of ours.
        Truncated: not even the header is complete.
    """
    if not value:
        raise EmptyValue(
            "the record has no value (a tombstone)" if value is None else "the record's value is empty"
        )
    if not value.startswith(SINGLE_OBJECT[: len(value)]):
        planned = _NOT_ACCEPTED.get(value[0])
        if planned is not None:
            raise FramingNotAccepted(
                f"{planned} is not accepted yet; send Avro single-object encoding (C3 01)"
            )
        raise UnknownFraming(
            f"the value begins with {value[:2].hex(' ')}; Avro single-object encoding begins with C3 01"
        )
    if len(value) < HEADER_BYTES:
        raise Truncated(
            f"the value ends after {len(value)} bytes, inside the {HEADER_BYTES} bytes of its header"
        )
    return int.from_bytes(value[2:HEADER_BYTES], "little")
