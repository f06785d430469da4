"""Requests to fuzz with: families whose members share a layout, so that a decoder has something to recognise."""

import math
import random
from dataclasses import dataclass, replace

from schemas.dtype import TWINS, DType
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fuzzing.pieces import Piece, Pieces
from tests.schemas.strategies import long

TEXTS = ("", "m", "n", "model", "serving_default", "é", "漢字", "🙂", "a\0b", "x" * 63, "x" * 64, "ÿ" * 64)
VERSIONS = (None, None, None, 0, 1, -1, 63, 64, 2**31, 2**63 - 1, -(2**63))
INNER_SHAPES: tuple[tuple[int, ...], ...] = (
    (),
    (1,),
    (2,),
    (3,),
    (2, 3),
    (3, 2),
    (0,),
    (0, 3),
    (16,),
    (1, 1, 1),
)
ROW_COUNTS = (0, 1, 1, 1, 2, 3, 17, 64)
ID_BYTES = (0, 1, 1, 2, 5, 12, 12, 12, 16, 17, 61, 62, 63, 64, 65, 126, 127, 128, 129)
LONGEST_ID_BYTES = (8191, 8192, 65_535, 65_536)
CHARACTERS = ("a", "0", "\0", "\x01", "\x7f", "é", "ÿ", "漢", "\ufffd", "🙂")
FAMILIAR = tuple(dtype for dtype in TWINS if dtype is not DType.DT_STRING)


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a family. Without rows it has its inner shape, as a request that is not batchable may."""

    name: str
    dtype: DType
    inner_shape: tuple[int, ...]
    has_rows: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """What its members have in common.

    Attributes:
        base: model, version, label, signature and outputs.
        inputs: the inputs.
        rows: dimension 0 of the inputs.
        even: whether all inputs of a member have the same rows.
        parameters: whether members have any.
        style: how arrays are written (`pieces.of_request`).
    """

    base: PredictRequest
    inputs: tuple[Input, ...]
    rows: int
    even: bool
    parameters: bool
    style: int | None


def new_family(rng: random.Random) -> Family:
    """Some family; most are as most requests are."""
    usual = rng.random() < 0.7
    version = rng.choice(VERSIONS)
    base = PredictRequest(
        rng.choice(TEXTS),
        version,
        rng.choice((None, *TEXTS)) if version is None and rng.random() < 0.3 else None,
        rng.choice(TEXTS) if rng.random() < 0.3 else "serving_default",
        tuple(rng.choice(TEXTS) for _ in range(rng.choice((0, 0, 0, 1, 2)))),
    )
    count = rng.choice((1, 1, 1, 2, 2, 3)) if usual else rng.choice((0, 1, 2, 5, 5, 30))
    dtypes = FAMILIAR if usual else tuple(TWINS)
    inputs = tuple(
        Input(
            f"{rng.choice(TEXTS)}{number}",
            rng.choice(dtypes),
            rng.choice(INNER_SHAPES),
            has_rows=usual or rng.random() < 0.8,
        )
        for number in range(count)
    )
    return Family(
        base,
        inputs,
        rng.choice(ROW_COUNTS),
        even=usual or rng.random() < 0.6,
        parameters=not usual and rng.random() < 0.3,
        style=rng.getrandbits(32) if rng.random() < 0.4 else None,
    )


def sibling(rng: random.Random, family: Family) -> Family:
    """The same family but for one fact, at equal length where that can be had: what is confused most easily."""
    if not family.inputs:
        return replace(family, base=replace(family.base, signature=_other_text(family.base.signature)))
    at = rng.randrange(len(family.inputs))
    one = family.inputs[at]
    match rng.randrange(7):
        case 0:
            one = replace(one, name=_other_text(one.name))
        case 1:
            alike = [d for d in TWINS if d.itemsize == one.dtype.itemsize]
            one = replace(one, dtype=rng.choice(alike))
        case 2:
            one = replace(one, inner_shape=one.inner_shape[::-1])
        case 3:
            one = replace(one, inner_shape=rng.choice(INNER_SHAPES))
        case 4:
            return replace(family, base=replace(family.base, model=_other_text(family.base.model)))
        case 5:
            return replace(family, rows=rng.choice(ROW_COUNTS))
        case _:
            return replace(family, style=rng.getrandbits(32))
    return replace(family, inputs=(*family.inputs[:at], one, *family.inputs[at + 1 :]))


def first_member(rng: random.Random, family: Family) -> PredictRequest:
    """A request of the family."""
    inputs = []
    for one in family.inputs:
        leading = (family.rows if family.even else rng.choice(ROW_COUNTS),) if one.has_rows else ()
        shape = (*leading, *one.inner_shape)
        inputs.append(Tensor(one.name, one.dtype, shape, _data(rng, one.dtype, math.prod(shape))))
    parameters = {f"k{n}": rng.randbytes(n) for n in range(rng.choice((1, 2)))} if family.parameters else {}
    return replace(family.base, inputs=tuple(inputs), id=some_id(rng), parameters=parameters)


def another_member(rng: random.Random, member: Pieces, id_bytes: int | None) -> Pieces:
    """A request of the same layout, with data and an id of its own, of so many bytes or any."""
    pieces = list(member)
    for at, (kind, raw) in enumerate(member):
        if kind == "data":
            pieces[at] = Piece(kind, some_bytes(rng, len(raw)))
        elif kind == "id":
            text = some_id(rng, id_bytes).encode()
            pieces[at - 1 : at + 1] = Piece("id length", long(len(text))), Piece(kind, text)
    return pieces


def some_id(rng: random.Random, size: int | None = None) -> str:
    """An id of so many bytes, or of a length at which something may change; of characters of any width."""
    if size is None:
        size = rng.choice(ID_BYTES if rng.random() < 0.999 else LONGEST_ID_BYTES)
    if rng.random() < 0.7:
        return rng.randbytes(size).hex()[:size]
    character = rng.choice(CHARACTERS)
    count, rest = divmod(size, len(character.encode()))
    return character * count + "_" * rest


def some_bytes(rng: random.Random, size: int) -> bytes:
    """Data of so many bytes: any, or all 0 or 1, as booleans are."""
    return rng.randbytes(size) if rng.random() < 0.7 else rng.choice((b"\0", b"\1")) * size


def _data(rng: random.Random, dtype: DType, elements: int) -> bytes | tuple[bytes, ...]:
    if dtype is DType.DT_STRING:
        return tuple(rng.randbytes(rng.choice((0, 1, 3, 64))) for _ in range(elements))
    return some_bytes(rng, elements * dtype.itemsize)


def _other_text(text: str) -> str:
    """Another text of the same length; of one character more where there is none to change."""
    return text[:-1] + ("y" if text[-1:] != "y" else "z") if text.isascii() and text else text + "y"
