"""Framing: told by the first bytes, and refused by name."""

import pytest

from schemas import framing
from schemas.errors import EmptyValue, FramingNotAccepted, Truncated, UnknownFraming, WireError


def test_a_header_names_its_fingerprint() -> None:
    """The fingerprint is written little-endian behind C3 01."""
    assert framing.header(0x0123456789ABCDEF) == bytes.fromhex("c301efcdab8967452301")
    assert framing.fingerprint_of(framing.header(2**64 - 2) + b"body") == 2**64 - 2


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (None, EmptyValue, "tombstone"),
        (b"", EmptyValue, "empty"),
        (b"\x00\x00\x00\x00\x07body", FramingNotAccepted, "schema-registry frame"),
        (b'{"instances": [1]}', FramingNotAccepted, "JSON"),
        (b"[1]", UnknownFraming, "begins with 5b 31"),
        (b"garbage", UnknownFraming, "begins with 67 61"),
        (b"\xc3\x02", UnknownFraming, "begins with c3 02"),
        (b"\xc3", Truncated, "after 1 bytes"),
        (b"\xc3\x01\x01\x02", Truncated, "after 4 bytes"),
    ],
)
def test_anything_else_is_refused_by_name(value: bytes | None, error: type[WireError], message: str) -> None:
    """A framing that is not taken, an unknown one, none at all and half a header are told apart."""
    with pytest.raises(error, match=message):
        framing.fingerprint_of(value)
