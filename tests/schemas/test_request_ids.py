"""The ends of requests of one layout: what many at once say is what each says alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.request_ids import SHORT_ID_BYTES, EqualIds, all_differ, equal_ends, read_id
from schemas.varint import write_bytes


def ends_of(ids: list[bytes]) -> bytes:
    """The ends of requests with these ids, one behind the other."""
    return b"".join(write_bytes(each) + b"\x00" for each in ids)


def test_ids_of_one_length_are_a_sequence_like_any_other() -> None:
    """Whoever gets them need not know that they are kept as rows of a matrix."""
    wanted = [b"one", b"two", b"six"]
    ids = EqualIds(np.frombuffer(ends_of(wanted), np.uint8).reshape(3, -1))

    assert ids == wanted
    assert (list(ids), len(ids), ids[1], list(ids[1:])) == (wanted, 3, b"two", wanted[1:])
    assert ids != [b"one", b"two", b"ten"]


@given(
    st.integers(0, 6).flatmap(
        lambda size: st.lists(st.binary(min_size=size + 2, max_size=size + 2), min_size=1)
    )
)
def test_many_ends_are_taken_exactly_when_each_is(ends: list[bytes]) -> None:
    """Length, UTF-8 and the zero byte are looked at in each of them."""
    size = len(ends[0])
    alone = [read_id(end, 0, SHORT_ID_BYTES) for end in ends]

    assert equal_ends(b"".join(ends), size, len(ends), SHORT_ID_BYTES) == (None not in alone)


@pytest.mark.parametrize("broken", [b"\x04\xc3\xa9\x00", b"\x04ab\x01", b"\x06ab\x00", b"\x04\xc3(\x00"])
def test_one_end_among_many_is_found(broken: bytes) -> None:
    """One wrong byte in one of them is enough; a character of two bytes is not wrong."""
    joined = ends_of([b"ab"] * 50) + broken + ends_of([b"cd"] * 50)

    assert equal_ends(joined, 4, 101, SHORT_ID_BYTES) == (broken == b"\x04\xc3\xa9\x00")


def test_longer_ids_than_are_allowed_are_not_taken() -> None:
    """The limit holds for many as for one."""
    assert equal_ends(ends_of([b"abcd"]), 6, 1, longest=4)
    assert not equal_ends(ends_of([b"abcde"]), 7, 1, longest=4)


@pytest.mark.parametrize("width", [1, 4, 8])
@pytest.mark.parametrize("every", [1, 2])
def test_ids_tell_requests_apart_when_no_two_are_equal(width: int, every: int) -> None:
    """As rows of a matrix, also one that was cut out of a wider one, and as a list."""
    ids = [b"%0*d" % (width, n) for n in range(0, 8, every)]
    wide = np.frombuffer(ends_of(ids) * 2, np.uint8).reshape(2 * len(ids), -1)
    distinct, twice = EqualIds(wide[: len(ids)]), EqualIds(wide)

    assert all_differ(distinct)
    assert all_differ(list(distinct))
    assert not all_differ(twice)
    assert not all_differ(list(twice))
    assert all_differ([])
    assert all_differ(EqualIds(wide[:0]))
