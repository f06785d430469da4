"""Polls of request records: some that fit a model, most of them damaged, or of no use from the beginning."""

import random
from collections.abc import Sequence
from dataclasses import replace

from schemas import codec
from schemas.dtype import DType
from schemas.model_config import ModelConfig
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fuzzing import hostile_claims, served
from tests.fuzzing.families import (
    TEXTS,
    Family,
    Input,
    another_member,
    first_member,
    new_family,
    sibling,
    some_bytes,
    some_id,
)
from tests.fuzzing.mutations import mutated
from tests.fuzzing.path_rig import RECORD_BYTES
from tests.fuzzing.pieces import Pieces, joined, of_request
from tests.fuzzing.records import Record

FAMILIES = 48
POLL_SIZES = (0, 1, 2, 8, 30, 100, 300, 600)
FITTING: tuple[tuple[str, tuple[Input, ...]], ...] = (
    ("serving_default", (Input("x", DType.DT_FLOAT, (2,)),)),
    ("serving_default", (Input("x", DType.DT_FLOAT, (2,)),)),
    ("serving_default", (Input("x", DType.DT_FLOAT, (2,)),)),
    ("two", (Input("a", DType.DT_INT64, ()), Input("b", DType.DT_UINT8, (3,)))),
    ("two", (Input("b", DType.DT_UINT8, (3,)), Input("a", DType.DT_INT64, ()))),
    ("square", (Input("x", DType.DT_FLOAT, (2, 2), has_rows=False),)),
    ("wide", (Input("x", DType.DT_INT32, (3,)),)),
    ("strings", (Input("s", DType.DT_STRING, ()),)),
    ("big", (Input("x", DType.DT_FLOAT, (2,)),)),
)
"""Signatures and inputs that fit them."""
ASKED = (("m", None, None), ("m", None, None), ("m", 1, None), ("m", 2, None), ("m", None, "stable"))
HARDLY = (
    ("m", 3, None),
    ("m", -1, None),
    ("m", None, "no label"),
    ("broken", None, None),
    ("nobody", None, None),
)
"""Model, version and label: what is served, and what is not."""
HELD = ("loading", None, None)
ROWS = (0, 1, 1, 1, 1, 2, 3, 7, 64, 65)
MOST_POISON = 2
"""Poisoned requests of one poll: where many fail in a row, the worker gives a batch up, and says so in its design."""
CLAIMED = 0.02
"""So many of the requests have data that lies elsewhere, or say so."""
GIGANTIC_BYTES = (20_000, 60_000)


