"""What a record's headers say, before its value is looked at: where the reply goes, until when it is wanted.

Most records have no headers and cost nothing here.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from schemas import headers as names
from schemas.errors import InvalidHeader
from worker.kafka.records import Headers
from worker.polled_records import PolledRecords
from worker.reply_routing import (
    ANY_PARTITION,
    REPLY_TOPICS,
    NoRouteError,
    ReplyRoute,
    ReplyRouting,
    ReplyTopicUnknownError,
)

HEADER_OVERHEAD_BYTES = 8  # the lengths of name and value, generously
_TIMEOUT_MS = names.TIMEOUT_MS


@dataclasses.dataclass(slots=True)
class Exceptions:
    """The positions of one poll that do not simply go on.

    Attributes:
        no_route: dead letters, with the reason.
        topic_unknown: those that wait for a reply topic to appear, with what they become when it does not.
        invalid: those to be answered INVALID_ARGUMENT, with the message.
    """

    no_route: dict[int, Exception] = dataclasses.field(default_factory=dict)
    topic_unknown: dict[int, ReplyTopicUnknownError] = dataclasses.field(default_factory=dict)
    invalid: dict[int, str] = dataclasses.field(default_factory=dict)

    def __contains__(self, position: int) -> bool:
        return position in self.no_route or position in self.topic_unknown or position in self.invalid

    def __bool__(self) -> bool:
        return bool(self.no_route or self.topic_unknown or self.invalid)


@dataclasses.dataclass(frozen=True, slots=True)
class _Usual:
    """Headers like those of a record before: the same reply topic, then a correlation id.

    Most are so, and within one poll they are recognised by comparison.

    Attributes:
        reply_topic: the first header, whole.
        name: the name of the second, which is echoed.
        topic: the reply topic.
        size: bytes of both but for the correlation id.
    """

    reply_topic: tuple[str, bytes | None]
    name: str
    topic: str
    size: int

    @classmethod
    def of(cls, headers: Headers, route: ReplyRoute | None) -> "_Usual | None":
        """What may be recognised again; None where headers mean more than a topic and a correlation id."""
        if len(headers) != 2 or route is None or route.partition != ANY_PARTITION:
            return None
        (first, value), (second, _) = headers
        if value is None or first not in REPLY_TOPICS or route.headers != [headers[1]]:
            return None
        return cls(headers[0], second, route.topic, len(first) + len(value) + len(second))


_new_route: Callable[[tuple[str, int, Headers]], ReplyRoute] = functools.partial(tuple.__new__, ReplyRoute)


class Admission:
    """Reads headers; used by the poll thread.

    Args:
        routings: the reply routing of each binding.
        header_bytes: the largest sum of header names and values of one record.
    """

    def __init__(self, routings: Mapping[str, ReplyRouting], *, header_bytes: int) -> None:
        self._routings = routings
        self._header_bytes = header_bytes

    def admit(self, records: PolledRecords) -> Exceptions:
        """Fill in the records' routes and deadlines; returns those that do not simply go on."""
        exceptions = Exceptions()
        if records.headers is None:
            return exceptions
        routes: list[ReplyRoute | None] = [None] * len(records)
        records.routes = routes
        limit, largest, usual = self._header_bytes, 0, None
        for position, headers in enumerate(records.headers):
            if not headers:
                continue
            if usual is not None and len(headers) == 2 and headers[0] == usual.reply_topic:
                correlation = headers[1]
                name, value = correlation
                if name == usual.name and value is not None and usual.size + len(value) <= limit:
                    routes[position] = _new_route((usual.topic, ANY_PARTITION, [correlation]))
                    largest = max(largest, usual.size + len(value))
                    continue
            usual = self._admit_one(records, position, exceptions) or usual
        records.header_bytes = max(records.header_bytes, largest + 2 * HEADER_OVERHEAD_BYTES)
        return exceptions

    def _admit_one(self, records: PolledRecords, position: int, exceptions: Exceptions) -> "_Usual | None":
        """Admit a record whatever its headers are; what others like it may be recognised by, if anything."""
        assert records.headers is not None
        assert records.routes is not None
        headers = records.headers[position] or ()
        size, timed = _look_over(headers)
        records.header_bytes = max(records.header_bytes, size + HEADER_OVERHEAD_BYTES * len(headers))
        try:
            if size > self._header_bytes:
                raise NoRouteError(_too_large(size, self._header_bytes))  # noqa: TRY301 - one place decides
            route = records.routes[position] = self._routings[records.binding].route(headers)
            if timed:
                self._note_deadline(records, position, headers)
                return None
            return _Usual.of(headers, route)
        except NoRouteError as error:
            exceptions.no_route[position] = error
        except ReplyTopicUnknownError as error:
            exceptions.topic_unknown[position] = error
        except InvalidHeader as error:
            exceptions.invalid[position] = str(error)
        return None

    def try_again(self, records: PolledRecords, position: int) -> bool:
        """Route a record whose reply topic was not known; False while it still is not.

        Raises:
            NoRouteError: the topic is there by now, and the partition that the request names is not.
            InvalidHeader: the request can be answered by now, and its deadline cannot be read.
        """
        assert records.headers is not None
        assert records.routes is not None
        headers = records.headers[position]
        assert headers is not None
        try:
            records.routes[position] = self._routings[records.binding].route(headers)
        except ReplyTopicUnknownError:
            return False
        self._note_deadline(records, position, headers)
        return True

    @staticmethod
    def _note_deadline(records: PolledRecords, position: int, headers: Headers) -> None:
        for name, value in headers:
            if name == names.TIMEOUT_MS:
                if records.deadlines_ms is None:
                    records.deadlines_ms = np.full(len(records), np.inf)
                timeout_ms = names.parse_timeout_ms(value)
                records.deadlines_ms[position] = records.timestamps_ms[position] + timeout_ms


def _look_over(headers: Headers) -> tuple[int, bool]:
    """The bytes of names and values, and whether there is a deadline among them."""
    size, timed = 0, False
    for name, value in headers:
        size += len(name)
        if value is not None:
            size += len(value)
        if name == _TIMEOUT_MS:
            timed = True
    return size, timed


def _too_large(size: int, limit: int) -> str:
    return f"the headers have {size} bytes; limits.header_bytes allows {limit}"
