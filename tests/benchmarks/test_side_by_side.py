"""What is asked of headrace beside its peers."""

from benchmarks import baseline, comparison, side_by_side
from benchmarks.side_by_side import Bounds, targets

OWN = {comparison.COST_BY_FIRST: 1.5, comparison.COST_BY_SECOND: 0.25, comparison.RATE_BY_SECOND: 5.0}
LINES = {side_by_side.HEADRACE: OWN, baseline.HAND_LOOP: {comparison.COST_BY_FIRST: 9.5}}


def test_headrace_is_held_against_both_peers_and_the_hand_loop_against_echo() -> None:
    """A hand loop that is slow for its own reasons is no peer, and is told so."""
    asked = {target.text: target.met for target in targets(LINES, Bounds())}

    assert asked == {
        "CPU a record by echo's": True,
        "CPU a record by the hand loop's": False,
        "the hand loop's CPU a record by echo's": False,
        "records/s by the hand loop's": True,
    }


def test_where_no_rate_is_asked_for_none_is_looked_at() -> None:
    """With headers only costs are."""
    asked = [t.text for t in targets(LINES, Bounds(rate_by_hand_loop=None))]

    assert len(asked) == 3
    assert "records/s by the hand loop's" not in asked


def test_a_full_run_measures_more_than_two_million_records() -> None:
    """Of echo and headrace in each run, of the hand loop in five rounds together; the first tenth does not count."""
    counted = {name: 0.9 * records for name, records in side_by_side.RECORDS.items()}

    assert counted[baseline.ECHO] > 2_000_000
    assert counted[side_by_side.HEADRACE] > 2_000_000
    assert 5 * counted[baseline.HAND_LOOP] > 2_000_000
