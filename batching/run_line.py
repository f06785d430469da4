"""How long a batch runs by its rows: a call and so much a row, from the runs of late."""

FORGETTING = 0.0625
"""How much the newest run counts: some thirty runs make the line, so that one slow run bends it little."""
LEAST_SPREAD = 1e-3
"""Sizes that differ by less, of their mean (and squared), say nothing of what a row costs."""


class RunLine:
    """The line through rows and seconds with the smallest squares, of which each counts less than the one after it.

    Pure; its owner guards it. It costs a few multiplications a batch.
    """

    __slots__ = ("_covariance", "_rows", "_seconds", "_variance", "_weight")

    def __init__(self) -> None:
        self._weight = 0.0
        self._rows = 0.0
        self._seconds = 0.0
        self._variance = 0.0
        self._covariance = 0.0

    def note(self, rows: int, seconds: float) -> None:
        """Take in one run."""
        self._weight += (1.0 - self._weight) * FORGETTING
        share = (
            FORGETTING / self._weight
        )  # the first counts whole, and later ones ever less, down to FORGETTING
        more_rows, more_seconds = rows - self._rows, seconds - self._seconds
        self._rows += share * more_rows
        self._seconds += share * more_seconds
        self._variance = (1.0 - share) * (self._variance + share * more_rows * more_rows)
        self._covariance = (1.0 - share) * (self._covariance + share * more_rows * more_seconds)

    def seconds(self, rows: int) -> float:
        """Return how long a batch of so many rows runs; 0 where none has run yet."""
        if self._variance <= LEAST_SPREAD * self._rows * self._rows:
            return self._seconds
        a_row = max(0.0, self._covariance / self._variance)
        return max(0.0, self._seconds + a_row * (rows - self._rows))
