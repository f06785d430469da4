"""What is asked of a model: the record on a request topic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from schemas.claim import check_claims, claims_of
from schemas.errors import InvalidRequest
from schemas.tensor import Tensor, check_names


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """One request; it may carry many rows (dimension 0 of its inputs).

    Attributes:
        model: the name under which the control topic knows the model.
        version: the version to run; None leaves the choice to the label, or to the worker (the latest
            available).
        label: a name for a version, as the control topic maps it. Never together with `version`.
        signature: the signature to run.
        outputs: the outputs wanted; empty for all of the signature's.
        inputs: the tensors, each name once.
        id: repeated in the reply; a consumer of replies drops duplicates by it.
        parameters: additions that older releases pass over, among them the claims to the data of inputs that
            have none here (`schemas.claim`); kept as they are.
    """

    record_name: ClassVar[str] = "PredictRequest"

    model: str
    version: int | None = None
    label: str | None = None
    signature: str = "serving_default"
    outputs: tuple[str, ...] = ()
    inputs: tuple[Tensor, ...] = ()
    id: str = ""
    parameters: Mapping[str, bytes] = field(default_factory=dict)

    def check(self) -> None:
        """Raise what `from_wire` raises, the tensors' own checks excepted."""
        if self.version is not None and self.label is not None:
            raise InvalidRequest(
                f"version {self.version} and label '{self.label}' are both set; a request names one at most"
            )
        check_names(self.inputs)

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names. Raises as `from_wire` does."""
        self.check()
        claims = claims_of(self.parameters)
        check_claims(self.inputs, claims)
        return {
            "model": self.model,
            "version": self.version,
            "label": self.label,
            "signature": self.signature,
            "outputs": list(self.outputs),
            "inputs": [tensor.to_wire(empty=tensor.name in claims) for tensor in self.inputs],
            "id": self.id,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The checked request of decoded fields.

        Raises:
            InvalidRequest: version and label are both set.
            InvalidTensor: a tensor contradicts itself or its name is given twice, or a claim cannot be read.
        """
        try:
            claims = claims_of(wire["parameters"])
            request = cls(
                wire["model"],
                wire["version"],
                wire["label"],
                wire["signature"],
                tuple(wire["outputs"]),
                tuple(Tensor.from_wire(each, empty=each["name"] in claims) for each in wire["inputs"]),
                wire["id"],
                wire["parameters"],
            )
            request.check()
            check_claims(request.inputs, claims)
        except InvalidRequest as error:
            raise error.of_request(wire["id"], wire["model"]) from None
        return request
