"""What a record's headers say, before its value is looked at: where the reply goes, until when it is wanted, how soon.

Most records have no headers and cost nothing here; those that have the same ones are admitted together.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from schemas import headers as names
from schemas.errors import InvalidHeader
from worker.header_columns import HeaderColumn, alike
from worker.kafka.records import Headers
from worker.polled_records import NO_PRIORITY, PolledRecords
from worker.reply_routes import ANY_PARTITION, Place, ReplyRoutes
from worker.reply_routing import (
    REPLY_PARTITION,
    REPLY_TOPICS,
    NoRouteError,
    ReplyRouting,
    ReplyTopicUnknownError,
)

HEADER_OVERHEAD_BYTES = 8  # the lengths of name and value, generously
COORDINATES_BYTES = 300  # a topic's name has 249 characters at most
UNREADABLE = "the headers cannot be read, because the name of one is not UTF-8; they are not carried over"
FEW = 8
"""Fewer records that are alike are admitted one by one: columns cost more than they save."""


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


class Admission:
    """Reads headers; used by the poll thread.

    Args:
        routings: the reply routing of each binding.
        header_bytes: the largest sum of header names and values of one record.
        coordinates: whether each reply says which record it answers.
        most_seconds: how long requests of a binding may wait, where that is bounded.
    """

    def __init__(
        self,
        routings: Mapping[str, ReplyRouting],
        *,
        header_bytes: int,
        coordinates: bool = False,
        most_seconds: Mapping[str, float] | None = None,
    ) -> None:
        self._routings = routings
        self._most_seconds = most_seconds or {}
        self._header_bytes = header_bytes
        self._coordinates = coordinates

    def admit(self, records: PolledRecords) -> Exceptions:
        """Fill in the records' routes, deadlines and priorities; returns those that do not simply go on."""
        exceptions = Exceptions()
        for position in records.unreadable:
            exceptions.no_route[position] = NoRouteError(UNREADABLE)
        if records.headers is not None:
            for positions, columns in alike(records.headers):
                if len(positions) < FEW or not self._admit_alike(records, positions, columns):
                    for position in positions:
                        self._admit_one(records, position, exceptions)
        if self._coordinates:
            self._add_coordinates(records, range(len(records)))
        # Nobody could be told of a time that is over whose reply topic is not known yet.
        held = exceptions.topic_unknown
        self._limit(
            records, [n for n in range(len(records)) if n not in held] if held else range(len(records))
        )
        return exceptions

    def try_again(self, records: PolledRecords, position: int) -> bool:
        """Route a record whose reply topic was not known; False while it still is not.

        Raises:
            NoRouteError: the topic is there by now, and the partition that the request names is not.
            InvalidHeader: the request can be answered by now, and its deadline or its priority cannot be read.
        """
        assert records.headers is not None
        headers = records.headers[position]
        assert headers is not None
        try:
            self._route(records, position, headers)
        except ReplyTopicUnknownError:
            return False
        if self._coordinates:
            self._add_coordinates(records, [position])
        self._note_wishes(records, position, headers)
        self._limit(records, [position])
        return True

    def _admit_alike(
        self, records: PolledRecords, positions: Sequence[int], columns: Sequence[HeaderColumn]
    ) -> bool:
        """Admit records that have the same names; False if any of them is to be looked at alone."""
        try:
            size = sum(len(column.name) + _longest(column.values) for column in columns)
        except TypeError:  # a header without a value
            return False
        if size > self._header_bytes:
            return False
        routing = self._routings[records.binding]
        try:
            places = _places(routing, columns, len(positions))
            timeouts_ms = _each(columns, names.TIMEOUT_MS, names.parse_timeout_ms)
            priorities = _each(columns, names.PRIORITY, names.parse_priority)
        except (NoRouteError, ReplyTopicUnknownError, InvalidHeader):
            return False
        if places is None:
            return False
        echoed = [column.pairs for column in columns if column.name in routing.echoed]
        if places or echoed:
            self._routes(records).put(
                positions,
                places or [(routing.reply_topic, ANY_PARTITION)] * len(positions),
                list(map(list, zip(*echoed, strict=True))) if echoed else [None] * len(positions),
            )
        if timeouts_ms is not None:
            deadlines_ms = _deadlines_ms(records)
            deadlines_ms[positions] = records.timestamps_ms_at(positions) + timeouts_ms
        if priorities is not None:
            _priorities(records)[positions] = np.minimum(priorities, routing.most_priority)
        records.header_bytes = max(records.header_bytes, size + HEADER_OVERHEAD_BYTES * len(columns))
        return True

    def _admit_one(self, records: PolledRecords, position: int, exceptions: Exceptions) -> None:
        """Admit a record whatever its headers are."""
        assert records.headers is not None
        headers = records.headers[position] or ()
        size = sum(len(name) + len(value or b"") for name, value in headers)
        records.header_bytes = max(records.header_bytes, size + HEADER_OVERHEAD_BYTES * len(headers))
        try:
            if size > self._header_bytes:
                raise NoRouteError(_too_large(size, self._header_bytes))  # noqa: TRY301 - one place decides
            self._route(records, position, headers)
            self._note_wishes(records, position, headers)
        except NoRouteError as error:
            exceptions.no_route[position] = error
        except ReplyTopicUnknownError as error:
            exceptions.topic_unknown[position] = error
        except InvalidHeader as error:
            exceptions.invalid[position] = str(error)

    def _route(self, records: PolledRecords, position: int, headers: Headers) -> None:
        routing = self._routings[records.binding]
        route = routing.route(headers)
        if records.routes is not None or route != (routing.reply_topic, ANY_PARTITION, None):
            self._routes(records).put([position], [(route.topic, route.partition)], [route.headers])

    def _routes(self, records: PolledRecords) -> ReplyRoutes:
        """The routes, to be filled in; without them every reply takes the fast way to the binding's own topic."""
        if records.routes is None:
            own = self._routings[records.binding].reply_topic
            records.routes = ReplyRoutes(len(records), (own, ANY_PARTITION))
        return records.routes

    def _note_wishes(self, records: PolledRecords, position: int, headers: Headers) -> None:
        """Until when the reply is wanted, and how soon the request is to be run; what is there twice counts last."""
        for name, value in headers:
            if name == names.TIMEOUT_MS:
                timeout_ms = names.parse_timeout_ms(value)
                _deadlines_ms(records)[position] = records.timestamps_ms_at([position])[0] + timeout_ms
            elif name == names.PRIORITY:
                most = self._routings[records.binding].most_priority
                _priorities(records)[position] = min(names.parse_priority(value), most)

    def _limit(self, records: PolledRecords, positions: Sequence[int]) -> None:
        """Let no request wait for longer than its binding allows."""
        most_seconds = self._most_seconds.get(records.binding)
        if most_seconds is not None and len(positions):
            deadlines_ms = _deadlines_ms(records)
            limits_ms = records.timestamps_ms_at(positions) + most_seconds * 1000
            deadlines_ms[positions] = np.minimum(deadlines_ms[positions], limits_ms)

    def _add_coordinates(self, records: PolledRecords, positions: Sequence[int]) -> None:
        carried = self._routes(records).headers
        for position in positions:
            message = records.messages[position]
            own = names.Coordinates(records.topic, message.partition(), message.offset())
            header = (names.REQUEST, names.request_coordinates(own))
            carried[position] = [*(carried[position] or ()), header]
        records.header_bytes += COORDINATES_BYTES


