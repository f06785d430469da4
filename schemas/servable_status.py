"""How one version does on one worker: a record on the status topic, keyed worker/model/version."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from schemas import queue_report
from schemas.queue_report import QueueReport
from schemas.signature_spec import SignatureSpec

LOAD_SECONDS = "load_seconds"
"""The name, among a status's parameters, of how long the load took, tries and warm-up included, as decimal text."""

MEMORY_BYTES = "memory_bytes"
"""The name, likewise, of the memory that was set aside for it: bytes by device, `gpu:0=130023424 host=285212672`."""

REQUESTS_ANSWERED = "requests_answered"
"""Likewise, of the requests that it has answered since its worker began, as decimal text; said once in a while."""

REQUESTS_FAILED = "requests_failed"
"""Likewise, of those that it was chosen for and whose reply is an error."""

QUEUES = "queues"
"""The name, likewise, of what its batch queues did since that was last said, as `schemas.queue_report` encodes it."""

ASLEEP = "asleep"
"""The name, likewise, of what a version of a lazy model says that nobody has asked for: it is not loaded until then."""

_MOST_DIGITS = 19


class ServableState(enum.StrEnum):
    """TensorFlow Serving's states of a servable; `UNKNOWN` stands for one that a newer worker sent."""

    UNKNOWN = "UNKNOWN"
    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


@dataclass(frozen=True, slots=True)
class ServableStatus:
    """The latest state of a servable on a worker.

    Attributes:
        worker: the worker's id.
        model: the model's name.
        version: the version.
        state: where the version is in its life.
        code: health as a canonical code; 0 while nothing is wrong (on the wire: `health`).
        message: health in words.
        control_offset: the offset of the control record that this follows; -1 for none.
        signatures: what the version takes and gives, once it is known.
        time: when the state was reached, in milliseconds since the epoch.
        parameters: additions that older readers pass over.
    """

    record_name: ClassVar[str] = "ServableStatus"

    worker: str
    model: str
    version: int
    state: ServableState
    code: int = 0
    message: str = ""
    control_offset: int = -1
    signatures: tuple[SignatureSpec, ...] = ()
    time: int = 0
    parameters: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def load_seconds(self) -> float | None:
        """How long an available version took to load, tries and warm-up included; None where nobody says it."""
        try:
            return float(self.parameters.get(LOAD_SECONDS, b""))
        except ValueError:
            return None

    @property
    def asleep(self) -> bool:
        """Whether it is one of a lazy model that nobody has asked for: it is loaded when that happens."""
        return self.state is ServableState.START and ASLEEP in self.parameters

    @property
    def memory_bytes(self) -> dict[str, int]:
        """The memory that was set aside for an available version, in bytes by device; empty where nobody says it."""
        pairs = (each.rpartition(b"=") for each in self.parameters.get(MEMORY_BYTES, b"").split())
        return {
            device.decode(errors="replace"): int(size)
            for device, _, size in pairs
            if device and size.isdigit() and len(size) <= _MOST_DIGITS
        }

    @property
    def requests_answered(self) -> int | None:
        """How many requests an available version has answered since its worker began; None where nobody says it."""
        return self._count(REQUESTS_ANSWERED)

    @property
    def requests_failed(self) -> int | None:
        """How many of its requests have an error as their reply; None where nobody says it."""
        return self._count(REQUESTS_FAILED)

    @property
    def queues(self) -> tuple[QueueReport, ...]:
        """What the batch queues of an available version have done of late, by signature; empty where nobody says it."""
        return queue_report.decode(self.parameters.get(QUEUES, b""))

    def _count(self, name: str) -> int | None:
        digits = self.parameters.get(name, b"")
        return int(digits) if digits.isdigit() and len(digits) <= _MOST_DIGITS else None

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        return {
            "worker": self.worker,
            "model": self.model,
            "version": self.version,
            "state": str(self.state),
            "health": {"code": int(self.code), "message": self.message},
            "control_offset": self.control_offset,
            "signatures": [signature.to_wire() for signature in self.signatures],
            "time": self.time,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        return cls(
            wire["worker"],
            wire["model"],
            wire["version"],
            ServableState(wire["state"]),
            wire["health"]["code"],
            wire["health"]["message"],
            wire["control_offset"],
            tuple(map(SignatureSpec.from_wire, wire["signatures"])),
            wire["time"],
            wire["parameters"],
        )
