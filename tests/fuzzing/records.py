"""Records as hostile producers write them: what the fuzzers of the request path and of the control topic send."""

from dataclasses import dataclass

from worker.kafka.records import Headers


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a request or control topic. `timestamp_ms` None: the time of sending."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers | None = None
    timestamp_ms: int | None = None

    def __str__(self) -> str:
        headers = [(name, _shown(value)) for name, value in self.headers or ()]
        stamp = "" if self.timestamp_ms is None else f" timestamp {self.timestamp_ms}"
        return f"key {_shown(self.key)} headers {headers}{stamp} value {_shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a fuzzer found wrong.

    Attributes:
        message: what.
        where: on which kind of worker.
        polls: what to give to a new one of that kind to see it, poll by poll; empty where a new one does not show it.
    """

    message: str
    where: str
    polls: tuple[tuple[Record, ...], ...] = ()

    def lines(self) -> list[str]:
        """How to see it again, for a person."""
        if not self.polls:
            return ["a new worker does not show it when it is given the latest polls"]
        shown = [f"or a new worker ({self.where}), given, poll by poll:"]
        for number, poll in enumerate(self.polls):
            shown += [f"poll {number}: {record}" for record in poll]
        return shown


def _shown(value: bytes | None) -> str:
    return "none" if value is None else value.hex() or "empty"
