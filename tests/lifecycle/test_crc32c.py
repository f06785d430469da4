"""The checksum, beside one that is computed bit by bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import crc32c


def bit_by_bit(data: bytes) -> int:
    """As the definition has it."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_checksums_are_those_of_the_specification(data: bytes, checksum: int) -> None:
    """Of RFC 3720, appendix B.4, and the usual check value."""
    assert crc32c.crc32c(data) == checksum


@given(st.binary(max_size=600))
def test_bytes_of_any_length_have_the_checksum_of_the_definition(data: bytes) -> None:
    """However they are cut into pieces."""
    assert crc32c.crc32c(data) == bit_by_bit(data)
