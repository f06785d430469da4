"""The table beside a peer."""

from benchmarks import comparison
from benchmarks.measuring import Summary
from benchmarks.scenarios import peers


def test_ratios_are_to_the_peer() -> None:
    """The first contender is what the others are divided by."""
    first = Summary("MLServer", 1_000.0, 800.0, 0.1, ())
    second = Summary("headrace", 250_000.0, 4.0, 0.1, ())

    one, two = peers.lines([first, second])

    assert (one.values[peers.RATE_BY_PEER], one.values[peers.COST_BY_PEER]) == (1.0, 1.0)
    assert (two.values[peers.RATE_BY_PEER], two.values[peers.COST_BY_PEER]) == (250.0, 0.005)
    assert two.values[comparison.RATE] == 250_000.0
