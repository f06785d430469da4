"""Hypothesis strategies for the records, and a second, plain encoder that can do what ours never does."""

import struct
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from schemas.catalog import default_catalog
from schemas.dtype import TWINS, DType
from schemas.model_config import BatchingOptions, ModelConfig, PastConfig
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState, ServableStatus
from schemas.signature_spec import SignatureSpec, TensorSpec
from schemas.status import Status
from schemas.tensor import Tensor
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions
from schemas.worker_status import WorkerState, WorkerStatus

longs = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=12)
parameters = st.dictionaries(texts, st.binary(max_size=12), max_size=3)
shapes = st.lists(st.integers(0, 3), max_size=4).map(tuple)
numeric = sorted(set(TWINS) - {DType.DT_STRING})

T = TypeVar("T")


def tuples(items: st.SearchStrategy[T], most: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    """Tuples of up to so many items."""
    return st.lists(items, max_size=most).map(tuple)


@st.composite
def tensors(draw: st.DrawFn, names: st.SearchStrategy[str] = texts) -> Tensor:
    """A consistent tensor of any dtype."""
    dtype, shape = draw(st.sampled_from(sorted(TWINS))), draw(shapes)
    elements = int(np.prod(shape, dtype=np.int64))
    if dtype is DType.DT_STRING:
        data: bytes | tuple[bytes, ...] = tuple(
            draw(st.lists(st.binary(max_size=6), min_size=elements, max_size=elements))
        )
    else:
        size = elements * dtype.itemsize
        data = draw(st.binary(min_size=size, max_size=size))
    return Tensor(draw(names), dtype, shape, data)


many_tensors = st.lists(tensors(), max_size=3, unique_by=lambda t: t.name).map(tuple)


@st.composite
def requests(draw: st.DrawFn) -> PredictRequest:
    """Any request that a reader takes."""
    version = draw(st.none() | longs)
    return PredictRequest(
        model=draw(texts),
        version=version,
        label=draw(st.none() | texts) if version is None else None,
        signature=draw(texts),
        outputs=draw(tuples(texts)),
        inputs=draw(many_tensors),
        id=draw(st.text(max_size=100)),
        parameters=draw(parameters),
    )


@st.composite
def batchable_requests(draw: st.DrawFn) -> PredictRequest:
    """A request as most are: numeric inputs of one number of rows, no parameters, of few layouts."""
    rows = draw(st.sampled_from([0, 1, 2, 40]))
    inputs = []
    for index in range(draw(st.integers(1, 2))):
        dtype = draw(st.sampled_from([DType.DT_FLOAT, DType.DT_BOOL]))
        shape = (rows, *draw(st.sampled_from([(), (2,), (0, 3)])))
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        inputs.append(Tensor(f"x{index}", dtype, shape, draw(st.binary(min_size=size, max_size=size))))
    ids = st.sampled_from(["", "a", "abcdef", "é", "漢字", "x" * 63, "x" * 64, "x" * 9000])
    return PredictRequest(draw(st.sampled_from(["m", "other"])), inputs=tuple(inputs), id=draw(ids))


statuses = st.builds(Status, st.integers(-(2**31), 2**31 - 1), texts)
replies = st.builds(
    PredictReply, texts, st.none() | longs, many_tensors, st.none() | statuses, texts, parameters
)
selections = st.one_of(
    st.builds(SpecificVersions, tuples(longs)), st.builds(LatestVersions, longs), st.builds(AllVersions)
)
batching = st.builds(
    BatchingOptions,
    st.none() | longs,
    st.none() | st.floats(allow_nan=False),
    st.none() | tuples(longs),
    st.none() | longs,
)
config_fields = {
    "base_path": texts,
    "loader": texts,
    "versions": selections,
    "labels": st.dictionaries(texts, longs, max_size=3),
    "batching": st.none() | batching,
    "revision": longs,
    "author": texts,
    "time": longs,
    "comment": texts,
    "parameters": parameters,
}
past_configs = st.builds(PastConfig, **config_fields)
configs = st.builds(ModelConfig, **config_fields, history=tuples(past_configs))
dimensions = st.none() | st.integers(0, 2**63 - 1)
specs = st.builds(TensorSpec, texts, texts, st.none() | tuples(dimensions))
signatures = st.builds(SignatureSpec, texts, texts, tuples(specs), tuples(specs))
servable_statuses = st.builds(
    ServableStatus,
    worker=texts,
    model=texts,
    version=longs,
    state=st.sampled_from(ServableState),
    code=st.integers(0, 16),
    message=texts,
    control_offset=longs,
    signatures=tuples(signatures, 2),
    time=longs,
    parameters=parameters,
)
worker_statuses = st.builds(
    WorkerStatus, texts, texts, texts, texts, longs, st.sampled_from(WorkerState), longs, longs, parameters
)


def long(number: int, *, padding: int = 0) -> bytes:
    """A zigzag varint, written as Avro's specification says; with overlong padding when asked for."""
    value = number * 2 if number >= 0 else -number * 2 - 1
    groups = []
    while True:
        groups.append(value & 0x7F)
        value >>= 7
        if not value:
            break
    groups += [0] * padding
    return bytes([g | 0x80 for g in groups[:-1]] + groups[-1:])


def text(content: str | bytes) -> bytes:
    """A string or bytes."""
    raw = content.encode() if isinstance(content, str) else content
    return long(len(raw)) + raw


def counted(items: Sequence[bytes]) -> bytes:
    """An array in one block."""
    return (long(len(items)) + b"".join(items) if items else b"") + b"\0"


def sized(items: Sequence[bytes]) -> bytes:
    """An array in one block with its size."""
    body = b"".join(items)
    return (long(-len(items)) + long(len(body)) + body if items else b"") + b"\0"


def one_by_one(items: Sequence[bytes]) -> bytes:
    """An array in blocks of one item."""
    return b"".join(long(1) + item for item in items) + b"\0"


Blocks = Callable[[Sequence[bytes]], bytes]


def tensor_bytes(tensor: Tensor, blocks: Blocks = counted) -> bytes:
    """A tensor's fields, with arrays written in a chosen way."""
    symbols = ["UNKNOWN", *(t.name for t in TWINS)]
    if isinstance(tensor.data, tuple):
        data = long(1) + blocks([text(item) for item in tensor.data])
    else:
        data = long(0) + text(bytes(tensor.data))
    shape = blocks([long(d) for d in tensor.shape])
    return text(tensor.name) + long(symbols.index(tensor.dtype.name)) + shape + data


def header(record_name: str) -> bytes:
    """The single-object header of a record."""
    return b"\xc3\x01" + struct.pack("<Q", default_catalog().current(record_name).fingerprint)


def request_bytes(request: PredictRequest, blocks: Blocks = counted, tail: bytes | None = None) -> bytes:
    """A request, with arrays written in a chosen way; another end than id and parameters when asked for."""
    version = long(0) if request.version is None else long(1) + long(request.version)
    label = long(0) if request.label is None else long(1) + text(request.label)
    if tail is None:
        tail = text(request.id) + blocks([text(k) + text(v) for k, v in request.parameters.items()])
    return b"".join(
        [
            header("PredictRequest"),
            text(request.model),
            version,
            label,
            text(request.signature),
            blocks([text(name) for name in request.outputs]),
            blocks([tensor_bytes(tensor, blocks) for tensor in request.inputs]),
            tail,
        ]
    )
