"""The state machine of one loader's life, as a table; with its retries and its time limit.

It holds no lock, reads no clock, starts nothing and does not call its loader: its owner asks what may be
done, does it, and tells the result. So every rule about a load can be tested by calling methods in a row.
"""

import dataclasses
import enum
from collections.abc import Mapping

from lifecycle import backoff, errors
from lifecycle.servable_id import ServableId


class HarnessState(enum.Enum):
    """How far a loader's life has come. A participle in -ing is under way, one in -ed is done."""

    NEW = "new"
    LOAD_REQUESTED = "load requested"
    LOAD_APPROVED = "load approved"
    LOADING = "loading"
    READY = "ready"
    UNLOAD_REQUESTED = "unload requested"
    QUIESCING = "quiescing"
    QUIESCED = "quiesced"
    UNLOADING = "unloading"
    DISABLED = "disabled"
    ERROR = "error"


_S = HarnessState

TRANSITIONS: Mapping[HarnessState, frozenset[HarnessState]] = {
    _S.NEW: frozenset({_S.LOAD_REQUESTED, _S.ERROR}),
    _S.LOAD_REQUESTED: frozenset({_S.LOAD_APPROVED, _S.ERROR}),
    _S.LOAD_APPROVED: frozenset({_S.LOADING, _S.ERROR}),
    # A load that succeeds after it was cancelled is unloaded without ever having been ready.
    _S.LOADING: frozenset({_S.READY, _S.UNLOADING, _S.ERROR}),
    # What is loaded can only be unloaded: an error here would leave it in memory for ever.
    _S.READY: frozenset({_S.UNLOAD_REQUESTED}),
    _S.UNLOAD_REQUESTED: frozenset({_S.QUIESCING}),
    _S.QUIESCING: frozenset({_S.QUIESCED}),
    _S.QUIESCED: frozenset({_S.UNLOADING}),
    _S.UNLOADING: frozenset({_S.DISABLED, _S.ERROR}),
    _S.DISABLED: frozenset(),
    _S.ERROR: frozenset(),
}

_TRYING = frozenset({_S.LOAD_REQUESTED, _S.LOADING})

AT_REST = frozenset({_S.NEW, _S.DISABLED, _S.ERROR})
"""The states in which a harness may be forgotten: nothing is loaded and nothing is under way."""


def transition_diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {_S.NEW.name}"]
    for state, targets in TRANSITIONS.items():
        lines += [f"    {state.name} --> {target.name}" for target in HarnessState if target in targets]
        lines += [f"    {state.name} --> [*]"] if not targets else []
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True, slots=True)
class LoadOptions:
    """How often and how long a load is tried.

    Attributes:
        retries: tries after the first failed one, 0 or more.
        retry_wait: the wait between two tries. No thread waits: the owner steps.
        timeout_seconds: the most that one try may take; None is without limit. A load's thread cannot be
            stopped: past the limit the load counts as failed, and what it may still bring is unloaded.
    """

    retries: int = 5
    retry_wait: backoff.Backoff = backoff.Backoff(60.0)  # noqa: RUF009 - it is frozen
    timeout_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"retries is {self.retries}; expected 0 or more")
        if self.timeout_seconds is not None and not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds is {self.timeout_seconds}; expected more than 0, or None")


class Outcome(enum.Enum):
    """What has become of one try to load, and so what the owner has to do."""

    READY = "ready"
    """Loaded and wanted: serve it."""
    RETRY = "retry"
    """Failed; try again when `take_due_retry` says so."""
    FAILED = "failed"
    """Failed for good."""
    UNWANTED = "unwanted"
    """Loaded, but cancelled meanwhile: unload it, then `finish_unloading`."""
    LATE = "late"
    """Ended after its failure had been reported: unload it if it succeeded; the state stays."""


