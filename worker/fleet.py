"""What the workers say about themselves and their versions: the status topic folded by key.

Pure: fed with records, asked about a moment. `worker.fleet_reader` reads the topic.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from schemas import codec
from schemas.errors import WireError
from schemas.servable_status import ServableStatus
from schemas.worker_status import WorkerStatus


@dataclass(frozen=True, slots=True)
class Member:
    """A worker as last heard of; `heard_ms` is the broker's timestamp of that."""

    status: WorkerStatus
    heard_ms: int

    def live(self, now_ms: float) -> bool:
        """Whether its lease, counted from the broker's timestamp, is still running."""
        return now_ms < self.heard_ms + self.status.lease_ms


class Fleet:
    """The latest word of every worker on itself and on each of its versions."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._servables: dict[tuple[str, str], dict[int, ServableStatus]] = {}
        self.unreadable = 0
        """Records that are no status that this release can read."""

    def apply(self, key: bytes | None, value: bytes | None, timestamp_ms: int) -> None:
        """Take in one record of the status topic; what cannot be read is counted."""
        try:
            parts = (key or b"").decode().split("/")
            if len(parts) == 1 and parts[0]:
                self._apply_worker(parts[0], value, timestamp_ms)
            elif len(parts) == 3:
                self._apply_servable((parts[0], parts[1]), int(parts[2]), value)
            else:
                self.unreadable += 1
        except (WireError, ValueError):
            self.unreadable += 1

    def _apply_worker(self, worker: str, value: bytes | None, timestamp_ms: int) -> None:
        if value is None:
            self._members.pop(worker, None)
        else:
            self._members[worker] = Member(codec.decode(value, WorkerStatus), timestamp_ms)

    def _apply_servable(self, key: tuple[str, str], version: int, value: bytes | None) -> None:
        if value is not None:
            self._servables.setdefault(key, {})[version] = codec.decode(value, ServableStatus)
        elif versions := self._servables.get(key):
            versions.pop(version, None)
            if not versions:
                del self._servables[key]

    @property
    def members(self) -> Mapping[str, Member]:
        """Every worker that has not taken itself away, by its id; also those whose lease has run out."""
        return dict(sorted(self._members.items()))

    def live(self, now_ms: float, group: str | None = None) -> Mapping[str, Member]:
        """The live workers, of one group or of all."""
        return {
            worker: member
            for worker, member in self.members.items()
            if member.live(now_ms) and (group is None or member.status.group == group)
        }

    def servables(self, worker: str | None = None, model: str | None = None) -> Iterator[ServableStatus]:
        """The latest status of each version, of one worker or model or all, in order."""
        keys: Iterable[tuple[str, str]]
        if worker is not None and model is not None:
            keys = [(worker, model)]
        else:
            keys = sorted(
                key for key in self._servables if worker in {None, key[0]} and model in {None, key[1]}
            )
        for key in keys:
            versions = self._servables.get(key, {})
            yield from (versions[version] for version in sorted(versions))
