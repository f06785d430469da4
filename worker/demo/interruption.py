"""Ctrl-C, a closed terminal and SIGTERM as an event: the demo waits for it everywhere and cleans up undisturbed."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from worker.stop_flag import StopFlag

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedByUserError(Exception):
    """Somebody wants the demo to end."""


class Interruption:
    """While the context lasts, the signals that end a program only set a flag. Main thread only."""

    def __init__(self) -> None:
        self._wanted = StopFlag()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            InterruptedByUserError: as soon as a signal comes.
        """
        if self._wanted.wait(seconds):
            raise InterruptedByUserError

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._wanted.set()
