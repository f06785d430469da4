"""The promise of the charter's example."""

import doctest

import batching


def test_the_example_in_the_charter_runs() -> None:
    """What the charter shows is what happens, with nothing but this package and numpy."""
    assert doctest.testmod(batching) == doctest.TestResults(failed=0, attempted=8)
