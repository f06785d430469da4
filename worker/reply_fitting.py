"""Replies that their topic takes: one that is too large goes by claims, or an error takes its place."""

from collections.abc import Iterable, Iterator, Sequence

from schemas import reply_columns
from worker import reply_sizes
from worker.claimed_replies import ClaimedReplies, LargeReply
from worker.delivery import Delivery
from worker.reply_routes import Place
from worker.reply_sizes import ReplyColumns
from worker.topic_directory import TopicDirectory

Way = tuple[Place, ReplyColumns, Sequence[int], Sequence[int] | None]
"""A place with its replies, the positions of their requests, and those again where reports need them."""


class ReplyFitting:
    """Looks at the sizes of replies; any thread.

    Args:
        directory: how large a record each topic takes.
        claims: takes replies that are too large; None where there is no place for their data.
    """

    def __init__(self, directory: TopicDirectory, claims: ClaimedReplies | None) -> None:
        self._directory = directory
        self._claims = claims

    def fitting(self, delivery: Delivery, ways: Iterable[Way]) -> Iterator[Way]:
        """The same replies without those that go by claims later, and with errors in place of what goes nowhere.

        Raises:
            PublisherClosedError: the worker ends.
        """
        for way in ways:
            place, columns, _, _ = way
            payloads, keys, headers = columns
            limit = self._directory.max_message_bytes(place[0]) - reply_sizes.RECORD_OVERHEAD_BYTES
            beside = max(map(reply_sizes.key_bytes, keys)) if keys else 0
            if headers:
                beside += delivery.origin.records.header_bytes
            alike = isinstance(payloads, reply_columns.AlikeReplies)
            if (len(payloads[0]) if alike else max(map(len, payloads))) <= limit - beside:
                yield way
            elif (fitted := self._one_by_one(delivery, way, limit)) is not None:
                yield fitted

    def _one_by_one(self, delivery: Delivery, way: Way, limit_bytes: int) -> Way | None:
        """The way with what fits it; None where that is nothing."""
        place, (payloads, keys, headers), members, told_by = way
        values: list[bytes] = []
        kept: list[int] = []
        for n, payload in enumerate(payloads):
            key, carried = keys[n] if keys else None, headers[n] if headers else None
            room = limit_bytes - reply_sizes.key_bytes(key) - reply_sizes.header_bytes(carried)
            if len(payload) <= room:
                values.append(payload)
            elif self._claims is None:
                delivery.too_large += 1
                values.append(reply_sizes.too_large(payload, room, place[0]))
            else:
                self._claims.put(LargeReply(delivery, members[n], place, payload, key, carried, room))
                continue
            kept.append(n)
        if len(kept) == len(payloads):
            return place, (values, keys, headers), members, told_by
        if not kept:
            return None
        columns = (values, keys and [keys[n] for n in kept], headers and [headers[n] for n in kept])
        return place, columns, [members[n] for n in kept], told_by and [told_by[n] for n in kept]
