"""Back-pressure, and partitions that stand still until somebody acts."""

import pytest

from tests.fakes.request_path import DEAD_LETTERS, GROUP, REPLIES, REQUESTS, Lab, Worker, request
from tests.fakes.servables import ManualExecutor
from worker.kafka.records import TopicPartition

ZERO, ONE = TopicPartition(REQUESTS, 0), TopicPartition(REQUESTS, 1)
TWO_PARTITIONS = {REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1}


def held_rows(worker: Worker) -> int:
    """Rows read and not committed."""
    return worker.budget.bindings["default"].rows


def test_a_full_budget_pauses_reading_and_polling_goes_on() -> None:
    """No more than the budget is read while replies do not get out; the member stays alive by polling."""
    lab = Lab(TWO_PARTITIONS)
    lab.set_model()
    worker = lab.worker(delivery={"budget_rows": 10, "model_share": 1.0}).join()
    for n in range(100):
        lab.send(request(n, id=f"{n}"))
    lab.broker.stalled = True

    worker.run_for(20.0)

    assert held_rows(worker) == 10
    assert worker.consumer.paused == {ZERO, ONE}
    assert lab.clock() - worker.path.reading.loop.last_step < 1.0
    lab.broker.stalled = False
    worker.until_committed(50, 0)
    worker.until_committed(50, 1)
    assert lab.codes() == {f"{n}": 0 for n in range(100)}


def test_a_budget_of_bytes_pauses_too() -> None:
    """Large records fill the budget by their bytes, long before their rows do."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(
        delivery={"budget_bytes": 1_048_576, "model_share": 1.0, "poll_records": 1},
        limits={"record_bytes": 1_048_576},
    ).join()
    for n in range(40):
        lab.send(request(n, id=f"{n}"), key=b"k" * 100_000)
    lab.broker.stalled = True

    worker.run_for(10.0)

    assert held_rows(worker) == 11
    assert worker.consumer.paused == {ZERO}


def test_reading_goes_on_once_the_budget_is_well_below() -> None:
    """Two watermarks: a pause throws away what was fetched ahead, so it does not end at the first free row."""
    loads = ManualExecutor()
    lab = Lab(TWO_PARTITIONS, load_executor=loads)
    lab.set_model()
    loads.run()
    lab.set_model("slow")
    worker = lab.worker(
        delivery={"budget_rows": 10, "model_share": 1.0}, holding={"loading_seconds": 1000}
    ).join()
    for n in range(6):
        lab.send(request(n, id=f"slow{n}", model="slow"), partition=1)
    worker.run_for(1.0)
    lab.broker.stalled = True
    for n in range(8):
        lab.send(request(n, id=f"{n}"), partition=0)
    worker.run_for(1.0)
    assert held_rows(worker) == 10
    lab.broker.stalled = False

    worker.run_for(5.0)
    assert lab.committed(0) == 4
    assert held_rows(worker) == 6
    assert worker.consumer.paused == {ZERO, ONE}

    loads.run()
    worker.until_committed(8, 0)
    assert worker.consumer.paused == frozenset()


def test_one_model_holds_no_more_than_its_share() -> None:
    """A model that cannot answer pauses its binding at its share; what is left stays free for the others."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model()
    loads.run()
    lab.set_model("slow")
    worker = lab.worker(
        delivery={"budget_rows": 20, "model_share": 0.5, "poll_records": 1},
        holding={"loading_seconds": 30},
    ).join()
    for n in range(40):
        lab.send(request(n, id=f"slow{n}", model="slow"))
    lab.send(request(1, id="other"))

    worker.run_for(20.0)
    assert held_rows(worker) == 10
    assert worker.consumer.paused == {ZERO}

    loads.run()
    worker.until_committed(41)
    assert set(lab.codes().values()) == {0}


def expired(on_offset_out_of_range: str) -> tuple[Lab, Worker]:
    """A worker whose next offset has expired, three records of ten being left."""
    lab = Lab()
    lab.set_model()
    for n in range(10):
        lab.send(request(n, id=f"{n}"))
    lab.broker.keep_commit(GROUP, {ZERO: 2})
    lab.broker.delete_records(ZERO, before=7)
    worker = lab.worker(delivery={"on_offset_out_of_range": on_offset_out_of_range}).join()
    return lab, worker


def test_an_offset_out_of_range_stops_the_partition() -> None:
    """By default nothing is skipped silently: the partition stands still, is counted, and says why."""
    lab, worker = expired("stop")

    worker.run_for(5.0)

    assert lab.replies() == []
    assert lab.committed() == 2
    assert worker.path.reading.stopped == {ZERO: "offset 2 no longer exists"}
    assert worker.consumer.paused == {ZERO}
    assert worker.metric("headrace_offsets_out_of_range_total", topic=REQUESTS) == 1


def test_an_offset_out_of_range_goes_on_at_the_earliest() -> None:
    """When told so, with what is left."""
    lab, worker = expired("earliest")

    worker.until_committed(10)

    assert set(lab.codes()) == {"7", "8", "9"}
    assert worker.path.reading.stopped == {}


def test_an_offset_out_of_range_goes_on_at_the_latest() -> None:
    """When told so, with what comes from now on."""
    lab, worker = expired("latest")
    worker.step(3)
    lab.send(request(1, id="new"))

    worker.until_committed(11)

    assert set(lab.codes()) == {"new"}


@pytest.mark.parametrize("rows", [0, 1, 64])
def test_the_budget_is_given_back_to_the_last_row(rows: int) -> None:
    """After everything is committed, nothing is held, whatever the outcomes were."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": 32}).join()
    for n in range(20):
        lab.send(request(*[float(n)] * rows, id=f"{n}"))
        lab.send(request(1, id=f"u{n}", model="nobody"))
        lab.send(b"garbage", b"key")

    worker.until_committed(60)
    worker.step()

    budget = worker.budget
    assert budget.models == {}
    assert {(use.rows, use.size_bytes) for use in budget.bindings.values()} == {(0, 0)}
