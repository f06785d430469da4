"""Requests go out when they are due."""

from itertools import count

import numpy as np

from benchmarks.schedule import due_times, send_on_schedule


class Hand:
    """A clock that only waits move, each a little further than asked for."""

    def __init__(self, overrun: float = 0.0) -> None:
        self.now = 100.0
        self.overrun = overrun

    def wait(self, seconds: float) -> None:
        """Sleep by this clock."""
        self.now += seconds + self.overrun


def test_due_times_do_not_add_up_errors() -> None:
    """Each request's time is counted from the start."""
    due = due_times(10.0, 1000.0, 100_001)

    assert due[0] == 10.0
    assert due[-1] == 110.0


def test_each_request_is_sent_at_its_time() -> None:
    """Nothing goes out before it is due, and what one wait overruns is not added to the next."""
    clock, numbers = Hand(overrun=0.25), []
    due = due_times(101.0, 1.0, 4)

    sent = send_on_schedule(
        due, [b"r"] * 4, lambda number, _payload: numbers.append(number), clock.wait, lambda: clock.now
    )

    assert numbers == [0, 1, 2, 3]
    assert sent == [101.25, 102.25, 103.25, 104.25]


def test_what_is_overdue_is_sent_at_once_and_not_left_out() -> None:
    """A sender that stood still sends what was due meanwhile, all of it, and is on schedule again."""
    clock, stands_still_at = Hand(), count()

    def send(_number: int, _payload: bytes) -> None:
        if next(stands_still_at) == 0:
            clock.now += 2.5

    due = due_times(101.0, 1.0, 5)

    sent = send_on_schedule(due, [b"r"] * 5, send, clock.wait, lambda: clock.now)

    assert np.allclose(np.asarray(sent) - due, [0.0, 1.5, 0.5, 0.0, 0.0])
