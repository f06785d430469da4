"""`delivery.reply_order`: replies as soon as they are there, or in the order of their requests."""

from typing import Any

import pytest

from schemas.model_config import BatchingOptions
from tests.fakes.lab_servable import POISON
from tests.fakes.request_path import DEAD_LETTERS, GROUP, REPLIES, REQUESTS, Lab, Worker, request
from worker.kafka.records import TopicPartition

PATIENT, PROMPT = "patient", "prompt"
PATIENT_SECONDS = 30.0


def serving(order: str = "partition", partitions: int = 1, **settings: Any) -> tuple[Lab, Worker]:
    """A worker with two models: batches of the one wait half a minute for company, those of the other do not."""
    lab = Lab({REQUESTS: partitions, REPLIES: 1, DEAD_LETTERS: 1})
    lab.set_model(PROMPT)
    lab.set_model(
        PATIENT,
        batching=BatchingOptions(batch_timeout_seconds=PATIENT_SECONDS, max_batch_rows=1000),
    )
    delivery = {"reply_order": order, **settings.pop("delivery", {})}
    return lab, lab.worker(delivery=delivery, **settings).join()


def send_in_turn(lab: Lab, count: int, partitions: int = 1) -> None:
    """Requests for both models in turn."""
    for n in range(count):
        model = (PATIENT, PROMPT)[n // partitions % 2]
        lab.send(request(n, model=model, id=f"{n}"), partition=n % partitions)


def answered(lab: Lab) -> list[int]:
    """The ids of the replies, in order."""
    return [int(reply.id) for reply in lab.replies()]


def left(worker: Worker) -> float:
    """Requests that were left to another worker."""
    return worker.metrics.registry.get_sample_value("headrace_requests_left_total", {"topic": REQUESTS}) or 0


@pytest.mark.parametrize("poll_records", [1, 3, 100])
def test_replies_keep_the_order_of_their_requests(poll_records: int) -> None:
    """Whatever batches they were in, and whatever polls."""
    lab, worker = serving(delivery={"poll_records": poll_records})
    send_in_turn(lab, 20)
    worker.run_for(PATIENT_SECONDS - 1)
    assert lab.replies() == []

    worker.until_committed(20)

    assert answered(lab) == list(range(20))
    assert set(lab.codes().values()) == {0}
    worker.step()
    waited = worker.metrics.registry.get_sample_value(
        "headrace_request_latency_seconds_sum", {"model": PROMPT, "version": "1"}
    )
    assert waited is not None
    assert waited >= 10 * (PATIENT_SECONDS - 1)  # for its turn, too


def test_without_it_a_reply_waits_for_nobody() -> None:
    """The default: what is there goes."""
    lab, worker = serving("any")
    send_in_turn(lab, 20)
    worker.run_for(PATIENT_SECONDS - 1)

    assert answered(lab) == list(range(1, 20, 2))


def test_each_partition_has_an_order_of_its_own() -> None:
    """A slow request holds up its own partition."""
    lab, worker = serving(partitions=2)
    lab.send(request(0, model=PATIENT, id="0"), partition=0)
    for n in range(1, 9):
        lab.send(request(n, model=PROMPT, id=f"{n}"), partition=n % 2)
    worker.run_for(1.0)
    assert answered(lab) == [1, 3, 5, 7]

    worker.until_committed(5)

    assert answered(lab)[4:] == [0, 2, 4, 6, 8]


def test_errors_and_dead_letters_have_their_turn_too() -> None:
    """A refusal waits like a reply; what cannot be read holds nobody up."""
    lab, worker = serving()
    lab.send(request(0, model=PATIENT, id="0"))
    lab.send(request(1, model="unknown", id="1"))
    lab.send(b"no request")
    lab.send(request(POISON, model=PROMPT, id="3"))
    lab.send(request(4, model=PROMPT, id="4"), headers=[("headrace-timeout-ms", b"soon")])
    lab.send(request(5, model=PROMPT, id="5"))

    worker.until_committed(6)

    assert answered(lab) == [0, 1, 3, 4, 5]
    assert [lab.codes()[f"{n}"] for n in (0, 1, 3, 4, 5)] == [0, 5, 13, 3, 0]
    assert len(lab.dead_letters()) == 1


def test_a_partition_that_stops_leaves_what_waits_and_no_other_waits_with_it() -> None:
    """What waits for its turn there is answered after the next start; nothing holds budget for it."""
    lab, worker = serving(partitions=2)
    lab.broker.configs[DEAD_LETTERS]["max.message.bytes"] = "500"
    lab.send(request(0, model=PATIENT, id="0"), partition=0)
    lab.send(b"g" * 600, partition=0)
    lab.send(request(1, model=PROMPT, id="1"), partition=0)
    lab.send(request(2, model=PROMPT, id="2"), partition=1)
    worker.run_for(PATIENT_SECONDS + 5)

    assert answered(lab) == [2]
    assert (lab.committed(0), lab.committed(1)) == (0, 1)
    assert list(worker.path.reading.stopped) == [TopicPartition(REQUESTS, 0)]
    assert worker.budget.bindings["default"].rows == 0
    assert worker.budget.models == {}
    assert left(worker) == 2


def test_replies_keep_their_keys_and_headers() -> None:
    """Each its own, though they are sent together."""
    lab, worker = serving()
    for n in range(4):
        headers = [("correlation_id", f"c{n}".encode())] if n % 2 else None
        lab.send(request(n, model=PROMPT, id=f"{n}"), key=f"k{n}".encode(), headers=headers)

    worker.until_committed(4)

    found = [(record.key(), list(record.headers() or ())) for record in lab.broker.records(REPLIES)]
    assert found == [
        (b"k0", []),
        (b"k1", [("correlation_id", b"c1")]),
        (b"k2", []),
        (b"k3", [("correlation_id", b"c3")]),
    ]


def test_a_full_producer_keeps_the_order() -> None:
    """What there is no room for is sent later, and nothing overtakes it."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(producer_limits={"queue_records": 3}, delivery={"reply_order": "partition"}).join()
    lab.broker.stalled = True
    for wave in range(3):
        for n in range(5):
            lab.send(request(n, id=f"{5 * wave + n}"))
        worker.step(3)
    lab.broker.stalled = False

    worker.until_committed(15)

    assert answered(lab) == list(range(15))


def test_what_waits_for_its_turn_is_left_when_its_partition_goes() -> None:
    """Its heir answers it; nothing of the budget stays behind."""
    lab, worker = serving(delivery={"revoke_drain_seconds": 1})
    send_in_turn(lab, 10)
    worker.run_for(5.0)
    lab.broker.move(GROUP, TopicPartition(REQUESTS, 0), None)
    worker.run_for(PATIENT_SECONDS)

    assert lab.replies() == []
    assert left(worker) == 10
    budget = worker.budget
    assert budget.bindings["default"].rows == 0
    assert dict(budget.models) == {}

    lab.broker.move(GROUP, TopicPartition(REQUESTS, 0), worker.consumer)
    worker.until_committed(10)

    assert answered(lab) == list(range(10))
