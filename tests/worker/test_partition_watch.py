"""A partition in which there is something to do and which does not move is told: once, with what it waits for."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.fakes.request_path import DEAD_LETTERS, REPLIES, REQUESTS, Lab, Worker, request
from tests.fakes.servables import ManualExecutor
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.kafka.records import TopicPartition

ZERO, ONE = TopicPartition(REQUESTS, 0), TopicPartition(REQUESTS, 1)
TWO_PARTITIONS = {REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1}
DELIVERY = {"unmoved_seconds": 6.0}
STANDS = "a partition does not move: its requests are not answered, or not even read"
MOVES = "the partition moves again"


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[Mapping[str, Any]]:
    """The fields of each line of an event."""
    return [vars(record) for record in caplog.records if record.getMessage() == event]


def unmoved(worker: Worker, topic: str = REQUESTS) -> float:
    """What the metric says."""
    return worker.metric("headrace_unmoved_partition_seconds", topic=topic)


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def test_a_partition_whose_replies_stay_away_is_told_once_and_when_it_moves_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line names partition and places, the metric counts its seconds; an idle partition beside it is well."""
    lab = Lab(TWO_PARTITIONS)
    lab.set_model()
    worker = lab.worker(delivery=DELIVERY).join()
    for n in range(3):
        lab.send(request(n, id=f"{n}"), partition=0)
    worker.until_committed(3)
    lab.broker.stalled = True
    for n in range(3, 5):
        lab.send(request(n, id=f"{n}"), partition=0)

    worker.run_for(5.0)
    assert said(caplog, STANDS) == []
    assert unmoved(worker) == 0
    worker.run_for(6.0)

    (line,) = said(caplog, STANDS)
    assert (line["partition"], line["oldest_unanswered"], line["unanswered"]) == (str(ZERO), 3, 2)
    assert (line["read_to"], line["end"]) == (5, 5)
    assert "the broker's word" in line["waits_for"]
    assert line["levelname"] == "WARNING"
    assert 9 < unmoved(worker) < 12

    lab.broker.stalled = False
    worker.until_committed(5)
    worker.run_for(2.0)

    (moved,) = said(caplog, MOVES)
    assert moved["partition"] == str(ZERO)
    assert unmoved(worker) == 0


def test_a_partition_without_anything_to_do_is_well(caplog: pytest.LogCaptureFixture) -> None:
    """However long nothing comes, before the first record and after the last."""
    lab = Lab(TWO_PARTITIONS)
    lab.set_model()
    worker = lab.worker(delivery=DELIVERY).join()

    worker.run_for(20.0)
    lab.send(request(1, id="1"), partition=0)
    worker.until_committed(1)
    worker.run_for(20.0)

    assert said(caplog, STANDS) == []
    assert unmoved(worker) == 0


def test_a_partition_moves_as_long_as_requests_of_its_first_poll_are_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A slow model that answers one request after the other is no partition that stands still."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery=DELIVERY).join()
    worker.step()
    worker.consumer.pause([ZERO])
    for n in range(4):
        lab.send(request(n, id=f"{n}", model="m" if n else "absent"), partition=0)
    lab.broker.stalled = True
    worker.consumer.resume([ZERO])
    worker.run_for(5.0)
    # One of the four has its outcome: the rest of them, and the commit, still wait.
    worker.path._tracker._runs[ZERO][0].settle(1)
    worker.run_for(5.0)

    assert said(caplog, STANDS) == []
    worker.run_for(3.0)
    assert [line["unanswered"] for line in said(caplog, STANDS)] == [3]