class RequestSource:
    """Makes polls from one source of chance."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._families: list[tuple[Family, Pieces]] = []
        self._families += [self._with_member(self._new_family()) for _ in range(FAMILIES)]
        self._poison_left = 0

    def poll(self) -> list[Record]:
        """Members of a few families, and what is no member of any."""
        rng = self._rng
        self._families[rng.randrange(FAMILIES)] = self._with_member(self._new_family())
        self._poison_left = MOST_POISON
        members = [member for _, member in rng.choices(self._families, k=rng.choice((1, 1, 2, 3, 12)))]
        damaged = rng.choice((0.0, 0.02, 0.3, 0.7, 0.9))
        keyed = rng.random() < 0.7
        id_bytes = rng.choice((None, 12))
        return [
            Record(self._value(members, damaged, id_bytes), self.some_key() if keyed else None)
            for _ in range(rng.choice(POLL_SIZES))
        ]

    def fitting_value(self) -> bytes:
        """A request that is answered, unless there is something wrong with its headers."""
        family = self._fitting_family(ASKED)
        return joined(of_request(first_member(self._rng, family), family.style))

    def some_key(self) -> bytes | None:
        """A key: mostly another one for each record; none, empty, the same for many, or large."""
        rng = self._rng
        match rng.randrange(200):
            case 0:
                return rng.choice((None, b"", b"k", b"\xff\0"))
            case 1:
                return rng.randbytes(rng.choice((100, 5_000, 39_000)))
            case _:
                return rng.randbytes(8)

    def _new_family(self) -> Family:
        rng = self._rng
        choice = rng.random()
        if choice < 0.5:
            return self._fitting_family(ASKED)
        if choice < 0.6:
            return self._fitting_family((HELD,) if rng.random() < 0.05 else HARDLY)
        if choice < 0.75 and self._families:
            return sibling(rng, rng.choice(self._families)[0])
        family = new_family(rng)
        return replace(family, base=replace(family.base, model="m")) if rng.random() < 0.5 else family

    def _fitting_family(self, asked: Sequence[tuple[str, int | None, str | None]]) -> Family:
        rng = self._rng
        signature, inputs = rng.choice(FITTING)
        model, version, label = rng.choice(asked)
        base = PredictRequest(model, version, label, signature)
        style = rng.getrandbits(32) if rng.random() < 0.2 else None
        return Family(base, inputs, rng.choice(ROWS), even=True, parameters=rng.random() < 0.1, style=style)

    def _with_member(self, family: Family) -> tuple[Family, Pieces]:
        return family, of_request(first_member(self._rng, family), family.style)

    def _value(self, members: Sequence[Pieces], damaged: float, id_bytes: int | None) -> bytes | None:
        rng = self._rng
        if rng.random() < 0.01:
            return self._odd()
        if rng.random() < CLAIMED:
            return hostile_claims.claimed(rng, first_member(rng, self._fitting_family(ASKED)))
        pieces = another_member(rng, rng.choice(members), id_bytes)
        if rng.random() >= damaged:
            return self._perhaps_poisoned(pieces)
        return mutated(rng, pieces, rng.choice(members), same_length=rng.random() < 0.3)

    def _perhaps_poisoned(self, pieces: Pieces) -> bytes:
        if self._poison_left and self._rng.random() < 0.02:
            for at, (kind, raw) in enumerate(pieces):
                if kind == "data" and len(raw) >= len(served.POISON):
                    self._poison_left -= 1
                    pieces[at] = pieces[at]._replace(raw=served.POISON + raw[len(served.POISON) :])
                    break
        return joined(pieces)

    def _odd(self) -> bytes | None:
        """What no member of a family is made into: no request at all, or one that is far too large."""
        rng = self._rng
        match rng.randrange(6):
            case 0:
                return rng.choice(
                    (None, b"", b"\0\0\0\0\1" + rng.randbytes(20), b'{"model": "m"}', rng.randbytes(40))
                )
            case 1:
                return codec.encode(rng.choice((PredictReply("m"), ModelConfig("/models"))))
            case 2:
                return rng.randbytes(RECORD_BYTES + rng.choice((-1, 0, 1, 50_000)))
            case _:
                return self._gigantic()

    def _gigantic(self) -> bytes:
        """A request for a model that is served, or for none, with a name as long as a name may be, or longer."""
        rng = self._rng
        name = rng.randbytes(rng.choice(GIGANTIC_BYTES) // 2).hex()
        data = Tensor("x", DType.DT_FLOAT, (1, 2), some_bytes(rng, 8))
        request = PredictRequest("m", inputs=(data,), id=some_id(rng))
        match rng.randrange(7):
            case 0:
                request = replace(request, model=name)
            case 1:
                request = replace(request, signature=name)
            case 2:
                request = replace(request, label=name)
            case 3:
                request = replace(request, outputs=(name, rng.choice(TEXTS)))
            case 4:
                request = replace(request, inputs=(replace(data, name=name),))
            case 5:
                request = replace(request, parameters={name[:40]: name.encode()[:60_000]})
            case _:
                names = [rng.randbytes(rng.choice((10, 300))).hex() for _ in range(rng.choice((100, 250)))]
                request = replace(request, inputs=tuple(replace(data, name=each) for each in names))
        return codec.encode(request)
