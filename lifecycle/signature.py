"""What a servable takes and gives, and the check of a request against it.

A dtype is written with TensorFlow's name (`DT_FLOAT`), so that this package needs no table of types. A shape
is a tuple in which `None` stands for any size; `None` in place of the whole tuple stands for any rank.

The checks run once for each *kind* of request, not for each request: they take names, dtypes and shapes.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from lifecycle import errors


def _shown(dtype: str, shape: Sequence[int | None] | None) -> str:
    sizes = "any rank" if shape is None else ",".join("?" if size is None else str(size) for size in shape)
    return f"{dtype}[{sizes}]"


@dataclasses.dataclass(frozen=True, slots=True)
class TensorSpec:
    """One named input or output of a signature."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        return _shown(self.dtype, self.shape)

    @property
    def batchable(self) -> bool:
        """Whether dimension 0 is free, so that rows of several requests can be stacked along it."""
        return self.shape is not None and len(self.shape) > 0 and self.shape[0] is None

    def difference(self, dtype: str, shape: Sequence[int | None]) -> str | None:
        """Why a tensor of that dtype and shape does not fit, or None when it does.

        A size of None is one that is not known yet: it fits whatever is expected.
        """
        if dtype != self.dtype:
            return "the dtype differs"
        if self.shape is None:
            return None
        if len(shape) != len(self.shape):
            return f"the rank differs ({len(self.shape)} expected, {len(shape)} given)"
        for axis, (expected, given) in enumerate(zip(self.shape, shape, strict=True)):
            if expected is not None and given is not None and expected != given:
                return f"dimension {axis} differs ({expected} expected, {given} given)"
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a servable: inputs and outputs by the names that requests use."""

    name: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    batchable: bool = dataclasses.field(init=False, repr=False, compare=False)
    """Whether requests may be stacked along dimension 0 and the results cut apart again.

    True when every input and every output has a free dimension 0, and there is at least one input. Found once, because
    it is asked several times a block.
    """

    def __post_init__(self) -> None:
        specs = (*self.inputs.values(), *self.outputs.values())
        batchable = bool(self.inputs) and all(spec.batchable for spec in specs)
        object.__setattr__(self, "batchable", batchable)


def find_signature(signatures: Mapping[str, Signature], name: str) -> Signature:
    """The signature of that name.

    Raises:
        InvalidInput: there is none; the message lists those that exist.
    """
    found = signatures.get(name)
    if found is None:
        raise errors.InvalidInput(f"signature {name!r} does not exist; expected one of {_names(signatures)}")
    return found


def check_inputs(signature: Signature, given: Mapping[str, tuple[str, Sequence[int | None]]]) -> None:
    """Check the (dtype, shape) of each given input, by name.

    Raises:
        InvalidInput: an input is missing, not known, or differs in dtype, rank or a fixed dimension. The
            message says what was expected and what came.
    """
    missing = [name for name in signature.inputs if name not in given]
    unknown = [name for name in given if name not in signature.inputs]
    if missing or unknown:
        raise errors.InvalidInput(
            f"signature {signature.name!r} expects the inputs {_specs(signature.inputs)}; "
            f"given {_names(given)}{_list(', missing', missing)}{_list(', not known', unknown)}"
        )
    for name, (dtype, shape) in given.items():
        spec = signature.inputs[name]
        difference = spec.difference(dtype, shape)
        if difference is not None:
            raise errors.InvalidInput(
                f"input {name!r} of signature {signature.name!r}: expected {spec}, "
                f"given {_shown(dtype, shape)}: {difference}"
            )


def check_outputs(signature: Signature, names: Iterable[str]) -> None:
    """Check that each wanted output exists and is named once; no names at all means every output.

    Raises:
        InvalidInput: an output is not known or is named twice; the message lists those that exist.
    """
    seen: set[str] = set()
    for name in names:
        if name not in signature.outputs:
            raise errors.InvalidInput(
                f"signature {signature.name!r} has no output {name!r}; "
                f"expected one of {_names(signature.outputs)}"
            )
        if name in seen:
            raise errors.InvalidInput(f"output {name!r} of signature {signature.name!r} is asked for twice")
        seen.add(name)


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "none"


def _specs(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name!r} {specs[name]}" for name in sorted(specs)) or "none"


def _list(label: str, names: Sequence[str]) -> str:
    return f"{label}: {_names(names)}" if names else ""
