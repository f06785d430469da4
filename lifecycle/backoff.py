"""How long to wait before something that has failed is tried again."""

import dataclasses
import random
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Twice as long after each failure in a row, up to a limit, less a part left to chance.

    The chance keeps many that have failed for one reason (a storage outage) from trying again at one moment.

    Attributes:
        first_seconds: the wait after the first failure, 0 or more.
        most_seconds: the longest wait; None: every wait is the first one.
        jitter: the part of a wait, from 0 to 1, of which chance takes some or nothing away.
        chance: a number from 0 up to 1, anew each time.
    """

    first_seconds: float
    most_seconds: float | None = None
    jitter: float = 0.0
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if not self.first_seconds >= 0:
            raise ValueError(f"first_seconds is {self.first_seconds}; expected 0 or more")
        if self.most_seconds is not None and not self.most_seconds >= self.first_seconds:
            raise ValueError(
                f"most_seconds is {self.most_seconds}; expected first_seconds ({self.first_seconds}) or more"
            )
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter}; expected 0 to 1")

    def wait_seconds(self, failures: int) -> float:
        """The wait after so many failures in a row, 1 or more."""
        most = self.first_seconds if self.most_seconds is None else self.most_seconds
        wait = min(most, self.first_seconds * 2.0 ** min(failures - 1, 32))
        return float(wait * (1.0 - self.jitter * self.chance())) if self.jitter else float(wait)
