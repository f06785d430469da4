"""How signatures look: as rows for people, as JSON for programs."""

from collections.abc import Iterator, Mapping
from typing import Any

from lifecycle.signature import Signature, TensorSpec
from schemas.signature_spec import SignatureSpec

COLUMNS = ("signature", "batches", "", "name", "dtype", "shape")


def reported(spec: SignatureSpec) -> Signature:
    """A signature as a worker reports it."""

    def specs(reported: tuple[Any, ...]) -> dict[str, TensorSpec]:
        return {each.name: TensorSpec(each.name, each.dtype, each.shape) for each in reported}

    return Signature(spec.name, spec.method_name, specs(spec.inputs), specs(spec.outputs))


def rows(signature: Signature) -> Iterator[tuple[str, ...]]:
    """One row for each input and output; what concerns several of them stands in the first."""
    head = (signature.name, "yes" if signature.batchable else "no")
    for direction, specs in (("in", signature.inputs), ("out", signature.outputs)):
        for index, spec in enumerate(specs.values()):
            yield (*head, "" if index else direction, spec.name, spec.dtype, _shown_shape(spec))
            head = ("", "")


def document(signature: Signature) -> dict[str, Any]:
    """For programs: an open size is null, and so is a shape of open rank."""
    return {
        "method_name": signature.method_name,
        "batchable": signature.batchable,
        "inputs": _specs_document(signature.inputs),
        "outputs": _specs_document(signature.outputs),
    }


def _shown_shape(spec: TensorSpec) -> str:
    if spec.shape is None:
        return "any rank"
    return f"[{', '.join('?' if size is None else str(size) for size in spec.shape)}]"


def _specs_document(specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    return {
        name: {"dtype": spec.dtype, "shape": None if spec.shape is None else list(spec.shape)}
        for name, spec in specs.items()
    }
