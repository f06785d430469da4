"""The worked example of the documentation: one request and its reply, written byte by byte.

Deliberately without our codec, as somebody with another language would do it; the tests hold both against each
other. The example's model is called `linear` and knows one weight for each of two features.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor

_BYTES_A_LINE = 8
DT_FLOAT = 1
"""Place of DT_FLOAT in the schema's enum, counted from 0."""

REQUEST = PredictRequest(
    model="linear",
    inputs=(Tensor.from_numpy("x", np.array([[1, 2], [3, 4]], np.float32)),),
    id="42",
)
REPLY = PredictReply(
    model="linear",
    version=3,
    outputs=(Tensor.from_numpy("y", np.array([[2.5], [5.5]], np.float32)),),
    id="42",
)


@dataclass(frozen=True)
class Piece:
    """Some bytes, and what they are."""

    data: bytes
    meaning: str


def request_pieces(fingerprint: int) -> list[Piece]:
    """The request, in the order of its schema."""
    return [
        *_header("PredictRequest", fingerprint),
        _string("model", "linear"),
        Piece(_number(0), "version: branch 0 of [null, long], null"),
        Piece(_number(0), "label: branch 0 of [null, string], null"),
        _string("signature", "serving_default"),
        Piece(_number(0), "outputs: a block of 0 items ends the array; none named: all"),
        Piece(_number(1), "inputs: a block of 1 item"),
        *_tensor("x", (2, 2), (1.0, 2.0, 3.0, 4.0)),
        Piece(_number(0), "inputs: end"),
        _string("id", "42"),
        Piece(_number(0), "parameters: a block of 0 entries ends the map"),
    ]


def reply_pieces(fingerprint: int) -> list[Piece]:
    """The reply, in the order of its schema."""
    return [
        *_header("PredictReply", fingerprint),
        _string("model", "linear"),
        Piece(_number(1) + _number(3), "version: branch 1 of [null, long], 3"),
        Piece(_number(1), "outputs: a block of 1 item"),
        *_tensor("y", (2, 1), (2.5, 5.5)),
        Piece(_number(0), "outputs: end"),
        Piece(_number(0), "error: branch 0 of [null, Status], null"),
        _string("id", "42"),
        Piece(_number(0), "parameters: none"),
    ]


def joined(pieces: Sequence[Piece]) -> bytes:
    """The bytes without their meanings."""
    return b"".join(piece.data for piece in pieces)


def annotated(pieces: Sequence[Piece]) -> str:
    """One line for each piece, more where its bytes are many."""
    lines = []
    for piece in pieces:
        starts = range(0, len(piece.data), _BYTES_A_LINE)
        rows = [piece.data[start : start + _BYTES_A_LINE].hex(" ") for start in starts]
        lines.append(f"{rows[0]:<25}{piece.meaning}")
        lines += rows[1:]
    return "\n".join(lines)


def _header(record: str, fingerprint: int) -> list[Piece]:
    return [
        Piece(b"\xc3\x01", "Avro single-object encoding, version 1"),
        Piece(struct.pack("<Q", fingerprint), f"fingerprint of {record}, {fingerprint:016x}, little-endian"),
    ]


def _tensor(name: str, shape: tuple[int, ...], values: tuple[float, ...]) -> list[Piece]:
    data = struct.pack(f"<{len(values)}f", *values)
    dims = ", ".join(map(str, shape))
    numbers = ", ".join(f"{value:g}" for value in values)
    return [
        _string("name", name),
        Piece(_number(DT_FLOAT), f"dtype: item {DT_FLOAT} of the enum, DT_FLOAT"),
        Piece(
            _number(len(shape)) + b"".join(map(_number, shape)) + _number(0),
            f"shape: a block of {len(shape)} items, {dims}, end",
        ),
        Piece(_number(0), "data: branch 0 of [bytes, array of bytes]"),
        Piece(_number(len(data)), f"data: {len(data)} bytes, C order, little-endian"),
        Piece(data, f"data: {numbers}"),
    ]


def _string(field: str, text: str) -> Piece:
    return Piece(_number(len(text)) + text.encode(), f'{field}: {len(text)} bytes, "{text}"')


def _number(value: int) -> bytes:
    """Avro's int and long: zigzag (0, -1, 1, -2 … become 0, 1, 2, 3 …), then seven bits a byte, lowest first."""
    left = (value << 1) ^ (value >> 63)
    data = bytearray()
    while left > 0x7F:
        data.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*data, left])
