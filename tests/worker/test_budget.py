"""The budget: what was read and not committed, shared between bindings and models; and when to pause."""

import pytest

from worker import backpressure
from worker.budget import Budget, Limits
from worker.kafka.records import TopicPartition
from worker.offset_tracker import Run

P0 = TopicPartition("a", 0)
P1 = TopicPartition("b", 0)


def budget(**shares: float) -> Budget:
    """A budget of 100 rows and 1,000 bytes, half of a binding's for one model."""
    return Budget(Limits(rows=100, size_bytes=1000, model_share=0.5), shares or {"a": 1.0})


def test_runs_are_held_until_they_are_given_back() -> None:
    """What a commit has covered is free again."""
    held = budget()
    run = Run(P0, 10, 10, 20, 300)
    held.take_run("a", run)

    assert held.fullness("a") == pytest.approx(0.3)

    held.give_back_runs("a", [run])

    assert held.fullness("a") == 0


def test_rows_or_bytes_whichever_is_fuller_counts() -> None:
    """Few large records fill the budget as well as many small ones."""
    held = budget()
    held.take_run("a", Run(P0, 1, 1, 1, 900))

    assert held.fullness("a") == pytest.approx(0.9)


def test_a_model_fills_its_binding_at_its_share() -> None:
    """One model's unanswered requests fill the budget when they reach the model's share of it."""
    held = budget()
    held.take_model("a", "slow", 50, 0)

    assert held.fullness("a") == pytest.approx(1.0)

    held.give_back_model("a", "slow", 50, 0)

    assert held.fullness("a") == 0
    assert held.models == {}


def test_bindings_do_not_fill_each_other() -> None:
    """A full binding leaves another's room alone."""
    held = budget(a=0.5, b=0.5)
    held.take_run("a", Run(P0, 50, 50, 50, 0))

    assert held.fullness("a") == pytest.approx(1.0)
    assert held.fullness("b") == 0
    assert held.room_records(["b"]) == 50


def test_a_poll_never_asks_for_less_than_one() -> None:
    """A budget that is overdrawn still leaves a poll of one, because a poll of none would leave the group."""
    held = budget()
    held.take_run("a", Run(P0, 500, 500, 500, 0))

    assert held.room_records(["a"]) == 1


def test_a_poll_of_large_records_takes_a_small_part_of_the_bytes() -> None:
    """Rows alone would let one poll of images take more than all the bytes that there are."""
    held = Budget(Limits(rows=65_536, size_bytes=1600, model_share=1.0), {"a": 1.0})

    assert held.room_records(["a"]) == 65_536  # nothing has been seen yet

    held.take_run("a", Run(P0, 4, 4, 4, 40))

    assert held.room_records(["a"]) == 1600 // 16 // 10


def test_what_is_left_of_the_bytes_bounds_a_poll() -> None:
    """Close to the end of the budget a poll is no larger than the rest."""
    held = Budget(Limits(rows=65_536, size_bytes=1600, model_share=1.0), {"a": 1.0})
    run = Run(P0, 155, 155, 155, 1550)
    held.take_run("a", run)

    assert held.room_records(["a"]) == 5

    held.give_back_runs("a", [run])

    assert held.room_records(["a"]) == 10


def test_larger_records_are_believed_at_once_and_smaller_ones_in_time() -> None:
    """One small record among images does not open the door to a poll of thousands."""
    held = Budget(Limits(rows=65_536, size_bytes=1_600_000, model_share=1.0), {"a": 1.0})
    held.take_run("a", Run(P0, 10, 10, 10, 10))
    held.take_run("a", Run(P0, 11, 1, 1, 10_000))

    assert held.room_records(["a"]) == 10

    held.take_run("a", Run(P0, 12, 1, 1, 1))

    assert held.room_records(["a"]) < 20

    for _ in range(200):
        held.take_run("a", Run(P0, 13, 1, 1, 1))

    assert held.room_records(["a"]) > 10_000


def test_unanswered_requests_of_all_models_count_together() -> None:
    """By rows or by bytes, whichever is more of the binding's part, until they are answered."""
    held = budget(a=0.5, b=0.5)
    held.take_model("a", "m", 10, 0)
    held.take_model("a", "n", 5, 400)

    assert (held.unanswered("a"), held.unanswered("b")) == (0.8, 0.0)

    held.give_back_model("a", "n", 5, 400)

    assert held.unanswered("a") == 0.2


def test_a_poll_fits_the_rows_of_late() -> None:
    """Records of many rows are polled in smaller numbers, so that the budget is not overshot by a poll of them."""
    held = Budget(Limits(rows=1000, size_bytes=10**9, model_share=1.0), {"a": 1.0})
    held.take_run("a", Run(P0, 10, 10, 400, 10))

    assert held.room_records(["a"]) == 15

    for _ in range(200):
        run = Run(P0, 11, 1, 1, 1)
        held.take_run("a", run)
        held.give_back_runs("a", [run])

    assert held.room_records(["a"]) == pytest.approx(600, abs=1)


def test_the_binding_with_the_largest_records_bounds_a_poll() -> None:
    """Nobody knows whose records a poll brings, so it has to be small enough for each."""
    held = Budget(Limits(rows=1000, size_bytes=16_000, model_share=1.0), {"a": 0.5, "b": 0.5})
    held.take_run("a", Run(P0, 1, 1, 1, 100))
    held.take_run("b", Run(P1, 1, 1, 1, 1))

    assert held.room_records(["a", "b"]) == 5
    assert held.room_records(["b"]) == 499


def to_pause(held: Budget, paused: frozenset[str]) -> frozenset[str]:
    """The bindings to pause, given those that are."""
    fullness = {name: held.fullness(name) for name in held.bindings}
    return backpressure.bindings_to_pause(fullness, held.limits.low_watermark, paused)


def test_pauses_at_full_and_resumes_well_below() -> None:
    """Two watermarks: a pause throws prefetched records away, so it must not flutter."""
    held = budget()
    run = Run(P0, 100, 100, 100, 0)
    held.take_run("a", run)

    assert to_pause(held, frozenset()) == {"a"}

    held.give_back_runs("a", [Run(P0, 0, 40, 40, 0)])

    assert to_pause(held, frozenset({"a"})) == {"a"}
    assert to_pause(held, frozenset()) == set()

    held.give_back_runs("a", [Run(P0, 0, 20, 20, 0)])

    assert to_pause(held, frozenset({"a"})) == set()


def test_only_the_paused_bindings_partitions_stand_still() -> None:
    """Partitions of one binding pause; those of others, and those already paused, are left alone."""
    change = backpressure.change(
        [P0, P1],
        {"a": "first", "b": "second"},
        paused_bindings={"first"},
        stopped=set(),
        paused=set(),
    )

    assert change == backpressure.Change((P0,), ())


def test_a_stopped_partition_is_not_resumed() -> None:
    """What an operator must see to stays still when its binding goes on."""
    change = backpressure.change(
        [P0, P1],
        {"a": "first", "b": "first"},
        paused_bindings=set(),
        stopped={P0},
        paused={P0, P1},
    )

    assert change == backpressure.Change((), (P1,))
