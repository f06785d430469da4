"""The ends of requests of one layout: an id of any length, then empty `parameters` (one zero byte).

`read_ids` looks at all of them at the speed of C; whatever it cannot vouch for is looked at one by one.
Neither takes anything that the general decoder would refuse.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, overload

import numpy as np

from schemas.errors import InvalidStructure
from schemas.varint import read_long

if TYPE_CHECKING:
    import numpy.typing as npt

SHORT_ID_BYTES = 63
"""The longest id whose length is a varint of one byte."""
_LENGTH_BYTE_BY_TAIL = bytes((0, 0, *range(0, 2 * SHORT_ID_BYTES + 1, 2)))
"""The byte that a tail of length byte, id and zero byte begins with, by the tail's size."""
_LENGTH_BYTES = tuple(bytes((byte,)) for byte in _LENGTH_BYTE_BY_TAIL)
_SHORTEST_TAIL = itemgetter(slice(1, -1))
_FIRST, _LAST = itemgetter(0), itemgetter(-1)


class EqualIds(Sequence[bytes]):
    """Ids of one length, as they stand in their requests' ends, which are the ends of the replies too.

    They are made single `bytes` only for who asks for them.

    Attributes:
        ends: length byte, id and zero byte of each request, a row each.
    """

    __slots__ = ("ends",)

    def __init__(self, ends: "npt.NDArray[np.uint8]") -> None:
        self.ends = ends

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> "EqualIds": ...

    def __getitem__(self, index: int | slice) -> "bytes | EqualIds":
        if isinstance(index, slice):
            return EqualIds(self.ends[index])
        return self.ends[index, 1:-1].tobytes()

    def pick(self, positions: list[int]) -> "EqualIds":
        """The ids at these positions."""
        return EqualIds(self.ends[positions])

    def __iter__(self) -> Iterator[bytes]:
        joined, size = self.ends.tobytes(), self.ends.shape[1]
        return (joined[at + 1 : at + size - 1] for at in range(0, len(joined), size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(list(self))


def all_differ(ids: Sequence[bytes]) -> bool:
    """Whether no two ids are equal."""
    if isinstance(ids, EqualIds) and len(ids):
        ends = np.ascontiguousarray(ids.ends)
        ids = ends.view(f"V{ends.shape[1]}").ravel().tolist()
    return len(set(ids)) == len(ids)


def equal_ends(joined: bytes, size: int, count: int, longest: int) -> bool:
    """Whether so many pieces of that size, from an id's length on, end as requests must.

    Ids longer than `SHORT_ID_BYTES` do not.
    """
    if not 2 <= size <= 2 + min(longest, SHORT_ID_BYTES):
        return False
    firsts, lasts = joined[::size], joined[size - 1 :: size]
    # As in `read_ids`: no character reaches from one id into the next.
    return firsts == _LENGTH_BYTES[size] * count and lasts == bytes(count) and is_utf8(joined)


def read_ids(values: Sequence[bytes], at: int, longest: int) -> list[bytes] | None:
    """The ids of all values, UTF-8, whose length begins at `at`; None unless every value ends as it must.

    None is also the answer when an id is longer than `SHORT_ID_BYTES`: `read_id` then tells.
    """
    tails = list(map(itemgetter(slice(at, None)), values))
    sizes = set(map(len, tails))
    if min(sizes) < 2 or max(sizes) > 2 + min(longest, SHORT_ID_BYTES):
        return None
    joined = b"".join(tails)
    if len(sizes) == 1:
        size = sizes.pop()
        firsts, lasts = joined[::size], joined[size - 1 :: size]
        expected = bytes((_LENGTH_BYTE_BY_TAIL[size],)) * len(tails)
    else:
        firsts, lasts = bytes(map(_FIRST, tails)), bytes(map(_LAST, tails))
        expected = bytes(map(_LENGTH_BYTE_BY_TAIL.__getitem__, map(len, tails)))
    if firsts != expected or any(lasts):
        return None
    # A length byte below 0x80 stands before each id and a zero byte behind it: no character reaches from one
    # id into the next, so that all of them together are UTF-8 exactly when each is.
    return list(map(_SHORTEST_TAIL, tails)) if is_utf8(joined) else None


def read_id(value: bytes, at: int, longest: int) -> bytes | None:
    """The id of one value, as long as it may be; None unless the value ends as it must."""
    try:
        size, start = read_long(value, at)
    except (IndexError, InvalidStructure):
        return None
    if not 0 <= size <= longest or start + size + 1 != len(value) or value[-1]:
        return None
    found = value[start:-1]
    return found if is_utf8(found) else None


def is_utf8(text: bytes) -> bool:
    """Whether bytes decode as UTF-8."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def all_start_with(values: Sequence[bytes], constant: bytes, at: int) -> bool:
    """Whether every value holds these bytes at this place."""
    return all(map(bytes.startswith, values, repeat(constant), repeat(at)))
