"""A record as the pieces that Avro writes one after the other: what a fuzzer cuts, swaps and lies about.

Our encoder writes an array in one block without a size. Others need not, so the pieces can be asked for in any
blocks that Avro allows.
"""

import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from schemas.catalog import default_catalog
from schemas.codec import Record
from schemas.dtype import TWINS
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.schemas.strategies import header, long

HEADER = header(PredictRequest.record_name)
SYMBOLS = ["UNKNOWN", *(dtype.name for dtype in TWINS)]


class Piece(NamedTuple):
    """A number, or a run of bytes, of one record.

    `kind` says what it is: `header`; `length` (of the `text`, `data`, `string` or `id` behind it), `id length`;
    `branch` of a union; `count` of a block, its `size` in bytes, the `end` of an array or map; `dim`, `dtype`,
    `version`; `double`.
    """

    kind: str
    raw: bytes


NUMBERS = frozenset(
    {"length", "id length", "branch", "count", "size", "end", "dim", "dtype", "version"},
)
Pieces = list[Piece]


def joined(pieces: Sequence[Piece]) -> bytes:
    """The value."""
    return b"".join(piece.raw for piece in pieces)


def of_request(request: PredictRequest, style: int | None) -> Pieces:
    """A request's pieces; `style` None writes as our encoder does, another number in blocks of its own choice.

    Requests of one shape have the same blocks in the same style.
    """
    rng = None if style is None else random.Random(style)
    pieces = [Piece("header", HEADER), *_counted("text", request.model.encode())]
    pieces += [Piece("branch", long(0))] if request.version is None else _version(request.version)
    if request.label is None:
        pieces.append(Piece("branch", long(0)))
    else:
        pieces += [Piece("branch", long(1)), *_counted("text", request.label.encode())]
    pieces += _counted("text", request.signature.encode())
    pieces += _blocks([_counted("text", name.encode()) for name in request.outputs], rng)
    pieces += _blocks([_tensor(tensor, rng) for tensor in request.inputs], rng)
    pieces += _counted("id", request.id.encode(), "id length")
    entries = [
        [*_counted("text", key.encode()), *_counted("string", value)]
        for key, value in request.parameters.items()
    ]
    return pieces + _blocks(entries, rng)


def _version(number: int) -> Pieces:
    return [Piece("branch", long(1)), Piece("version", long(number))]


def _counted(kind: str, raw: bytes, length: str = "length") -> Pieces:
    return [Piece(length, long(len(raw))), Piece(kind, raw)]


def _tensor(tensor: Tensor, rng: random.Random | None) -> Pieces:
    pieces = _counted("text", tensor.name.encode())
    pieces.append(Piece("dtype", long(SYMBOLS.index(tensor.dtype.name))))
    pieces += _blocks([[Piece("dim", long(dimension))] for dimension in tensor.shape], rng)
    if isinstance(tensor.data, tuple):
        strings = [_counted("string", item) for item in tensor.data]
        return [*pieces, Piece("branch", long(1)), *_blocks(strings, rng)]
    return [*pieces, Piece("branch", long(0)), *_counted("data", bytes(tensor.data))]


def _blocks(items: Sequence[Pieces], rng: random.Random | None) -> Pieces:
    """An array or map of these items: one block, or several, with or without their sizes."""
    pieces: Pieces = []
    start = 0
    while start < len(items):
        stop = len(items) if rng is None else rng.randint(start + 1, len(items))
        content = [piece for item in items[start:stop] for piece in item]
        if rng is None or rng.random() < 0.5:
            pieces.append(Piece("count", long(stop - start)))
        else:
            pieces.append(Piece("count", long(start - stop)))
            pieces.append(Piece("size", long(len(joined(content)))))
        pieces += content
        start = stop
    return [*pieces, Piece("end", b"\0")]


def of_record(record: Record, style: int | None) -> Pieces:
    """Any record's pieces, by its schema; numbers are `version` (a long) and `dtype` (an enum) here, too."""
    parsed = default_catalog().current(record.record_name).parsed
    rng = None if style is None else random.Random(style)
    return [
        Piece("header", header(record.record_name)),
        *_of_type(parsed, record.to_wire(), _named(parsed), rng),
    ]


def _named(schema: Any) -> dict[str, Any]:
    """The types that a schema gives names to, by their full names."""
    if isinstance(schema, list):
        return {name: found for branch in schema for name, found in _named(branch).items()}
    if not isinstance(schema, dict):
        return {}
    inner = [f["type"] for f in schema.get("fields", ())] + [
        schema.get(k) for k in ("items", "values", "type")
    ]
    found = {schema["name"]: schema} if "name" in schema else {}
    return found | {name: one for each in inner for name, one in _named(each).items()}


def _of_type(  # noqa: C901, PLR0911 - a case for each kind of type
    schema: Any, value: Any, named: Mapping[str, Any], rng: random.Random | None
) -> Pieces:
    schema = named.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, list):
        name, value = value if isinstance(value, tuple) else (None, value)
        index = _branch(schema, name, value, named)
        return [Piece("branch", long(index)), *_of_type(schema[index], value, named, rng)]
    kind = schema["type"] if isinstance(schema, dict) else schema
    match kind:
        case "record":
            return [p for f in schema["fields"] for p in _of_type(f["type"], value[f["name"]], named, rng)]
        case "array":
            return _blocks([_of_type(schema["items"], item, named, rng) for item in value], rng)
        case "map":
            entries = value.items()
            return _blocks(
                [
                    [*_counted("text", k.encode()), *_of_type(schema["values"], v, named, rng)]
                    for k, v in entries
                ],
                rng,
            )
        case "enum":
            return [Piece("dtype", long(schema["symbols"].index(value)))]
        case "string":
            return _counted("text", value.encode())
        case "bytes":
            return _counted("string", value)
        case "long" | "int":
            return [Piece("version", long(value))]
        case "double":
            return [Piece("double", struct.pack("<d", value))]
        case "null":
            return []
    return _of_type(kind, value, named, rng)


def _branch(schema: Sequence[Any], name: str | None, value: object, named: Mapping[str, Any]) -> int:
    """Which branch of a union a value takes: the named one, or the one that is, or is not, null."""
    for index, branch in enumerate(schema):
        resolved = named.get(branch, branch) if isinstance(branch, str) else branch
        if name is not None and isinstance(resolved, dict) and resolved.get("name") == name:
            return index
        if name is None and (resolved == "null") == (value is None):
            return index
    raise AssertionError(f"no branch of {schema} takes {value!r}")