def test_a_partition_that_waits_for_a_loading_model_names_it(caplog: pytest.LogCaptureFixture) -> None:
    """So do those whose requests wait for a reply topic."""
    loads = ManualExecutor()
    lab = Lab({**TWO_PARTITIONS, REQUESTS: 3}, load_executor=loads)
    lab.set_model("m")
    loads.run()
    lab.set_model("large")
    bindings = [{"request_topics": [REQUESTS], "reply_topic": REPLIES, "allowed_reply_topics": ["elsewhere"]}]
    worker = lab.worker(
        delivery=DELIVERY, holding={"loading_seconds": 600, "topic_seconds": 600}, bindings=bindings
    ).join()
    lab.send(request(1, id="1", model="large"), partition=0)
    lab.send(request(2, id="2", model="m"), partition=1, headers=[("reply_to", b"elsewhere")])

    worker.run_for(8.0)

    waits = {line["partition"]: line["waits_for"] for line in said(caplog, STANDS)}
    assert waits == {
        str(ZERO): "model 'large', which is loading",
        str(ONE): "a reply topic that does not exist (yet)",
    }


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets go of a model that hangs, at the latest when the test ends."""
    event = threading.Event()
    yield event
    event.set()


def test_a_partition_that_waits_for_a_model_that_hangs_names_it(
    caplog: pytest.LogCaptureFixture, release: threading.Event
) -> None:
    """So does one from which nothing is read, because the binding's budget is used up by then."""
    lab = Lab(TWO_PARTITIONS)
    lab.set_model()
    servable = lab.servable()
    run = servable.run
    entered = threading.Event()

    def hang(*arguments: Any) -> Any:
        entered.set()
        release.wait(PATIENCE_SECONDS)
        return run(*arguments)

    servable.run = hang  # type: ignore[method-assign, assignment]  # until the test lets go of it
    worker = lab.worker(
        batching={"threads": 1}, delivery={**DELIVERY, "budget_rows": 2, "model_share": 1.0}
    ).join()
    try:
        lab.send(request(1, 2, id="0"), partition=0)
        worker.step(3)
        wait_until(entered.is_set, "the model has it")
        worker.until(lambda: worker.consumer.paused == {ZERO, ONE}, "the budget is used up")
        lab.send(request(1, id="1"), partition=1)
        worker.run_for(8.0)

        waits = {line["partition"]: line["waits_for"] for line in said(caplog, STANDS)}
        assert waits[str(ZERO)].startswith("model 'm', which has been with one batch for")
        assert waits[str(ONE)].startswith(
            "room in the budget of binding 'default', which is used up: model 'm', which has been with one batch"
        )

        release.set()

        def answered() -> bool:
            worker.step()
            return lab.committed(1) == 1

        wait_until(answered, "all is answered")
    finally:
        worker.close()


def test_records_that_do_not_come_are_missed(caplog: pytest.LogCaptureFixture) -> None:
    """The end is ahead and nothing is read, as behind a transaction that its producer left open."""
    lab = Lab(TWO_PARTITIONS)
    lab.set_model()
    worker = lab.worker(delivery=DELIVERY).join()
    worker.step()
    worker.consumer.pause([ONE])  # behind the worker's back
    worker.run_for(10.0)
    lab.send(request(1, id="1"), partition=1)

    worker.run_for(5.0)
    assert said(caplog, STANDS) == []
    worker.run_for(2.5)

    (line,) = said(caplog, STANDS)
    assert (line["partition"], line["unanswered"], line["end"]) == (str(ONE), 0, 1)
    assert "a transaction that a producer left open" in line["waits_for"]


def test_what_is_told_elsewhere_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """A partition that stopped because its offset has expired has its own line, metric and reason."""
    lab = Lab()
    lab.set_model()
    for n in range(5):
        lab.send(request(n, id=f"{n}"))
    lab.broker.keep_commit("headrace", {ZERO: 1})
    lab.broker.delete_records(ZERO, 3)
    worker = lab.worker(delivery=DELIVERY).join()

    worker.run_for(20.0)

    assert worker.metric("headrace_stopped_partitions") == 1
    assert said(caplog, STANDS) == []
    assert unmoved(worker) == 0


def test_a_partition_that_goes_takes_its_seconds_along(caplog: pytest.LogCaptureFixture) -> None:
    """What is another worker's does not count here any more."""
    lab = Lab(TWO_PARTITIONS, load_executor=ManualExecutor())
    lab.set_model()
    worker = lab.worker(
        delivery={**DELIVERY, "revoke_drain_seconds": 1}, holding={"loading_seconds": 600}
    ).join()
    worker.step()
    going = ONE
    lab.send(request(1, id="1"), partition=going.partition)
    worker.run_for(8.0)
    assert unmoved(worker) > 0
    second = lab.worker().join()
    for _ in range(3):
        second.step()
        worker.step()
    assert second.consumer.assignment() == {going}

    worker.run_for(2.0)

    assert len(said(caplog, STANDS)) == 1
    assert unmoved(worker) == 0
