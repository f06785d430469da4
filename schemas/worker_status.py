"""That a worker lives, and how far it has come: a record on the status topic, keyed by worker."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self


class WorkerState(enum.StrEnum):
    """What a worker is doing; `UNKNOWN` stands for a state that a newer worker sent."""

    UNKNOWN = "UNKNOWN"
    STARTING = "STARTING"
    WAITING = "WAITING"
    SERVING = "SERVING"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker's lease: it is live until `lease_ms` after the broker's timestamp of this record.

    Attributes:
        worker: the worker's id.
        group: its consumer group.
        host: where it runs.
        release: which release of headrace it is.
        control_offset: the last control record that it has applied; -1 for none.
        state: STARTING (reads the control topic), WAITING (for its models, or for one to be configured),
            SERVING (a member of its group), DRAINING (finishing), STOPPED (gone of its own will).
        lease_ms: length of the lease.
        time: when it was sent by the worker's clock, in milliseconds since the epoch.
        parameters: additions that older readers pass over.
    """

    record_name: ClassVar[str] = "WorkerStatus"

    worker: str
    group: str
    host: str
    release: str
    control_offset: int
    state: WorkerState
    lease_ms: int
    time: int
    parameters: Mapping[str, bytes] = field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        return {
            "worker": self.worker,
            "group": self.group,
            "host": self.host,
            "release": self.release,
            "control_offset": self.control_offset,
            "state": str(self.state),
            "lease_ms": self.lease_ms,
            "time": self.time,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        return cls(
            wire["worker"],
            wire["group"],
            wire["host"],
            wire["release"],
            wire["control_offset"],
            WorkerState(wire["state"]),
            wire["lease_ms"],
            wire["time"],
            wire["parameters"],
        )
