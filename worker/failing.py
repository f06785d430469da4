"""Notices bindings whose requests fail by this side's fault, and stops reading them.

A broken model answers a backlog with errors as fast as it can be read, and when it has been mended there is nothing
left to answer. So when nearly all requests of a binding come to INTERNAL or UNAVAILABLE it is read no more; now and
then a few requests are tried, and when those are answered it goes on. What a requester does wrong never counts.
"""

import enum
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schemas.errors import Code

log = logging.getLogger(__name__)

OUR_FAULT = frozenset({Code.INTERNAL, Code.UNAVAILABLE})
WINDOW_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0
TRIED_RECORDS = 100
NOTHING_WAITS_SECONDS = 10.0
"""Polls are small while a binding is to be tried; when nothing of it comes for so long, nothing waits."""


class _State(enum.Enum):
    READ = enum.auto()
    PAUSED = enum.auto()
    TO_BE_TRIED = enum.auto()
    TRIED = enum.auto()


@dataclass(slots=True)
class _Count:
    """Requests that have their outcome, and those of them that failed."""

    settled: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Binding:
    """What is known of one.

    Attributes:
        now, before: counts of this half of the window and of the one before.
        since: when this half began.
        until: when the pause ends, or the wait for requests to try.
        pauses: how many there were in a row.
        tried: how many requests are being tried.
        why: what an operator is told while it is not read.
    """

    now: _Count
    before: _Count
    since: float
    state: _State = _State.READ
    until: float = 0.0
    pauses: int = 0
    tried: int = 0
    why: str = ""


class Failing:
    """Which bindings are read, by how their requests end; owned by the poll thread, `reasons` by any.

    Args:
        bindings: their names.
        ratio: a binding is read no more when at least this part of its requests of late has failed.
        least_requests: fewer of late say nothing; 0: no binding is ever stopped.
        pause_seconds: how long it rests before some requests are tried; twice as long each time that they fail too.
        on_change: told of each binding that stops and goes on.
    """

    def __init__(
        self,
        bindings: Iterable[str],
        *,
        ratio: float,
        least_requests: int,
        pause_seconds: float,
        clock: Callable[[], float],
        on_change: Callable[[str, bool], None] = lambda _binding, _stopped: None,
    ) -> None:
        start = clock()
        self._bindings = {name: _Binding(_Count(), _Count(), start) for name in bindings}
        self._ratio = ratio
        self._least_requests = least_requests
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._on_change = on_change
        self.paused: frozenset[str] = frozenset()
        """The bindings that are not to be read now."""

    def read(self, binding: str, requests: int) -> None:
        """Requests of a binding have been read."""
        found = self._bindings[binding]
        if found.state is _State.TO_BE_TRIED:
            found.state, found.tried = _State.TRIED, requests
            found.now, found.before = _Count(), _Count()
            self._settle_paused()

    def settled(self, binding: str, code: Code | None, requests: int) -> None:
        """Requests of a binding have their outcome: an answer, or None for any other."""
        count = self._bindings[binding].now
        count.settled += requests
        if code in OUR_FAULT:
            count.failed += requests

    def step(self) -> None:
        """Stop what fails, try what was stopped long enough."""
        now = self._clock()
        for name, binding in self._bindings.items():
            if binding.state is _State.READ:
                self._watch(name, binding, now)
            elif binding.state is _State.PAUSED and now >= binding.until:
                binding.state, binding.until = _State.TO_BE_TRIED, now + NOTHING_WAITS_SECONDS
                self._settle_paused()
            elif binding.state is _State.TO_BE_TRIED and now >= binding.until:
                self._go_on(
                    name, binding, now, "a binding goes on: nothing waits in its topics that could be tried"
                )
            elif binding.state is _State.TRIED and binding.now.settled >= binding.tried:
                self._judge(name, binding, now)

    def most_records(self) -> int | None:
        """How many records one poll may bring at most, while a binding is to be tried; None: any number."""
        tried = any(binding.state is _State.TO_BE_TRIED for binding in self._bindings.values())
        return TRIED_RECORDS if tried else None

    def reasons(self) -> list[str]:
        """Why bindings are not read; any thread."""
        return [
            f"binding {name!r} stands still: {binding.why}"
            for name, binding in self._bindings.items()
            if binding.state is not _State.READ
        ]

    def _watch(self, name: str, binding: _Binding, now: float) -> None:
        settled = binding.now.settled + binding.before.settled
        failed = binding.now.failed + binding.before.failed
        enough = failed and self._least_requests and settled >= self._least_requests
        if enough and failed >= self._ratio * settled:
            self._stop(name, binding, now, _Count(settled, failed))
        elif now - binding.since >= WINDOW_SECONDS / 2:
            binding.before, binding.now, binding.since = binding.now, _Count(), now

    def _judge(self, name: str, binding: _Binding, now: float) -> None:
        if binding.now.failed >= self._ratio * binding.now.settled:
            self._stop(name, binding, now, binding.now)
            return
        self._go_on(name, binding, now, "a binding goes on: its requests are answered again")

    def _go_on(self, name: str, binding: _Binding, now: float, why: str) -> None:
        binding.state, binding.pauses = _State.READ, 0
        binding.now, binding.before, binding.since = _Count(), _Count(), now
        self._settle_paused()
        log.info(why, extra={"binding": name})
        self._on_change(name, False)  # noqa: FBT003 - not stopped

    def _stop(self, name: str, binding: _Binding, now: float, count: _Count) -> None:
        pause = min(self._pause_seconds * 2**binding.pauses, LONGEST_PAUSE_SECONDS)
        first = binding.state is _State.READ
        binding.state, binding.until = _State.PAUSED, now + pause
        binding.pauses += 1
        binding.why = (
            f"{count.failed:,} of the last {count.settled:,} requests failed with INTERNAL or UNAVAILABLE; mend the "
            "model or set another version, some requests are tried now and then"
        )
        self._settle_paused()
        log.log(
            logging.ERROR if first else logging.WARNING,
            "a binding is not read any more: nearly all of its requests fail; mend its models or set other versions. "
            "What it has not answered waits in its topics, and some of it is tried from time to time",
            extra={
                "binding": name,
                "failed": count.failed,
                "of": count.settled,
                "next_try_in_seconds": pause,
            },
        )
        if first:
            self._on_change(name, True)  # noqa: FBT003 - stopped

    def _settle_paused(self) -> None:
        still = (_State.PAUSED, _State.TRIED)
        self.paused = frozenset(name for name, b in self._bindings.items() if b.state in still)
