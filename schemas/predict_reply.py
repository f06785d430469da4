"""What a model answered, or why it did not: the record on a reply topic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from schemas.claim import check_claims, claims_of
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
        parameters: additions that older readers pass over, among them the claims to the data of outputs that
            have none here (`schemas.claim`).
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
        claims = claims_of(self.parameters)
        check_claims(self.outputs, claims)
        return {
            "model": self.model,
            "version": self.version,
            "outputs": [tensor.to_wire(empty=tensor.name in claims) for tensor in self.outputs],
            "error": None if self.error is None else self.error.to_wire(),
            "id": self.id,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The checked reply of decoded fields.

        Raises:
            InvalidTensor: a tensor contradicts itself or its name is given twice, or a claim cannot be read.
        """
        error = wire["error"]
        claims = claims_of(wire["parameters"])
        outputs = tuple(Tensor.from_wire(each, empty=each["name"] in claims) for each in wire["outputs"])
        check_names(outputs)
        check_claims(outputs, claims)
        return cls(
            wire["model"],
            wire["version"],
            outputs,
            None if error is None else Status.from_wire(error),
            wire["id"],
            wire["parameters"],
        )
