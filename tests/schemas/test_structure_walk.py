"""The walk: every type of Avro, its limits, and that it ends where a decoder ends."""

import io
from typing import Any

import fastavro
import pytest

from schemas.errors import InvalidStructure, LimitExceeded, Truncated, WireError
from schemas.structure_walk import WalkCompiler, walk
from schemas.wire_limits import WireLimits
from tests.schemas.strategies import counted, long, one_by_one, sized, text

EVERYTHING = {
    "type": "record",
    "name": "headrace.v1.Everything",
    "fields": [
        {"name": "nothing", "type": "null"},
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "single", "type": "float"},
        {"name": "double", "type": {"type": "double"}},
        {"name": "text", "type": "string"},
        {"name": "raw", "type": "bytes"},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
        {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}},
        {"name": "numbers", "type": {"type": "array", "items": "long"}},
        {"name": "digests", "type": {"type": "map", "values": "Digest"}},
        {"name": "choice", "type": ["null", "Colour", "Everything"]},
        {"name": "nulls", "type": {"type": "array", "items": "null"}},
    ],
}
SCHEMA = fastavro.parse_schema(EVERYTHING)
DATUM: dict[str, Any] = {
    "nothing": None,
    "flag": True,
    "small": -3,
    "large": 2**40,
    "single": 1.0,
    "double": 2.0,
    "text": "é",
    "raw": b"abc",
    "digest": b"1234",
    "colour": "BLUE",
    "numbers": [1, 2**50, -7],
    "digests": {"a": b"5678"},
    "choice": None,
    "nulls": [None, None],
}


def written(datum: dict[str, Any]) -> bytes:
    """What fastavro writes for a datum."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMA, datum)
    return stream.getvalue()


def walked(schema: Any, value: bytes, limits: WireLimits | None = None) -> int:
    """Where the walk of a value ends."""
    limits = limits or WireLimits()
    parsed = fastavro.parse_schema(schema) if isinstance(schema, dict) else schema
    return walk(WalkCompiler(limits).compile(parsed, "here"), value, 0, limits)[0]


def test_each_type_is_walked_to_its_end() -> None:
    """The walk ends where the record ends, whatever follows."""
    value = written(DATUM | {"choice": DATUM | {"choice": "RED"}})

    assert walked(SCHEMA, value + b"more") == len(value)


def test_every_cut_is_noticed() -> None:
    """A record cut at any byte is refused."""
    value = written(DATUM)

    for end in range(len(value)):
        with pytest.raises(Truncated):
            walked(SCHEMA, value[:end])


def test_nesting_is_bounded() -> None:
    """A recursive record is taken down to the limit and refused below it."""
    datum = DATUM
    for _ in range(2):
        datum = DATUM | {"choice": datum}
    value = written(datum)

    assert walked(SCHEMA, value, WireLimits(depth=2)) == len(value)
    with pytest.raises(LimitExceeded, match=r"nested deeper than 1 .limit 'depth'"):
        walked(SCHEMA, value, WireLimits(depth=1))


@pytest.mark.parametrize("blocks", [counted, sized, one_by_one])
def test_blocks_are_taken_as_avro_defines_them(blocks: Any) -> None:
    """Arrays in one block, in a block with its size, and in a block for each item are all arrays."""
    value = blocks([long(n) for n in (1, 300, -5)])

    assert walked({"type": "array", "items": "long"}, value) == len(value)


def test_small_items_of_any_type_fill_an_array() -> None:
    """Items of the fewest bytes that their type can have are not taken for too many."""
    choice = {"type": "array", "items": ["null", "long"]}
    entries = {"type": "map", "values": "string"}

    assert walked(choice, counted([long(0)] * 3)) == 5
    assert walked(entries, counted([text("") + text("")] * 3)) == 8


LONGS = {"type": "array", "items": "long"}
NULLS = {"type": "array", "items": "null"}
TEXTS = {"type": "map", "values": "string"}


@pytest.mark.parametrize(
    ("schema", "value", "error", "message"),
    [
        ("boolean", b"\x02", InvalidStructure, "a boolean of 2"),
        ("int", long(2**31), InvalidStructure, "does not fit an int"),
        ("int", long(-(2**31) - 1), InvalidStructure, "does not fit an int"),
        ("long", b"\x80\x00", InvalidStructure, "overlong"),
        ("double", b"1234567", Truncated, "8 bytes, 7 are left"),
        ("string", long(-1) + b"a", InvalidStructure, "a negative length of -1"),
        ("string", long(5) + b"a", Truncated, "a length of 5, 1 bytes are left"),
        ("string", text(b"\xff"), InvalidStructure, "not UTF-8"),
        ("bytes", long(2**62), Truncated, "are left"),
        ("bytes", long(-(2**63)), InvalidStructure, "negative length"),
        (["null", "long"], long(2), InvalidStructure, "union branch 2, there are 2"),
        (["null", "long"], long(-1), InvalidStructure, "union branch -1"),
        (
            {"type": "enum", "name": "E", "symbols": ["A"]},
            long(1),
            InvalidStructure,
            "enum symbol 1, there are 1",
        ),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, long(-1), InvalidStructure, "enum symbol -1"),
        ({"type": "fixed", "name": "F", "size": 3}, b"ab", Truncated, "3 bytes, 2 are left"),
        (LONGS, long(3) + b"ab", Truncated, "3 items do not fit the 2 bytes left"),
        (LONGS, long(2**40), LimitExceeded, "1099511627776 items, at most 65536 .limit 'items'"),
        (LONGS, long(-(2**63)) + long(0), LimitExceeded, "at most 65536"),
        (LONGS, long(-1) + long(-1) + b"\x02\x00", InvalidStructure, "a block of negative size -1"),
        (LONGS, long(-1) + long(9) + b"\x02\x00", Truncated, "a block of 9 bytes, 2 are left"),
        (
            LONGS,
            long(-1) + long(2) + b"\x02\x00",
            InvalidStructure,
            "a block ends at byte 3, its size says 4",
        ),
        (LONGS, long(-2) + long(1) + b"\x02\x04\x00", InvalidStructure, "its size says 3"),
        (LONGS, long(1) + b"\x02", Truncated, "ends inside the record"),
        (NULLS, long(65_537), LimitExceeded, "65537 items"),
        (NULLS, (long(60_000) + b"") * 2, LimitExceeded, "120000 items"),
        (TEXTS, long(1) + text("k"), Truncated, "do not fit|ends inside"),
        (TEXTS, counted([text(b"\xff") + text("v")]), InvalidStructure, "not UTF-8"),
    ],
)
def test_each_lie_is_named(schema: Any, value: bytes, error: type[WireError], message: str) -> None:
    """What is not as Avro defines it, or claims more than there is, is refused by name and place."""
    with pytest.raises(error, match=message):
        walked(schema, value)


def test_entries_of_all_arrays_are_bounded_together() -> None:
    """Many arrays, each within its limit, are refused when together they exceed the record's."""
    schema = {"type": "array", "items": {"type": "array", "items": "null"}}
    value = counted([long(1000) + b"\0"] * 10)

    assert walked(schema, value, WireLimits(record_items=10_010)) == len(value)
    with pytest.raises(LimitExceeded, match="more than 10009 items in the record"):
        walked(schema, value, WireLimits(record_items=10_009))
