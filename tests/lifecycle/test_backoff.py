"""How long to wait before something is tried again."""

import pytest

from lifecycle.backoff import Backoff


def test_waits_double_up_to_their_longest() -> None:
    """However often it has failed."""
    waits = Backoff(0.5, 15.0)
    assert [waits.wait_seconds(n) for n in (1, 2, 5, 6, 1000)] == [0.5, 1.0, 8.0, 15.0, 15.0]


def test_without_a_longest_wait_all_are_alike() -> None:
    """As TensorFlow Serving has it."""
    assert [Backoff(60.0).wait_seconds(n) for n in (1, 2, 1000)] == [60.0, 60.0, 60.0]
    assert Backoff(0.0, 10.0).wait_seconds(9) == 0.0


def test_chance_takes_a_part_of_a_wait_away() -> None:
    """Never more than the jitter says."""
    chances = iter([0.0, 0.5, 0.999])
    waits = Backoff(8.0, 16.0, 0.25, lambda: next(chances))
    assert waits.wait_seconds(1) == 8.0
    assert waits.wait_seconds(2) == 14.0
    assert 12.0 < waits.wait_seconds(9) < 12.01
    assert len({Backoff(8.0, None, 1.0).wait_seconds(1) for _ in range(10)}) > 1


@pytest.mark.parametrize(
    ("first", "most", "jitter", "word"),
    [
        (-1.0, None, 0.0, "first_seconds is -1"),
        (float("nan"), None, 0.0, "first_seconds is nan"),
        (2.0, 1.0, 0.0, "most_seconds is 1"),
        (1.0, None, 1.5, "jitter is 1.5"),
        (1.0, None, -0.1, "jitter is -0.1"),
    ],
)
def test_wrong_options_are_refused(first: float, most: float | None, jitter: float, word: str) -> None:
    """An option outside its range is named at construction."""
    with pytest.raises(ValueError, match=word):
        Backoff(first, most, jitter)
