"""The framework alone: what is measured answers its requests, and the figures follow from the runs."""

from benchmarks import idle_path
from benchmarks.idle_path import IdlePath
from benchmarks.scenarios.framework import CASES, FLOORS, Cost, summary
from schemas import codec
from schemas.predict_reply import PredictReply


def test_every_request_is_answered_under_its_id() -> None:
    """What costs nothing here still comes out as a reply: nothing of the way is left out."""
    wanted = idle_path.layouts(models=2, signatures=2)
    path = IdlePath(wanted, [idle_path.requests(wanted, 40)])
    for _ in range(3):
        path.step()
    replies = [codec.decode(value or b"", PredictReply) for value in path.latest(40)]
    path.close()

    assert path.replies == 3 * 40
    assert {reply.id for reply in replies} == {f"{n:012d}" for n in range(40)}
    assert all(reply.error is None and reply.outputs[0].shape == (1, 10) for reply in replies)


def test_what_reading_messages_costs_is_subtracted() -> None:
    """Kafka's part is measured beside and taken off each run, before the median."""
    found = summary([Cost(0.6, 0.1), Cost(0.9, 0.5), Cost(0.7, 0.1)])

    assert round(found["net_us"], 9) == 0.5
    assert round(found["records_per_second"]) == 2_000_000
    assert round(found["spread"], 9) == 0.4


def test_what_is_asked_for_is_measured() -> None:
    """Every floor belongs to a case that runs."""
    assert set(FLOORS) <= set(CASES)
