"""The replies to some requests, by the places that they go to; and those to one place, gathered."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

from worker.delivery import Origin
from worker.kafka.producer import OnDelivery
from worker.reply_routes import ANY_PARTITION, Place
from worker.reply_sizes import ReplyColumns

if TYPE_CHECKING:
    from worker.kafka.records import Headers

T = TypeVar("T")


def ways(
    origin: Origin, payloads: list[bytes], own_topic: str
) -> Iterator[tuple[Place, ReplyColumns, Sequence[int], Sequence[int] | None]]:
    """Each place with its replies, and the positions of the requests that they answer.

    The last are those positions again where they are needed for a reply that fails to be sent again with its headers:
    the client's report has none. None where there are no headers, or a reply's id tells.
    """
    records, positions = origin.records, origin.positions
    keys = None if records.keys is None else _at(records.keys, positions)
    if records.routes is None:
        yield (own_topic, ANY_PARTITION), (payloads, keys, None), positions, None
        return
    places = _at(records.routes.places, positions)
    carried = _at(records.routes.headers, positions)
    headers = carried if any(carried) else None
    told_by = None if origin.has_ids_of_their_own() else positions
    if places.count(places[0]) == len(places):
        yield places[0], (payloads, keys, headers), positions, told_by
        return
    groups: dict[Place, list[int]] = defaultdict(list)
    for n, place in enumerate(places):
        groups[place].append(n)
    for place, members in groups.items():
        columns = (_at(payloads, members), keys and _at(keys, members), headers and _at(headers, members))
        yield place, columns, _at(positions, members), told_by and _at(told_by, members)


def rest(columns: ReplyColumns, sent: int) -> ReplyColumns:
    """The replies behind the first *sent*."""
    payloads, keys, headers = columns
    return payloads[sent:], keys and keys[sent:], headers and headers[sent:]


def reports_of(
    one: OnDelivery, at: Callable[..., None], positions: Sequence[int] | None
) -> OnDelivery | list[OnDelivery]:
    """Where the client reports replies: by position where another try needs what the report does not say."""
    return one if positions is None else list(map(partial, repeat(at), positions))


class Gathered:
    """Replies to one place from several deliveries, with where the client reports each."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.reports: list[OnDelivery] = []
        self._keys: list[bytes | None] = []
        self._headers: list[Headers | None] = []

    def add(self, columns: ReplyColumns, reports: OnDelivery | list[OnDelivery]) -> None:
        """Put replies behind those that are there."""
        payloads, keys, headers = columns
        count = len(payloads)
        self.payloads += payloads
        self.reports += [reports] * count if callable(reports) else reports
        self._keys += keys or [None] * count
        self._headers += headers or [None] * count

    def columns(self) -> ReplyColumns:
        """All of them."""
        return (
            self.payloads,
            self._keys if any(key is not None for key in self._keys) else None,
            self._headers if any(self._headers) else None,
        )


def _at(column: Sequence[T], positions: Sequence[int]) -> list[T]:
    """A column at these positions, which are in order; all of a list without a copy."""
    if isinstance(column, list) and len(positions) == len(column):
        return column
    return list(map(column.__getitem__, positions))
