"""Times the stages of a running program from outside: the program's own functions are wrapped, and know nothing of it.

A stage's time is CPU time of the thread that runs it, without that of the stages inside it, so that the times of all
stages and of what is outside of any add up to what the thread has used.
"""

import functools
import importlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OUTSIDE = "outside of every stage"
CALIBRATION_CALLS = 20_000


@dataclass(frozen=True, slots=True)
class Found:
    """Where a function is kept: an attribute of a module or class."""

    owner: Any
    name: str
    function: Callable[..., Any]


def found(target: str) -> Found:
    """The function or method that a target names.

    Raises:
        LookupError: there is none.
    """
    module_name, _, path = target.partition(":")
    *outer, name = path.split(".")
    try:
        owner: Any = importlib.import_module(module_name)
        for part in outer:
            owner = getattr(owner, part)
        return Found(owner, name, owner.__dict__[name])
    except (ImportError, AttributeError, KeyError) as error:
        raise LookupError(f"there is no {target} to time; the table of stages has to follow") from error


class StageClock:
    """What each thread has used in each stage, so far."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._turns: list[_Turn] = []

    def wrap(self, target: str, stage: str) -> None:
        """Time a function or method, `package.module:Class.method` or `package.module:function`, as that stage.

        Call it before anything keeps a reference to the function.

        Raises:
            LookupError: there is no such function.
        """
        place = found(target)
        setattr(place.owner, place.name, self.timed(place.function, stage))

    def timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function, with what it uses added to the stage."""
        turn_of, now = self._turn, time.thread_time_ns

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            turn = turn_of()
            outer = turn.enter(stage, now())
            try:
                return function(*args, **kwargs)
            finally:
                turn.leave(outer, now())

        return timed

    def snapshot(self) -> dict[str, Any]:
        """Nanoseconds and calls by thread (the kernel's number for it) and stage; for JSON. Any thread may ask."""
        return {
            str(turn.thread): {
                "name": turn.name,
                "nanoseconds": dict(turn.nanoseconds),
                "calls": dict(turn.calls),
            }
            for turn in list(self._turns)
        }

    def nanoseconds_a_call(self) -> float:
        """What the timing itself costs, measured on a function that does nothing."""
        clock = StageClock()
        nothing = clock.timed(lambda: None, "nothing")
        start = time.thread_time_ns()
        for _ in range(CALIBRATION_CALLS):
            nothing()
        return (time.thread_time_ns() - start) / CALIBRATION_CALLS

    def _turn(self) -> "_Turn":
        try:
            turn: _Turn = self._own.turn
        except AttributeError:
            turn = self._own.turn = _Turn()
            self._turns.append(turn)
        return turn


class _Turn:
    """One thread's counters; written by that thread only."""

    def __init__(self) -> None:
        self.thread = threading.get_native_id()
        self.name = threading.current_thread().name
        self.nanoseconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._stage = OUTSIDE
        self._since = time.thread_time_ns()

    def enter(self, stage: str, now: int) -> str:
        """A stage begins; returns the one around it."""
        outer = self._stage
        self.nanoseconds[outer] += now - self._since
        self._stage, self._since = stage, now
        return outer

    def leave(self, outer: str, now: int) -> None:
        """The stage ends, the one around it goes on."""
        self.nanoseconds[self._stage] += now - self._since
        self.calls[self._stage] += 1
        self._stage, self._since = outer, now


def difference(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]], what: str
) -> Counter[str]:
    """What was added between two snapshots, by stage, all threads together; *what*: `nanoseconds` or `calls`."""
    added: Counter[str] = Counter()
    for thread, now in after.items():
        added.update(now[what])
        if thread in before:
            added.subtract(before[thread][what])
    return added
