"""Polls of hostile records for workers that live long, and for short-lived ones of other kinds.

Everything comes from one seed: the same seed gives the same polls to workers of the same kinds.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.fuzzing import control_rig, path_rig
from tests.fuzzing.hostile_control import ControlSource
from tests.fuzzing.hostile_headers import HeaderSource
from tests.fuzzing.hostile_requests import RequestSource
from tests.fuzzing.records import Finding, Record
from tests.fuzzing.reduction import reduced

POLLS_OF_A_SHORT_LIFE = 100
SHORT_LIVED_EACH = 4
"""Every fourth poll is for a short-lived worker."""
LABELS_EACH = 20
HISTORY = 40
"""Polls that are kept to find a short way to a finding."""


class Source(Protocol):
    """Makes polls."""

    def poll(self) -> list[Record]:
        """The next one."""
        ...


class Rig(Protocol):
    """A worker, or a part of one, that can be told what is wrong with."""

    def poll(self, records: Sequence[Record]) -> str | None:
        """Give it records; what is wrong with what came of them."""
        ...

    def strange_labels(self) -> str | None:
        """What is wrong with its metrics."""
        ...

    def sizes(self) -> dict[str, tuple[int, int]]:
        """How large what it keeps is, and how large it may be."""
        ...


@dataclass(slots=True)
class _Life:
    """A worker, what kind it is, and what it was given of late."""

    where: str
    rig: Rig
    history: deque[tuple[Record, ...]] = field(default_factory=lambda: deque(maxlen=HISTORY))


class RecordFuzzer:
    """Sends polls to workers, one a step, and looks at what came of them."""

    def __init__(
        self,
        seed: int,
        make_source: Callable[[random.Random], Source],
        make_rig: Callable[[str], Rig],
        kinds: Sequence[str],
    ) -> None:
        """*make_rig* makes a worker of one of *kinds*, of which the first lives longest."""
        self._rng = random.Random(seed)
        self._source = make_source(self._rng)
        self._make_rig = make_rig
        self._kinds = kinds
        self._lasting = self._new_life(kinds[0])
        self._short = self._new_life(self._rng.choice(kinds))
        self.batches = 0
        self.records = 0

    def step(self) -> Finding | None:
        """Send one poll; what is wrong."""
        self.batches += 1
        if self.batches % POLLS_OF_A_SHORT_LIFE == 0:
            self._short = self._new_life(self._rng.choice(self._kinds))
        life = self._short if self.batches % SHORT_LIVED_EACH == 0 else self._lasting
        poll = tuple(self._source.poll())
        self.records += len(poll)
        life.history.append(poll)
        message = life.rig.poll(poll)
        if message is None and self.batches % LABELS_EACH == 0:
            life = self._lasting
            message = life.rig.strange_labels()
        return None if message is None else self._explained(message, life)

    def progress(self) -> str:
        """How far it is, for a person."""
        return f"{self.records:,} records"

    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """How large what the lasting worker keeps is, and how large it may be."""
        return self._lasting.rig.sizes()

    def _new_life(self, where: str) -> _Life:
        return _Life(where, self._make_rig(where))

    def _explained(self, message: str, life: _Life) -> Finding:
        """A finding with the shortest way to it that can be found."""

        def shows(polls: list[Sequence[Record]]) -> bool:
            rig = self._make_rig(life.where)
            return any(rig.poll(poll) is not None for poll in polls) or rig.strange_labels() is not None

        polls: list[Sequence[Record]] = list(life.history)
        short = reduced(polls, shows) if shows(polls) else []
        return Finding(message, life.where, tuple(map(tuple, short)))


def request_fuzzer(seed: int, sabotage: path_rig.Sabotage | None = None) -> RecordFuzzer:
    """Hostile request records, through a worker's whole request path."""
    return _path_fuzzer(seed, RequestSource, sabotage)


def header_fuzzer(seed: int, sabotage: path_rig.Sabotage | None = None) -> RecordFuzzer:
    """Requests with hostile headers, through a worker's whole request path."""
    return _path_fuzzer(seed, HeaderSource, sabotage)


def control_fuzzer(seed: int, sabotage: control_rig.Sabotage | None = None) -> RecordFuzzer:
    """Hostile control records, through a worker's control side."""

    def make(_where: str) -> Rig:
        return control_rig.ControlRig(sabotage)

    return RecordFuzzer(seed, ControlSource, make, ("control side",))


def _path_fuzzer(
    seed: int, make_source: Callable[[random.Random], Source], sabotage: path_rig.Sabotage | None
) -> RecordFuzzer:
    def make(where: str) -> Rig:
        return path_rig.PathRig(where, sabotage)

    return RecordFuzzer(seed, make_source, make, tuple(path_rig.VARIANTS))
