"""The models that hostile requests are for, and what each request must be answered with, by the rules of docs/wire.md.

The answers depend on each row alone, bit by bit, and on the version: any mix-up shows.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lifecycle.aspired_versions_manager import AspiredVersionsManager
from lifecycle.errors import PermanentLoadFailure
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature, TensorSpec
from lifecycle.source import AspiredVersion
from schemas import codec
from schemas.errors import Code
from schemas.model_config import ModelConfig
from schemas.predict_request import PredictRequest
from schemas.version_selection import SpecificVersions
from worker.model_table import ModelTable

Arrays = Mapping[str, npt.NDArray[np.generic]]

METHOD = "tensorflow/serving/predict"
POISON = b"\xef\xbe\xad\xde"
"""A row of `serving_default` that begins with these bytes makes the model fail."""
MOST_ROWS = 64
"""Rows of a batch, and so of a request."""
BIG_COLUMNS = 1500
VERSIONS: Mapping[str, tuple[int, ...]] = {"m": (1, 2), "broken": (1,), "loading": (1,)}
"""What the control topic says: the first is served, the second has failed, the third never ends to load."""
LABELS: Mapping[str, Mapping[str, int]] = {"m": {"stable": 1}}


def _signatures() -> dict[str, Signature]:
    rows = TensorSpec("x", "DT_FLOAT", (None, 2))
    square = TensorSpec("x", "DT_FLOAT", (2, 2))
    wide = TensorSpec("x", "DT_INT32", (None, None))
    texts = TensorSpec("s", "DT_STRING", (None,))
    a, b = TensorSpec("a", "DT_INT64", (None,)), TensorSpec("b", "DT_UINT8", (None, 3))
    shapes = {
        "serving_default": ({"x": rows}, {"y": TensorSpec("y", "DT_FLOAT", (None, 2))}),
        "square": ({"x": square}, {"y": TensorSpec("y", "DT_FLOAT", (2, 2))}),
        "wide": ({"x": wide}, {"y": TensorSpec("y", "DT_INT32", (None, None))}),
        "strings": ({"s": texts}, {"t": TensorSpec("t", "DT_STRING", (None,))}),
        "two": ({"a": a, "b": b}, {"a": a, "b": b}),
        "big": ({"x": rows}, {"y": TensorSpec("y", "DT_FLOAT", (None, BIG_COLUMNS))}),
    }
    return {name: Signature(name, METHOD, *inout) for name, inout in shapes.items()}


SIGNATURES = _signatures()


class BitServable:
    """Turns bits over, by its version."""

    def __init__(self, version: int) -> None:
        self._version = version
        self.signatures: Mapping[str, Signature] = SIGNATURES

    def run(self, signature: str, inputs: Arrays, outputs: Sequence[str]) -> Arrays:
        """Run one signature."""
        results = {name: self._turned(signature, name, inputs) for name in SIGNATURES[signature].outputs}
        return {name: results[name] for name in outputs or results}

    def _turned(self, signature: str, output: str, inputs: Arrays) -> npt.NDArray[np.generic]:
        if signature == "strings":
            texts = np.empty(len(inputs["s"]), object)
            texts[:] = [bytes(text) + b"!" * self._version for text in inputs["s"].tolist()]
            return texts
        given = np.ascontiguousarray(inputs[output if signature == "two" else "x"])
        if signature == "serving_default" and (given.view(np.uint32)[:, 0] == _POISON_BITS).any():
            raise ValueError("this model does not like that row")
        turned: npt.NDArray[np.generic] = (given.view(np.uint8) ^ np.uint8(self._version)).view(given.dtype)
        if signature == "big":
            return np.repeat(turned[:, :1], BIG_COLUMNS, axis=1)
        return turned.reshape(given.shape)


_POISON_BITS = np.uint32(int.from_bytes(POISON, "little"))


class _Loader:
    """Has the servable, or a reason why not."""

    def __init__(self, version: int, failure: Exception | None) -> None:
        self._failure = failure
        self.servable = BitServable(version)

    def load(self) -> None:
        """Load, or fail."""
        if self._failure is not None:
            raise self._failure

    def unload(self) -> None:
        """Nothing to unload."""


def serve(table: ModelTable, manager: AspiredVersionsManager) -> None:
    """Put the models on the table, and load what can be loaded."""
    for offset, (name, versions) in enumerate(VERSIONS.items()):
        config = ModelConfig("/models", versions=SpecificVersions(versions), labels=LABELS.get(name, {}))
        table.apply(name.encode(), codec.encode(config), offset)
        if name == "loading":
            continue
        failure = PermanentLoadFailure("no such file") if name == "broken" else None
        manager.set_aspired_versions(
            name,
            [
                AspiredVersion(ServableId(name, v), functools.partial(_loader, _Loader(v, failure)))
                for v in versions
            ],
        )
    for _ in range(30):
        manager.step()


def _loader(loader: _Loader) -> _Loader:
    return loader


def version_of(request: PredictRequest) -> int | None:
    """The version that a request means, as far as the control topic says: None for the latest."""
    if request.label is None:
        return request.version
    return LABELS.get(request.model, {}).get(request.label)


def code_of(request: PredictRequest) -> Code:
    """The code of the answer to a request that could be decoded."""
    known = VERSIONS.get(request.model)
    if known is None:
        return Code.NOT_FOUND
    if request.label is not None and request.label not in LABELS.get(request.model, {}):
        return Code.INVALID_ARGUMENT
    version = version_of(request)
    if version is not None and version not in known:
        return Code.NOT_FOUND
    if request.model != "m":
        return Code.UNAVAILABLE
    return _code_of_inputs(request)


def _code_of_inputs(request: PredictRequest) -> Code:  # noqa: PLR0911 - a code for each rule
    signature = SIGNATURES.get(request.signature)
    given = {tensor.name: tensor for tensor in request.inputs}
    if signature is None or given.keys() != signature.inputs.keys():
        return Code.INVALID_ARGUMENT
    for name, spec in signature.inputs.items():
        if spec.difference(given[name].dtype.name, given[name].shape) is not None:
            return Code.INVALID_ARGUMENT
    if len(set(request.outputs)) != len(request.outputs) or set(request.outputs) - signature.outputs.keys():
        return Code.INVALID_ARGUMENT
    if signature.batchable:
        rows = {tensor.shape[0] for tensor in request.inputs}
        if len(rows) > 1:
            return Code.INVALID_ARGUMENT
        if rows.pop() > MOST_ROWS:
            return Code.RESOURCE_EXHAUSTED
    if request.signature == "serving_default":
        x = np.ascontiguousarray(given["x"].to_numpy())
        if (x.view(np.uint32)[:, 0] == _POISON_BITS).any():
            return Code.INTERNAL
    return Code.OK


def answer_to(request: PredictRequest) -> tuple[int, Arrays]:
    """The version that answers a request whose code is OK, and its outputs."""
    version = version_of(request)
    version = max(VERSIONS[request.model]) if version is None else version
    inputs = {tensor.name: tensor.to_numpy() for tensor in request.inputs}
    return version, BitServable(version).run(request.signature, inputs, request.outputs)
