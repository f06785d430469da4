"""From a poll's messages to blocks in queues, error replies, dead letters, or a wait.

Every record of a poll takes exactly one of these ways; nothing is skipped (decision 6).
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas import reply_columns
from schemas.errors import Code, InvalidHeader
from schemas.request_columns import RequestColumns
from schemas.request_decoder import Rejected, RequestDecoder
from schemas.request_kind import RequestKind
from worker.admission import Admission, Exceptions
from worker.answering import Answering, DeadLetterObserver
from worker.budget import Budget
from worker.claimed_requests import ClaimedRequests
from worker.delivery import Answer, Origin
from worker.held_requests import HeldRequests
from worker.kafka.records import Message
from worker.offset_tracker import OffsetTracker
from worker.polled_records import PolledRecords
from worker.publisher import Publisher
from worker.reply_routing import NoRouteError
from worker.request_block import Part
from worker.router import Refused, Routed, Router
from worker.routing import Routing

log = logging.getLogger(__name__)


class IntakeObserver(DeadLetterObserver, Protocol):
    """Hears of what was read; implemented by the metrics. Called on the poll thread."""

    def records_consumed(self, topic: str, count: int) -> None:
        """Records were read."""
        ...


class Intake:
    """Takes what was polled; owned by the poll thread.

    Args:
        binding_of: request topic to binding name.
        decoder: values to columns.
        hold_seconds: how long a request waits for a model that is loading.
        hold_topic_seconds: how long one waits for its reply topic.
        on_read: told of the records of each poll, before any of them has an outcome.
    """

    def __init__(  # noqa: PLR0913 - the seams of the busiest object; each has one name and one place
        self,
        *,
        binding_of: Mapping[str, str],
        decoder: RequestDecoder,
        admission: Admission,
        router: Router,
        answering: Answering,
        routing: Routing,
        claims: ClaimedRequests,
        publisher: Publisher,
        tracker: OffsetTracker,
        budget: Budget,
        observer: IntakeObserver,
        hold_seconds: float,
        hold_topic_seconds: float,
        on_read: Callable[[PolledRecords], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._binding_of = binding_of
        self._one_topic = next(iter(binding_of)) if len(binding_of) == 1 else None
        self._decoder = decoder
        self._admission = admission
        self._router = router
        self._answering = answering
        self._routing = routing
        self.held_for_claims = claims
        self._publisher = publisher
        self._tracker = tracker
        self._budget = budget
        self._observer = observer
        self._on_read = on_read
        self._wall = wall
        self.held_for_models, self.held_for_topics = (
            HeldRequests(
                retry, answering.expire, answering.leave, hold_seconds=seconds, clock=clock, wall=wall
            )
            for retry, seconds in ((self._retry_model, hold_seconds), (self._retry_topic, hold_topic_seconds))
        )

    def take(self, messages: Sequence[Message], refusal: Exception | None = None) -> None:
        """Send every message of a poll on its way; none goes to a model where there is a *refusal* to answer with."""
        if self._one_topic is not None:
            self._take_topic(self._one_topic, messages, refusal)
            return
        by_topic: dict[str, list[Message]] = defaultdict(list)
        for topic, message in zip(map(type(messages[0]).topic, messages), messages, strict=True):
            by_topic[topic].append(message)
        for topic, group in by_topic.items():
            self._take_topic(topic, group, refusal)

    def step(self) -> None:
        """Let go on what was held and can, answer what was held too long."""
        self.held_for_topics.step(self._tracker.departures)
        self.held_for_models.step(self._tracker.departures)
        for part in self.held_for_claims.step(self._wall() * 1000):
            self._dispatch(part.columns.kind, [part])

    @property
    def holds(self) -> bool:
        """Whether any request is held."""
        return bool(self.held_for_models) or bool(self.held_for_topics) or bool(self.held_for_claims)

    def _take_topic(self, topic: str, messages: Sequence[Message], refusal: Exception | None) -> None:
        records = PolledRecords(topic, self._binding_of[topic], messages, self._wall() * 1000)
        records.refusal = refusal
        columns, rejected = self._decoder.decode(
            records.values, records.lengths, one_length=records.one_length
        )
        for each in columns:
            if each.parameters is not None:
                self.held_for_claims.count(records, each)
        self._follow(records, columns)
        self._observer.records_consumed(topic, len(records))
        exceptions = self._admission.admit(records)
        for reject in rejected:
            self._reject(records, reject, exceptions)
        by_kind: dict[RequestKind, list[Part]] = defaultdict(list)
        for each in columns:
            part = Part(records, each)
            self._budget.take_model(records.binding, each.kind.model, part.rows, part.size_bytes)
            by_kind[each.kind] += self._admitted(part, exceptions) if exceptions else [part]
        for kind, parts in by_kind.items():
            if parts:
                self._dispatch(kind, parts)

    def _follow(self, records: PolledRecords, columns: Sequence[RequestColumns]) -> None:
        rows: npt.NDArray[np.int64] | None = None
        for each in columns:
            if each.row_counts is None and (each.rows_each or 1) <= 1:
                continue
            if rows is None:
                rows = np.ones(len(records), np.int64)
            rows[each.indices] = each.row_counts or each.rows_each or 1
        for run in records.make_runs(rows):
            self._tracker.add(run)
            self._budget.take_run(records.binding, run)
        self._on_read(records)

    def _reject(self, records: PolledRecords, reject: Rejected, exceptions: Exceptions) -> None:
        """A value that is no sound request: answered when it is known whom to answer, else a dead letter."""
        origin, error = Origin(records, [reject.index], None, 1, 0), reject.error
        if reject.index in exceptions.no_route:
            self._answering.dead_letter(origin, exceptions.no_route[reject.index])
        elif reject.request_id is None or reject.index in exceptions.topic_unknown:
            self._answering.dead_letter(origin, error)
        else:
            model = reject.model or ""
            payload = reply_columns.encode_error(model, None, error.code, str(error), reject.request_id)
            self._publisher.replies(
                origin, [payload], Answer(self._router.known_name(model), None, "", error.code)
            )

    def _admitted(self, part: Part, exceptions: Exceptions) -> list[Part]:
        """The requests of a part that simply go on; the others are sent on their own ways."""
        simple: list[Part] = []
        start = 0
        for n, position in enumerate(part.columns.indices):
            if position not in exceptions:
                continue
            if n > start:
                simple.append(part.take(start, n))
            start = n + 1
            self._except(part.take(n, n + 1), position, exceptions)
        if start == 0:
            return [part]
        if start < len(part):
            simple.append(part.take(start, len(part)))
        return simple

    def _except(self, part: Part, position: int, exceptions: Exceptions) -> None:
        if position in exceptions.no_route:
            self._answering.dead_letter(Origin.of_part(part), exceptions.no_route[position])
        elif position in exceptions.invalid:
            self._answering.refuse(part, Code.INVALID_ARGUMENT, exceptions.invalid[position])
        else:
            unknown = exceptions.topic_unknown[position]

            def give_up(part: Part) -> None:
                self._answering.dead_letter(Origin.of_part(part), unknown)

            self.held_for_topics.hold(unknown.topic, part, give_up)

    def _retry_topic(self, part: Part) -> bool:
        (position,) = part.columns.indices
        try:
            if not self._admission.try_again(part.records, position):
                return False
        except NoRouteError as error:
            self._answering.dead_letter(Origin.of_part(part), error)
            return True
        except InvalidHeader as error:
            self._answering.refuse(part, Code.INVALID_ARGUMENT, str(error))
            return True
        self._dispatch(part.columns.kind, [part])
        return True

    def _dispatch(self, kind: RequestKind, parts: Sequence[Part]) -> None:
        refusal = parts[0].records.refusal
        if refusal is not None:
            for part in parts:
                besides = Origin.uncounted(part.records, part.columns.indices)
                self._publisher.dead_letter(besides, refusal, besides=True)
                self._observer.dead_lettered(part.records.topic, type(refusal).__name__, len(part))
                self._answering.refuse(part, Code.INTERNAL, str(refusal))
            return
        if any(part.records.deadlines_ms is not None for part in parts):
            parts = [live for part in parts for live in self._in_time(part)]
        if parts and parts[0].records.claimed is not None:
            parts = self._fetch(kind, parts)
        if not parts:
            return
        waits = self._routing.send(kind, parts)
        if waits is None:
            return
        message, key = waits.message, (kind.model, kind.version, kind.label, parts[0].records.binding)

        def give_up(part: Part) -> None:
            self._answering.refuse(part, Code.UNAVAILABLE, message)

        for part in parts:
            self.held_for_models.hold(key, part, give_up)

    def _fetch(self, kind: RequestKind, parts: Sequence[Part]) -> list[Part]:
        """Have the data of those fetched that have none, unless no version would take it; the others."""
        if not any(part.columns.claims() for part in parts):
            return list(parts)
        outcome = self._router.route(kind, parts[0].records.binding)
        match outcome:
            case Refused():
                return list(parts)
            case Routed():
                outcome.handle.release()
        return [part for part in parts if not self.held_for_claims.take(part)]

    def _retry_model(self, part: Part) -> bool:
        return self._routing.send(part.columns.kind, [part]) is None

    def _in_time(self, part: Part) -> list[Part]:
        live, late = part.unexpired(self._wall() * 1000)
        for expired in late:
            self._answering.expire(expired)
        return live
