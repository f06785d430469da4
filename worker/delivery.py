"""What one part's requests are answered with, until the broker has acknowledged all of it.

What was acknowledged is counted down on the poll thread: one by one as the client reports it, or many at a time by
`worker.quiet_lane`. What failed is kept as the client's own message, which still has value and key.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from schemas import codec
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.request_ids import all_differ
from worker.kafka.records import Headers, Message
from worker.polled_records import PolledRecords
from worker.request_block import Part


class PublisherClosedError(Exception):
    """The worker ends and takes no more replies; what was not handed over is not committed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """How requests were answered, for the metrics.

    Attributes:
        model: the model that answered, or was asked; empty where it is not one of ours.
        version: the version that answered, None where none did.
        signature: the signature, empty where it is not known to exist.
        code: OK or the error.
    """

    model: str
    version: int | None
    signature: str
    code: Code


@dataclasses.dataclass(slots=True)
class Origin:
    """The requests that an outcome belongs to. Not frozen, which would treble what making one for each part costs.

    Attributes:
        records: the poll that they come from.
        positions: their positions in it.
        model: the model that they count against in the budget; None: they never counted against one.
        rows: their rows.
        size_bytes: their bytes.
        ids: their ids; empty where they could not be decoded.
        forgotten: positions that another delivery settles.
    """

    records: PolledRecords
    positions: Sequence[int]
    model: str | None
    rows: int
    size_bytes: int
    ids: Sequence[bytes] = ()
    forgotten: set[int] = dataclasses.field(default_factory=set)

    def forget(self, position: int) -> None:
        """A position that is settled elsewhere (its dead letter is another delivery)."""
        self.forgotten.add(position)

    @property
    def own(self) -> Sequence[int]:
        """The positions that this delivery settles."""
        if not self.forgotten:
            return self.positions
        return [position for position in self.positions if position not in self.forgotten]

    def has_ids_of_their_own(self) -> bool:
        """Whether a reply's id tells which request it answers."""
        return len(self.ids) == len(self.positions) and all_differ(self.ids)

    def settle(self) -> None:
        """Count every request as acknowledged; poll thread only."""
        self.records.settle(self.own)

    @classmethod
    def uncounted(cls, records: PolledRecords, positions: Sequence[int]) -> "Origin":
        """The origin of records that count against no model, or whose count another origin gives back."""
        return cls(records, positions, None, 0, 0)

    @classmethod
    def of_part(cls, part: Part) -> "Origin":
        """The origin of decoded requests."""
        columns = part.columns
        return cls(part.records, columns.indices, columns.kind.model, part.rows, part.size_bytes, columns.ids)


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A record that the broker did not take.

    Attributes:
        delivery: what it belongs to.
        error: the client's error.
        message: the client's report, which has topic, key and value but no headers.
        sent: how it was sent, where that was noted; None for a reply without headers sent among others.
    """

    delivery: "Delivery"
    error: Any
    message: Message
    sent: "Sent | None"


class Delivery:
    """Records handed over to the client for one origin.

    Made by the thread that publishes, then counted down by the poll thread.

    Attributes:
        origin: the requests.
        answer: how they were answered; None for dead letters, and for what is left to another worker.
        reason: why they are dead letters; else None.
        handed_ms: when they were handed over, wall clock, ms.
        settles: whether its requests count as done when all of it is acknowledged; else somebody counts each of them.
        pending: records that the broker has not acknowledged yet.
        too_large: replies among them with an error in their place, because their topic does not take them.
        unstored: likewise, because their data could not be stored elsewhere.
    """

    __slots__ = (
        "_on_failure",
        "_on_settled",
        "answer",
        "handed_ms",
        "origin",
        "pending",
        "reason",
        "settles",
        "too_large",
        "unstored",
    )

    def __init__(  # noqa: PLR0913 - the facts of one delivery, each by its name
        self,
        origin: Origin,
        *,
        answer: Answer | None,
        reason: str | None,
        handed_ms: float,
        on_settled: "Callable[[Delivery], None]",
        on_failure: Callable[[Failure], None],
        settles: bool = True,
    ) -> None:
        self.origin = origin
        self.settles = settles
        self.answer = answer
        self.reason = reason
        self.handed_ms = handed_ms
        self.pending = len(origin.positions)
        self.too_large = 0
        self.unstored = 0
        self._on_settled = on_settled
        self._on_failure = on_failure

    @property
    def is_dead_letter(self) -> bool:
        """Whether the records are dead letters, not replies."""
        return self.reason is not None

    def report(self, error: Any, message: Message) -> None:
        """The client's report of a reply that its key, its value and its id say all about."""
        if error is None:
            self.acknowledged()
        else:
            self.failed(error, message, self.sent_of(message))

    def report_at(self, position: int, error: Any, message: Message) -> None:
        """The client's report of the reply to the request at a position, sent by that request's own route."""
        if error is None:
            self.acknowledged()
        else:
            self.failed(error, message, self.sent_at(position))

    def sent_of(self, message: Message) -> "Sent | None":
        """How a reply was sent, found by its id; None where it has nothing but key and value."""
        if self.origin.records.routes is None:
            return None
        reply_id = codec.decode(message.value() or b"", PredictReply).id.encode()
        return self.sent_at(self.origin.positions[self.origin.ids.index(reply_id)])

    def sent_at(self, position: int) -> "Sent":
        """How the reply to the request at a position was sent."""
        routes = self.origin.records.routes
        assert routes is not None, "replies are reported by position where they have routes of their own"
        route = routes.at(position)
        return Sent(self, route.headers, position, route.partition)

    def acknowledged(self, records: int = 1) -> None:
        """So many records are safe with the broker, or are another delivery's now."""
        self.pending -= records
        if not self.pending:
            self._on_settled(self)

    def failed(self, error: Any, message: Message, sent: "Sent | None") -> None:
        """One record was not taken; it stays pending."""
        self._on_failure(Failure(self, error, message, sent))

    def __repr__(self) -> str:
        kind = f"dead letter ({self.reason})" if self.is_dead_letter else "reply"
        return f"<Delivery {kind} {self.pending} of {len(self.origin.positions)} pending>"


class Sent:
    """How one record was sent: what its report does not say and another try needs.

    Attributes:
        delivery: what it belongs to.
        headers: its headers.
        position: the request's position in its poll; -1 where that is not known.
        partition: the partition that was asked for; -1: the key's choice.
        alone: whether it was sent in a batch of its own.
    """

    __slots__ = ("alone", "delivery", "headers", "partition", "position")

    def __init__(
        self,
        delivery: Delivery,
        headers: Headers | None,
        position: int,
        partition: int = -1,
        *,
        alone: bool = False,
    ) -> None:
        self.delivery = delivery
        self.headers = headers
        self.position = position
        self.partition = partition
        self.alone = alone

    def report(self, error: Any, message: Message) -> None:
        """The client's report."""
        if error is None:
            self.delivery.acknowledged()
        else:
            self.delivery.failed(error, message, self)


class Replies(Protocol):
    """Takes what comes of requests; `worker.publisher` is one. Called on the batch threads."""

    def batch(self, answered: Iterable[tuple[Origin, list[bytes]]], answer: Answer) -> None:
        """The replies to the requests of one batch."""
        ...

    def refusal(self, part: Part, message: str, answer: Answer) -> None:
        """One error for every request of a part."""
        ...

    def leave(self, part: Part) -> None:
        """Requests whose partitions have gone to another worker."""
        ...
