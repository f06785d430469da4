"""The broker's clock, guessed."""

from worker.broker_time import BrokerTime


def test_without_a_record_the_own_clock_is_taken() -> None:
    """There is nothing better."""
    assert BrokerTime().at(1000.0) == 1000.0


def test_old_records_say_nothing_about_a_clock_that_is_ahead() -> None:
    """They were stamped long ago."""
    time = BrokerTime()
    time.saw(500.0, 1000.0, fresh=False)

    assert time.at(2000.0) == 2000.0


def test_a_record_from_the_future_moves_the_clock_forward() -> None:
    """The own clock is behind by at least that much."""
    time = BrokerTime()
    time.saw(61_000.0, 1000.0, fresh=False)

    assert time.at(2000.0) == 62_000.0


def test_a_fresh_record_tells_the_difference() -> None:
    """The quickest one tells it best."""
    time = BrokerTime()
    time.saw(100.0, 60_100.0, fresh=True)
    time.saw(200.0, 60_300.0, fresh=True)

    assert time.at(61_000.0) == 1000.0


def test_a_fresh_record_tells_it_also_of_a_clock_that_is_behind() -> None:
    """The difference has a sign."""
    time = BrokerTime()
    time.saw(60_100.0, 100.0, fresh=True)

    assert time.at(1000.0) == 61_000.0
