"""How much memory what is done for shadows may take: past that it is dropped, so that requests never wait for it."""

import threading

from worker.request_block import Part

REQUEST_BYTES = 512
"""What the objects of one request take beside its key and value, about."""


class ShadowRoom:
    """Counts bytes; any thread may call it.

    Args:
        size_bytes: how much there is.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._lock = threading.Lock()  # guards `used_bytes`
        self.used_bytes = 0
        """How much is taken."""

    def take(self, size_bytes: int) -> bool:
        """Take so much, if there is as much; whether there was."""
        with self._lock:
            if self.used_bytes + size_bytes > self._size_bytes:
                return False
            self.used_bytes += size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        """Give back what was taken, or a part of it."""
        with self._lock:
            self.used_bytes -= size_bytes


def weight(part: Part) -> int:
    """The bytes that requests take while they wait; those of a part are the sum of its pieces'."""
    return part.size_bytes + REQUEST_BYTES * len(part)