class LoaderHarness:
    """One loader's life. Not thread-safe: the manager that owns it calls it under its own lock.

    A move that `TRANSITIONS` does not list raises `IllegalTransition` and changes nothing.

    Attributes:
        state: the only place where it is kept.
        error: why the last try failed, while another may follow; or why the life ended.
        attempts: tries begun.
        attempt_seconds: how long the last ended try took.
    """

    def __init__(self, servable_id: ServableId, options: LoadOptions) -> None:
        self.id = servable_id
        self.state = HarnessState.NEW
        self.error: errors.LifecycleError | None = None
        self.attempts = 0
        self.attempt_seconds: float | None = None
        self._options = options
        self._estimates = 0
        self._cancelled = False
        self._retry_at: float | None = None
        self._attempt_began: float | None = None

    @property
    def running(self) -> bool:
        """Whether a try is under way; in `ERROR` this is one whose time limit has passed."""
        return self._attempt_began is not None

    def _move(self, target: HarnessState) -> None:
        if target not in TRANSITIONS[self.state]:
            raise errors.IllegalTransition(
                f"{self.id} is {self.state.value!r} and cannot become {target.value!r}"
            )
        self.state = target

    def request_load(self) -> None:
        """The load is wanted. Only the first request succeeds."""
        self._move(HarnessState.LOAD_REQUESTED)

    def approve_load(self) -> None:
        """The load may begin: what it needs has been set aside for it."""
        self._move(HarnessState.LOAD_APPROVED)

    def begin_estimate(self, now: float) -> bool:
        """A try to say what the load needs begins; False when the life ended before it could."""
        if self.state is HarnessState.ERROR:
            return False
        self._retry_at = None
        self._attempt_began = now
        self._estimates += 1
        return True

    def end_estimate(self, error: BaseException | None, now: float) -> Outcome:
        """A try to say what the load needs has ended; with `READY` that is known. Requires: as `end_attempt`."""
        began, self._attempt_began = self._attempt_began, None
        assert began is not None, f"no estimate of {self.id} is under way"
        if self.state is HarnessState.ERROR:
            return Outcome.LATE
        if error is None and not self._cancelled and not self._past_limit(began, now):
            self.error = None
            return Outcome.READY
        if error is None:
            self.fail(self._not_begun() if self._cancelled else self._timed_out())
            return Outcome.FAILED
        return self._after_failure(error, "estimating what {} needs", self._estimates, now)

    def begin_attempt(self, now: float) -> bool:
        """A try to load begins, the first or a later one; False when the life ended before it could."""
        if self.state is HarnessState.ERROR:
            return False
        if self.state is not HarnessState.LOADING or self.running:
            self._move(HarnessState.LOADING)
        self._retry_at = None
        self._attempt_began = now
        self.attempts += 1
        return True

    def end_attempt(self, error: BaseException | None, now: float) -> Outcome:
        """A try to load has ended. Requires: `begin_attempt` said True."""
        began, self._attempt_began = self._attempt_began, None
        assert began is not None, f"no try to load {self.id} is under way"
        if self.state is HarnessState.ERROR:
            return Outcome.LATE
        self.attempt_seconds = now - began
        if error is None and self._past_limit(began, now):
            self.fail(self._timed_out())
            return Outcome.LATE
        if error is None and self._cancelled:
            self._move(HarnessState.UNLOADING)
            self.error = errors.LoadCancelled(f"the load of {self.id} was cancelled before it succeeded")
            return Outcome.UNWANTED
        if error is None:
            self._move(HarnessState.READY)
            self.error = None
            return Outcome.READY
        return self._after_failure(error, "loading {}", self.attempts, now)

    def take_due_retry(self, now: float) -> bool:
        """Whether the wait before the next try is over; True once for each wait."""
        if self.state not in _TRYING or self._retry_at is None or now < self._retry_at:
            return False
        self._retry_at = None
        return True

    def hasten(self) -> bool:
        """End a wait between two tries: the next one is due. True when there was such a wait."""
        if self.state not in _TRYING or self._retry_at is None:
            return False
        self._retry_at = float("-inf")
        return True

    def expire(self, now: float) -> bool:
        """Fail a try that is past its time limit; True when that has just happened."""
        began = self._attempt_began
        if self.state not in _TRYING or began is None or not self._past_limit(began, now):
            return False
        self.fail(self._timed_out())
        return True

    def cancel_load(self) -> bool:
        """Nobody wants the load any more: no further try, and a success will be unloaded.

        Returns:
            True when that ended it at once: it had not begun, or waited between two tries.
        """
        if self.state not in {_S.LOAD_REQUESTED, _S.LOAD_APPROVED, _S.LOADING}:
            return False
        self._cancelled = True
        if self.running:
            return False
        self.fail(self.error or self._not_begun())
        return True

    def request_unload(self) -> None:
        """The unload is wanted. Only the first request succeeds."""
        self._move(HarnessState.UNLOAD_REQUESTED)

    def start_quiescing(self) -> None:
        """From now on no new handle is given out."""
        self._move(HarnessState.QUIESCING)

    def finish_quiescing(self) -> None:
        """The last handle has been released."""
        self._move(HarnessState.QUIESCED)

    def start_unloading(self) -> None:
        """The loader is about to unload."""
        self._move(HarnessState.UNLOADING)

    def finish_unloading(self, error: BaseException | None = None) -> None:
        """The loader has unloaded, or has failed to."""
        if error is None:
            self._move(HarnessState.DISABLED)
        else:
            self.fail(errors.UnloadFailed(f"unloading {self.id} failed: {_reason(error)}"))

    def fail(self, error: errors.LifecycleError) -> None:
        """End badly, for a reason that the caller knows. Requires: nothing is loaded."""
        self._move(HarnessState.ERROR)
        self.error = error
        self._retry_at = None

    def _past_limit(self, began: float, now: float) -> bool:
        limit = self._options.timeout_seconds
        return limit is not None and now - began > limit

    def _timed_out(self) -> errors.LoadTimedOut:
        return errors.LoadTimedOut(
            f"loading {self.id} took longer than its limit of {self._options.timeout_seconds:g} s; raise "
            "lifecycle.load_timeout_seconds if it is only slow; if it hangs, only a restart of the worker ends it"
        )

    def _not_begun(self) -> errors.LoadCancelled:
        return errors.LoadCancelled(f"the load of {self.id} was cancelled before it began")

    def _after_failure(self, error: BaseException, what: str, tries: int, now: float) -> Outcome:
        # The foreign error is told in words and not kept: its traceback would keep what the load had
        # allocated.
        kind = type(error) if isinstance(error, errors.LoadFailed) else errors.LoadFailed
        counted = f"try {tries} of {self._options.retries + 1}"
        self.error = kind(f"{what.format(self.id)} failed ({counted}): {_reason(error)}")
        if self._cancelled or not self.error.retriable or tries > self._options.retries:
            self._move(HarnessState.ERROR)
            return Outcome.FAILED
        self._retry_at = now + self._options.retry_wait.wait_seconds(tries)
        return Outcome.RETRY

    def __repr__(self) -> str:
        return f"<LoaderHarness {self.id} {self.state.name} attempts={self.attempts}>"


def _reason(error: BaseException) -> str:
    ours = isinstance(error, errors.LifecycleError)
    said = str(error) if ours else f"{type(error).__name__}: {error}".removesuffix(": ")
    if isinstance(error, MemoryError):
        said += "; there was no memory left for it: unload another version, or give the worker more"
    elif not isinstance(error, Exception):
        said += "; this would have ended its thread, or the whole process: mend the loader"
    return said
