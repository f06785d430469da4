"""Bytes of what waits, in all queues of a batcher: rows say little about memory where tasks are of unlike layouts."""

import threading

from batching import errors
from batching.room import Room


class BytesFull(errors.QueueFull):
    """What waits has too many bytes for this task beside it. Retriable."""


class ByteRoom:
    """Counts the bytes of tasks that wait, and refuses what would be too much. Thread-safe.

    Args:
        name: whose, for errors.
        most: bytes of all that waits.
    """

    def __init__(self, name: str, most: int) -> None:
        if most < 1:
            raise errors.InvalidOptions(f"max_enqueued_bytes must be at least 1, not {most}")
        self.room = Room()
        """The line of those who wait for bytes."""
        self._name = name
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()  # guards the number

    def take(self, size_bytes: int) -> None:
        """Count a task that is about to wait.

        Raises:
            TaskTooLarge: it is more than may ever wait.
            QueueFull: it is more than there is room for now.
        """
        if size_bytes > self._most:
            raise errors.TaskTooLarge(
                f"a task of {size_bytes:,} bytes is more than {self._name!r} holds, {self._most:,} (max_enqueued_bytes)"
            )
        with self._lock:
            if self._taken + size_bytes > self._most:
                raise BytesFull(
                    f"{self._taken:,} bytes wait for {self._name!r}, of {self._most:,} that may (max_enqueued_bytes); "
                    f"there is no room for {size_bytes:,} more"
                )
            self._taken += size_bytes

    def give(self, size_bytes: int) -> None:
        """Count what waits no more, whatever becomes of it, and wake the first who waits for room."""
        with self._lock:
            self._taken -= size_bytes
        self.room.let_one_in()
