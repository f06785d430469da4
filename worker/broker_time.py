"""What time it is by the broker's clock, guessed from the records that it has stamped.

Leases run by the broker's timestamps, but somebody who only reads is told of that clock by records alone. A
record that arrives while one reads has just been stamped: its stamp against the own clock is the difference
of the two, but for the time of its way. Until such a record has come, the own clock is taken, moved forward
at least so far that no record comes from the future.
"""

import math


class BrokerTime:
    """The guess; all times in milliseconds since the epoch."""

    def __init__(self) -> None:
        self._behind = -math.inf  # the own clock is at least that much behind
        self._ahead = math.inf  # and at most that much ahead

    def saw(self, timestamp_ms: float, arrived_ms: float, *, fresh: bool) -> None:
        """A record with that timestamp has come, by the own clock at *arrived_ms*.

        *fresh*: it was written while this reader was reading.
        """
        self._behind = max(self._behind, timestamp_ms - arrived_ms)
        if fresh:
            self._ahead = min(self._ahead, arrived_ms - timestamp_ms)

    def at(self, own_ms: float) -> float:
        """The broker's time when the own clock shows *own_ms*."""
        if self._ahead < math.inf:
            return own_ms - self._ahead
        return own_ms + max(0.0, self._behind)
