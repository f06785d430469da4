"""What the intake says by itself: errors, dead letters, and nothing to requests that are another worker's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from batching.options import QueueOptions
from lifecycle.servable_handle import ServableHandle
from lifecycle.signature import Signature
from schemas.errors import Code
from schemas.request_kind import RequestKind
from worker.batch_queues import BatchQueues
from worker.delivery import Answer, Origin
from worker.polled_records import NO_PRIORITY
from worker.publisher import Publisher
from worker.request_block import Part, RequestBlock
from worker.router import Routed, Router, wrong_rows


class DeadLetterObserver(Protocol):
    """Hears of dead letters; implemented by the metrics. Called on the poll thread."""

    def dead_lettered(self, topic: str, reason: str, count: int = 1) -> None:
        """Records of a request topic became dead letters."""
        ...


class Refusing(Protocol):
    """Says why a request goes into no queue."""

    def refuse_routed(self, part: Part, routed: Routed, code: Code, message: str) -> None:
        """Requests that were routed to a version, and that no batch of it takes."""
        ...


class Answering:
    """Answers for the intake; owned by the poll thread."""

    def __init__(self, publisher: Publisher, router: Router, observer: DeadLetterObserver) -> None:
        self._publisher = publisher
        self._router = router
        self._observer = observer

    def refuse(self, part: Part, code: Code, message: str) -> None:
        """Answer requests with an error of no version."""
        model = self._router.known_name(part.columns.kind.model)
        self._publisher.refusal(part, message, Answer(model, None, "", code))

    def refuse_routed(self, part: Part, routed: Routed, code: Code, message: str) -> None:
        """Answer requests with an error of the version that they were routed to."""
        servable_id = routed.handle.id
        answer = Answer(servable_id.name, servable_id.version, routed.signature.name, code)
        self._publisher.refusal(part, message, answer)

    def expire(self, part: Part) -> None:
        """Answer requests whose deadline has passed."""
        message = "the request's deadline passed before a model could take it"
        self.refuse(part, Code.DEADLINE_EXCEEDED, message)

    def leave(self, part: Part) -> None:
        """Say nothing to requests that are another worker's to answer."""
        self._publisher.leave(part)

    def dead_letter(self, origin: Origin, error: Exception) -> None:
        """Records that cannot be answered."""
        self._publisher.dead_letter(origin, error)
        self._observer.dead_lettered(origin.records.topic, type(error).__name__, len(origin.positions))


class Enqueuing:
    """Puts routed requests into the queues, and refuses those that no batch of their signature takes."""

    def __init__(self, queues: BatchQueues, answering: Refusing) -> None:
        self._queues = queues
        self._answering = answering

    def enqueue(self, kind: RequestKind, parts: Sequence[Part], routed: Routed) -> None:
        """Queue requests of one kind; takes over the handle."""
        options = self._queues.options(routed.handle.id, routed.signature)
        largest = options.max_batch_rows
        most = self._queues.most_rows(routed.handle.id, routed.signature, options)
        fitting: list[Part] = []
        in_parts: list[Part] = []
        if not (routed.signature.batchable and all(part.largest_rows <= largest for part in parts)):
            parts = [alike for part in parts for alike in part.alike()]
        for part in parts:
            if part.columns.row_counts is not None:
                fitting.append(part)
                continue
            rows = part.columns.rows_each
            wrong = wrong_rows(kind, routed.signature, rows)
            if wrong is not None:
                self._answering.refuse_routed(part, routed, Code.INVALID_ARGUMENT, wrong)
            elif not routed.signature.batchable or part.largest_rows <= largest:
                fitting.append(part)
            elif part.largest_rows <= most:
                in_parts.append(part)
            else:
                message = f"the request has {rows} rows; at most {most} are taken in one"
                self._answering.refuse_routed(part, routed, Code.RESOURCE_EXHAUSTED, message)
        with routed.handle as handle:
            for of_these, alike in by_priority(fitting, options).items():
                for block in _blocks(kind, handle, alike, routed.signature):
                    self._queues.put(block, routed.signature, of_these)
            for of_these, alike in by_priority(in_parts, options).items():
                self._queues.put(
                    RequestBlock(kind, handle.another(), alike), routed.signature, of_these, in_parts=True
                )


def _blocks(
    kind: RequestKind, handle: ServableHandle, parts: Sequence[Part], signature: Signature
) -> Iterator[RequestBlock]:
    """One of all requests; one of each for a signature that takes one at a time."""
    if signature.batchable:
        yield RequestBlock(kind, handle.another(), parts)
        return
    for part in parts:
        for n in range(len(part)):
            yield RequestBlock(kind, handle.another(), [part.take(n, n + 1)], stackable=False)


def by_priority(parts: Sequence[Part], options: QueueOptions) -> Mapping[QueueOptions, Sequence[Part]]:
    """The parts by the options of the queue that they belong into: those of their version, with their own priority."""
    if not parts:
        return {}
    if all(part.records.priorities is None for part in parts):
        return {options: parts}
    found: dict[QueueOptions, list[Part]] = {}
    for part in parts:
        for priority, same in part.by_priority():
            own = options if priority == NO_PRIORITY else replace(options, priority=priority)
            found.setdefault(own, []).append(same)
    return found
