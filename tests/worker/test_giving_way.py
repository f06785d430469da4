"""A batch thread that comes out of a model gives way to one that is still in it."""

from worker.giving_way import GivingWay, pause


class Pauses:
    """Counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        """One more."""
        self.count += 1


def test_a_thread_alone_goes_on_at_once() -> None:
    """There is nobody to give way to."""
    pauses = Pauses()
    giving_way = GivingWay(0.005, pauses)

    giving_way.enter()
    giving_way.leave(1.0)

    assert pauses.count == 0


def test_the_first_to_come_out_gives_way_and_the_last_does_not() -> None:
    """The one that is still in the model may need the interpreter to go on."""
    pauses = Pauses()
    giving_way = GivingWay(0.005, pauses)
    giving_way.enter()
    giving_way.enter()

    giving_way.leave(0.010)
    assert pauses.count == 1

    giving_way.leave(0.010)
    assert pauses.count == 1


def test_quick_models_are_not_paused_for() -> None:
    """Theirs is no device that would wait."""
    pauses = Pauses()
    giving_way = GivingWay(0.005, pauses)
    giving_way.enter()
    giving_way.enter()

    giving_way.leave(0.0049)

    assert pauses.count == 0


def test_a_pause_comes_to_an_end() -> None:
    """By itself."""
    pause()
