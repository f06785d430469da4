"""Headers: what is read from a request, and what is refused."""

from collections.abc import Callable

import pytest

from schemas import headers
from schemas.errors import Code, InvalidHeader


def test_values_are_read() -> None:
    """Each header is read in the form that the design gives it."""
    assert headers.parse_topic(b"replies") == "replies"
    assert headers.parse_topic(b"a.b_C-1" + b"x" * 242) == "a.b_C-1" + "x" * 242
    assert headers.parse_timeout_ms(b"1500") == 1500
    assert headers.parse_timeout_ms(b"0") == 0
    assert headers.parse_priority(b"9") == 9
    assert headers.parse_reply_partition(b"\x00\x00\x01\x02") == 258


def test_reply_partition_is_springs() -> None:
    """The partition is written as Spring reads it."""
    assert headers.reply_partition(258) == b"\x00\x00\x01\x02"


def test_request_coordinates_come_back() -> None:
    """The coordinates in a reply name the request's record."""
    origin = headers.Coordinates("headrace.requests", 3, 2**40)

    assert headers.request_coordinates(origin) == b"headrace.requests/3/1099511627776"
    assert headers.parse_request_coordinates(headers.request_coordinates(origin)) == origin


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (headers.parse_topic, None),
        (headers.parse_topic, b""),
        (headers.parse_topic, b"\xff"),
        (headers.parse_topic, b"two words"),
        (headers.parse_topic, "modèle".encode()),
        (headers.parse_topic, b"replies\n"),
        (headers.parse_topic, b".."),
        (headers.parse_topic, b"x" * 250),
        (headers.parse_timeout_ms, None),
        (headers.parse_timeout_ms, b""),
        (headers.parse_timeout_ms, b"-1"),
        (headers.parse_timeout_ms, b"1.5"),
        (headers.parse_timeout_ms, b" 1"),
        (headers.parse_timeout_ms, b"9" * 5000),
        (headers.parse_priority, None),
        (headers.parse_priority, b"10"),
        (headers.parse_priority, b"x"),
        (headers.parse_reply_partition, None),
        (headers.parse_reply_partition, b"1"),
        (headers.parse_reply_partition, b"\xff\xff\xff\xff"),
        (headers.parse_reply_partition, b"\x00" * 8),
        (headers.parse_request_coordinates, None),
        (headers.parse_request_coordinates, b"a/b"),
        (headers.parse_request_coordinates, b"a/1/x"),
        (headers.parse_request_coordinates, b"\xff/1/1"),
    ],
)
def test_anything_else_is_an_invalid_argument(
    parse: Callable[[bytes | None], object], value: bytes | None
) -> None:
    """What cannot be read is refused with a short message, whatever its size."""
    with pytest.raises(InvalidHeader, match="expected") as caught:
        parse(value)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(str(caught.value)) < 500
