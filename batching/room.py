"""Waiting for room in a full queue: who comes first is woken first, and one at a time."""

import contextlib
import threading
from collections import deque

from batching.pending import Pending


class Turn(Pending[None]):
    """A place in the line. It ends when its owner may try again; who gives up has to say so by `leave`."""

    def __init__(self, room: "Room") -> None:
        super().__init__()
        self.room = room

    def leave(self) -> None:
        """Give the place up; where its turn had come already, it is the next one's."""
        if self.cancel():
            self.room.forget(self)
        else:
            self.room.let_one_in()


class Room:
    """The line of those who wait for one queue. Thread-safe.

    When a batch has left the queue, the first one is woken. If it finds room it wakes the next, otherwise it goes back
    to the front: as many try as there is room for, and one more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: deque[Turn] = deque()

    def line_up(self, *, first: bool) -> Turn:
        """Wait at the end of the line, or *first*, who had been woken in vain."""
        turn = Turn(self)
        with self._lock:
            (self._line.appendleft if first else self._line.append)(turn)
        return turn

    def forget(self, turn: Turn) -> None:
        """Take somebody out of the line, where one is in it."""
        with self._lock, contextlib.suppress(ValueError):
            self._line.remove(turn)

    def let_one_in(self) -> None:
        """Wake the first one that still waits."""
        while self._line:
            with self._lock:
                if not self._line:
                    return
                turn = self._line.popleft()
            if turn.set_running_or_notify_cancel():
                turn.finish(None)
                return

    def let_all_in(self) -> None:
        """Wake everybody: there is no queue to wait for any more."""
        with self._lock:
            line, self._line = self._line, deque()
        for turn in line:
            if turn.set_running_or_notify_cancel():
                turn.finish(None)
