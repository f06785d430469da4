"""Requests whose data lies elsewhere: some honest, most of them lying; and what must come of each.

What lies in the store is kept here as well, so that what is expected is computed without asking the store.
"""

import hashlib
import json
import random
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np

from schemas import codec
from schemas.claim import PREFIX
from schemas.dtype import DType
from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from worker import claim_store

ROOT = "memory://headrace-fuzz/in"
REQUEST_BYTES = 4096
MOST_FILES = 512
"""More than a poll claims; older ones are removed."""
ELSEWHERE = (
    "memory://headrace-fuzz/out/x",
    f"{ROOT}/../out/x",
    f"{ROOT}/./x",
    f"{ROOT}/",
    ROOT,
    f"{ROOT}x/y",
    f"{ROOT}/%2e%2e/x",
    f"simplecache::{ROOT}/x",
    f"zip://x::{ROOT}/y",
    "file:///etc/passwd",
    "nothing",
    "",
    "\ud800",
)
_stored: OrderedDict[str, bytes] = OrderedDict()


class _Unchecked(PredictRequest):
    """A request that is written whether or not it is sound."""

    def to_wire(self) -> dict[str, Any]:
        """The fields, as they are."""
        inputs = [
            {
                "name": tensor.name,
                "dtype": tensor.dtype.name,
                "shape": list(tensor.shape),
                "data": list(tensor.data) if isinstance(tensor.data, tuple) else bytes(tensor.data),
            }
            for tensor in self.inputs
        ]
        sound = replace(self, inputs=(), parameters={})
        return {
            **PredictRequest.to_wire(sound),
            "inputs": inputs,
            "parameters": dict(self.parameters),
        }


def claimed(rng: random.Random, request: PredictRequest) -> bytes:
    """The record of a request that has claims in place of some of its data."""
    inputs, parameters = [], dict(request.parameters)
    for tensor in request.inputs:
        if rng.random() < 0.2:
            inputs.append(tensor)
            continue
        empty: Any = () if isinstance(tensor.data, tuple) else b""
        has_data = rng.random() < 0.02
        inputs.append(replace(tensor, data=tensor.data if has_data else empty))
        name = tensor.name if rng.random() < 0.97 else tensor.name + "?"
        parameters[PREFIX + name] = _claim(rng, _lying(tensor))
    fields = (request.model, request.version, request.label, request.signature, request.outputs)
    return codec.encode(_Unchecked(*fields, tuple(inputs), request.id, parameters))


def _claim(rng: random.Random, data: bytes) -> bytes:
    """A claim to data, which is stored as it says, or otherwise, or not at all."""
    uri = f"{ROOT}/{rng.randbytes(8).hex()}"
    right = {"uri": uri, "bytes": len(data), "checksum": "sha256:" + hashlib.sha256(data).hexdigest()}
    lies: dict[str, Any] = {}
    match rng.randrange(16):
        case 0:
            lies = {"uri": rng.choice(ELSEWHERE)}
        case 1:
            lies = {"checksum": "sha256:" + rng.randbytes(32).hex()}
        case 2:
            data = rng.choice((data[:-1], data + b"\0", rng.randbytes(len(data))))
        case 3:
            lies = {"bytes": rng.choice((0, len(data) + 1, -1, 2**70, 1.5, None, "8", True))}
        case 4:
            lies = {rng.choice(("uri", "bytes", "checksum")): rng.choice((None, 7, [], {}, "x"))}
        case 5:
            return rng.choice((b"[" * 3000, b"null", b"{}", rng.randbytes(30), b"\xff{}"))
        case 6:
            lies = {"more": rng.choice((None, {"a": [1]}))}
    if rng.random() < 0.95:
        _store(uri, data)
    return json.dumps(right | lies).encode()


def resolved(request: PredictRequest) -> tuple[PredictRequest, set[int]]:
    """A decoded request with its data, and the codes of which it must get one where that cannot be had.

    In place of data that cannot be had are zeros, for what is looked at before it is fetched.
    """
    claims = {
        key.removeprefix(PREFIX): json.loads(value)
        for key, value in request.parameters.items()
        if key.startswith(PREFIX)
    }
    codes: set[int] = set()
    inputs = []
    for tensor in request.inputs:
        claim = claims.get(tensor.name)
        if claim is None:
            inputs.append(tensor)
            continue
        code, data = _had(claim)
        whole = None
        if code is None:
            whole = _whole(tensor, data)
            code = Code.INVALID_ARGUMENT if whole is None else None
        codes |= set() if code is None else {int(code)}
        inputs.append(whole or _zeros(tensor))
    if sum(claim["bytes"] for claim in claims.values()) > REQUEST_BYTES:
        codes.add(int(Code.RESOURCE_EXHAUSTED))
    return replace(request, inputs=tuple(inputs), parameters={}), codes


def _had(claim: dict[str, Any]) -> tuple[Code | None, bytes]:
    """Why the data of a claim cannot be had, or the data."""
    below = claim["uri"].removeprefix(ROOT + "/")
    if below == claim["uri"] or not below.isalnum():
        return Code.INVALID_ARGUMENT, b""
    data = _stored.get(claim["uri"])
    if data is None:
        return Code.NOT_FOUND, b""
    right = (len(data), "sha256:" + hashlib.sha256(data).hexdigest())
    return (None, data) if right == (claim["bytes"], claim["checksum"]) else (Code.INVALID_ARGUMENT, b"")


def _whole(tensor: Tensor, data: bytes) -> Tensor | None:
    """The tensor with its data; None where that is no data of it."""
    if tensor.dtype is not DType.DT_STRING:
        return replace(tensor, data=data)
    count, strings = int(np.prod(tensor.shape, dtype=np.int64)), []
    at = 8 * count
    for n in range(count):
        length = int.from_bytes(data[8 * n : 8 * n + 8], "little")
        strings.append(data[at : at + length])
        at += length
    return replace(tensor, data=tuple(strings)) if at == len(data) else None


def _zeros(tensor: Tensor) -> Tensor:
    count = int(np.prod(tensor.shape, dtype=np.int64))
    strings = tensor.dtype is DType.DT_STRING
    return replace(tensor, data=(b"",) * count if strings else bytes(count * tensor.dtype.itemsize))


def _lying(tensor: Tensor) -> bytes:
    """The data of a tensor as it lies in a store."""
    if not isinstance(tensor.data, tuple):
        return bytes(tensor.data)
    return b"".join(len(each).to_bytes(8, "little") for each in tensor.data) + b"".join(tensor.data)


def _store(uri: str, data: bytes) -> None:
    _stored[uri] = data
    claim_store.write(uri, [data])
    while len(_stored) > MOST_FILES:
        claim_store.remove(_stored.popitem(last=False)[0])
