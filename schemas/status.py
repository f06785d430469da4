"""Why a request or a servable failed: a canonical code and a sentence for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Status:
    """A canonical code (`schemas.errors.Code`, as an integer: newer ones pass through) and its message."""

    record_name: ClassVar[str] = "Status"

    code: int
    message: str

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        return {"code": int(self.code), "message": self.message}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        return cls(wire["code"], wire["message"])
