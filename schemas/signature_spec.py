"""What a servable's signature takes and gives, as its status shows it to operators and clients."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

UNKNOWN_DIMENSION = -1
"""How TensorFlow and this wire write a dimension that may be anything."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: its name in the signature.
        dtype: TensorFlow's name of it, also of dtypes that no request can carry.
        shape: its dimensions, None where anything goes; None altogether when not even the rank is known.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        shape = self.shape and [UNKNOWN_DIMENSION if d is None else d for d in self.shape]
        return {"name": self.name, "dtype": self.dtype, "shape": list(shape) if shape is not None else None}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        shape = wire["shape"]
        known = None if shape is None else tuple(None if d == UNKNOWN_DIMENSION else d for d in shape)
        return cls(wire["name"], wire["dtype"], known)


@dataclass(frozen=True, slots=True)
class SignatureSpec:
    """One signature: its name, TensorFlow's method name, inputs and outputs."""

    name: str
    method_name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        return {
            "name": self.name,
            "method_name": self.method_name,
            "inputs": [spec.to_wire() for spec in self.inputs],
            "outputs": [spec.to_wire() for spec in self.outputs],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        return cls(
            wire["name"],
            wire["method_name"],
            tuple(map(TensorSpec.from_wire, wire["inputs"])),
            tuple(map(TensorSpec.from_wire, wire["outputs"])),
        )
