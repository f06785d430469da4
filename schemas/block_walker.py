"""The walker of arrays and maps: blocks of a count and as many entries, ended by a count of 0."""

from dataclasses import dataclass

from schemas.errors import InvalidStructure, LimitExceeded, Truncated
from schemas.marks import Marks, Walker
from schemas.varint import read_long


@dataclass(frozen=True, slots=True)
class Entries:
    """What may be claimed in one array or map.

    Attributes:
        where: the field that messages name.
        smallest_bytes: the fewest bytes that one entry takes.
        limit: the name of the limit on the number of entries.
        most: that limit.
        record_items: the limit on the entries of the whole record.
    """

    where: str
    smallest_bytes: int
    limit: str
    most: int
    record_items: int

    def claim(self, count: int, total: int, left_bytes: int, marks: Marks) -> None:
        """Raise unless `count` more entries, `total` in this array, may come in the bytes left."""
        if total > self.most:
            raise LimitExceeded(f"{self.where}: {total} items, at most {self.most} (limit '{self.limit}')")
        if count * self.smallest_bytes > left_bytes:
            raise Truncated(f"{self.where}: {count} items do not fit the {left_bytes} bytes left")
        marks.items_left -= count
        if marks.items_left < 0:
            raise LimitExceeded(
                f"{self.where}: more than {self.record_items} items in the record (limit 'record_items')"
            )


def blocks(item: Walker, entries: Entries) -> Walker:
    """The walker of an array or map whose entries `item` walks."""
    where = entries.where

    def walk_blocks(buffer: bytes, position: int, marks: Marks) -> int:
        total = 0
        while True:
            count, position = read_long(buffer, position)
            if not count:
                return position
            block_end = -1
            if count < 0:
                count = -count
                block_end, position = _sized_block(buffer, position, where)
            total += count
            entries.claim(count, total, len(buffer) - position, marks)
            for _ in range(count):
                position = item(buffer, position, marks)
            if block_end not in {-1, position}:
                raise InvalidStructure(f"{where}: a block ends at byte {position}, its size says {block_end}")

    return walk_blocks


def _sized_block(buffer: bytes, position: int, where: str) -> tuple[int, int]:
    """Where a block with a size (its count is negative) ends, and where its entries begin."""
    size, position = read_long(buffer, position)
    if size < 0:
        raise InvalidStructure(f"{where}: a block of negative size {size}")
    if size > len(buffer) - position:
        raise Truncated(f"{where}: a block of {size} bytes, {len(buffer) - position} are left")
    return position + size, position