def _longest(values: Sequence[bytes | None]) -> int:
    return max(map(len, values))  # type: ignore[arg-type]  # None raises TypeError


def _places(routing: ReplyRouting, columns: Sequence[HeaderColumn], records: int) -> list[Place] | None:
    """Where each reply goes, decided once for each pair of values; empty where no header says.

    None where a name is there twice.
    """
    topics = _only([c.values for c in columns if c.name in REPLY_TOPICS and c.name not in routing.echoed])
    partitions = _only(
        [c.values for c in columns if c.name == REPLY_PARTITION and c.name not in routing.echoed]
    )
    if topics is None or partitions is None:
        return None
    if not topics and not partitions:
        return []
    if not partitions:
        by_topic = {value: routing.place(value, None) for value in set(topics)}
        if len(by_topic) == 1:
            return list(by_topic.values()) * records
        return list(map(by_topic.__getitem__, topics))
    pairs = list(zip(topics or [None] * records, partitions, strict=True))
    by_pair = {pair: routing.place(*pair) for pair in set(pairs)}
    return list(map(by_pair.__getitem__, pairs))


def _only(columns: Sequence[Sequence[bytes | None]]) -> Sequence[bytes | None] | None:
    """The values of the only column; empty where there is none, None where there are several."""
    if len(columns) > 1:
        return None
    return columns[0] if columns else ()


def _each(
    columns: Sequence[HeaderColumn], name: str, parse: Callable[[bytes | None], int]
) -> list[int] | None:
    """What each record's header of that name says; None where they have none."""
    found = None
    for column in columns:
        if column.name == name:
            known = {value: parse(value) for value in set(column.values)}
            found = list(map(known.__getitem__, column.values))
    return found


def _deadlines_ms(records: PolledRecords) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """The deadlines, to be filled in."""
    if records.deadlines_ms is None:
        records.deadlines_ms = np.full(len(records), np.inf)
    return records.deadlines_ms


def _priorities(records: PolledRecords) -> "np.ndarray[tuple[int, ...], np.dtype[np.int8]]":
    """The priorities, to be filled in."""
    if records.priorities is None:
        records.priorities = np.full(len(records), NO_PRIORITY, np.int8)
    return records.priorities


def _too_large(size: int, limit: int) -> str:
    return f"the headers have {size} bytes; limits.header_bytes allows {limit}"
