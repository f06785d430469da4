"""What a model answered, or why it did not: the record on a reply topic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from schemas.status import Status
from schemas.tensor import Tensor, check_names


@dataclass(frozen=True, slots=True)
class PredictReply:
    """One reply: outputs, or an error.

    Attributes:
        model: the model asked for.
        version: the version that answered; None when none did.
        outputs: the tensors that were asked for; empty beside an error.
        error: None when the request was served.
        id: the request's id.
        parameters: additions that older readers pass over.
    """

    record_name: ClassVar[str] = "PredictReply"

    model: str
    version: int | None = None
    outputs: tuple[Tensor, ...] = ()
    error: Status | None = None
    id: str = ""
    parameters: Mapping[str, bytes] = field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names. Raises InvalidTensor as `from_wire` does."""
        check_names(self.outputs)
        return {
            "model": self.model,
            "version": self.version,
            "outputs": [tensor.to_wire() for tensor in self.outputs],
            "error": None if self.error is None else self.error.to_wire(),
            "id": self.id,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The checked reply of decoded fields.

        Raises:
            InvalidTensor: a tensor contradicts itself or its name is given twice.
        """
        error = wire["error"]
        outputs = tuple(map(Tensor.from_wire, wire["outputs"]))
        check_names(outputs)
        return cls(
            wire["model"],
            wire["version"],
            outputs,
            None if error is None else Status.from_wire(error),
            wire["id"],
            wire["parameters"],
        )
