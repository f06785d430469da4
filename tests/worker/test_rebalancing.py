"""What a worker does with partitions that the group takes away."""

from typing import Any

from tests.fakes.request_path import DEAD_LETTERS, GROUP, REPLIES, REQUESTS, Lab, Worker, request
from tests.fakes.servables import ManualExecutor
from worker.kafka.records import TopicPartition

ZERO, ONE = TopicPartition(REQUESTS, 0), TopicPartition(REQUESTS, 1)
PLAN = {REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1}


def held_rows(worker: Worker) -> int:
    """Rows read and not committed."""
    return worker.budget.bindings["default"].rows


def left(worker: Worker) -> float:
    """Requests that were left to another worker."""
    return worker.metrics.registry.get_sample_value("headrace_requests_left_total", {"topic": REQUESTS}) or 0


def reading(lab: Lab, **settings: Any) -> Worker:
    """A worker that holds both partitions."""
    lab.set_model()
    worker = lab.worker(**settings).join()
    worker.until(lambda: len(worker.consumer.assignment()) == 2)
    return worker


def test_a_revocation_answers_and_commits_what_was_read() -> None:
    """The next owner begins behind it: nothing of it is repeated, and the other partition stays."""
    lab = Lab(PLAN)
    worker = reading(lab)
    for n in range(10):
        lab.send(request(n, id=f"{n}"), partition=0)
    lab.broker.stalled = True
    worker.step()
    lab.broker.stalled = False
    lab.broker.move(GROUP, ZERO, None)

    worker.step()

    assert lab.codes() == {f"{n}": 0 for n in range(10)}
    assert lab.committed(0) == 10
    assert worker.consumer.assignment() == {ONE}
    assert held_rows(worker) == 0


def test_a_revocation_waits_no_longer_than_it_may() -> None:
    """What cannot be acknowledged in that time is left to the next owner, uncommitted."""
    lab = Lab(PLAN)
    worker = reading(lab, delivery={"revoke_drain_seconds": 5})
    lab.send(request(1, id="r"), partition=0)
    lab.broker.stalled = True
    worker.step()
    began = lab.clock()
    lab.broker.move(GROUP, ZERO, None)

    worker.step()

    assert 5.0 <= lab.clock() - began < 6.0
    assert lab.committed(0) == 0
    assert held_rows(worker) == 0


def test_a_revocation_during_the_end_does_not_make_it_longer() -> None:
    """A worker that ends has its own time; a rebalance in the middle of it adds none."""
    lab = Lab(PLAN)
    worker = reading(lab, delivery={"revoke_drain_seconds": 20})
    lab.send(request(1, id="r"), partition=0)
    lab.broker.stalled = True
    worker.step()
    lab.broker.move(GROUP, ZERO, None)
    began = lab.clock()

    worker.finish(within_seconds=5.0)

    assert lab.clock() - began < 6.0
    assert lab.committed(0) == 0


def test_what_another_owner_takes_over_is_answered_once() -> None:
    """Two workers, one partition moved while requests flow: every request has one reply."""
    lab = Lab(PLAN)
    first = reading(lab, delivery={"poll_records": 3})
    for n in range(40):
        lab.send(request(n, id=f"{n}"), partition=n % 2)
    first.step(3)
    second = lab.worker(delivery={"poll_records": 3}).join()
    for _ in range(200):
        first.step()
        second.step()

    assert lab.codes() == {f"{n}": 0 for n in range(40)}
    assert (lab.committed(0), lab.committed(1)) == (20, 20)
    assert {len(w.consumer.assignment()) for w in (first, second)} == {1}


def test_a_lost_partition_is_never_committed() -> None:
    """It is another's already: nothing is committed for it, not even what was answered before."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery={"commit_interval_seconds": 1.0}).join()
    worker.run_for(3.0)
    heir = lab.worker().join()  # has not polled yet
    lab.send(request(1, id="r"))
    worker.step(2)
    assert lab.codes() == {"r": 0}
    commits = len(lab.broker.commits)
    lab.broker.evict(worker.consumer)

    worker.run_for(5.0)

    assert worker.consumer.assignment() == frozenset()
    assert len(lab.broker.commits) == commits
    assert held_rows(worker) == 0
    heir.until_committed(1)
    assert len(lab.replies()) == 2  # at least once


def test_requests_of_a_lost_partition_are_left_to_its_heir() -> None:
    """No model is asked for them any more, and nothing is committed."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model()
    worker = lab.worker(holding={"loading_seconds": 100}).join()
    worker.step()
    lab.worker().join()  # the heir, which never polls
    for n in range(5):
        lab.send(request(n, id=f"{n}"))
    worker.step()
    lab.broker.evict(worker.consumer)
    worker.step()
    assert worker.consumer.assignment() == frozenset()

    loads.run()
    worker.run_for(5.0)

    assert lab.replies() == []
    assert lab.committed() == 0
    assert left(worker) == 5
    lab.broker.move(GROUP, ZERO, worker.consumer)
    worker.until_committed(5)
    assert lab.codes() == {f"{n}": 0 for n in range(5)}


def test_a_batch_is_run_without_what_was_revoked_meanwhile() -> None:
    """Requests that wait beside those of another partition go alone; their neighbours are the next owner's."""
    lab = Lab(PLAN)
    worker = reading(
        lab, batching={"batch_timeout_seconds": 60}, delivery={"revoke_drain_seconds": 1, "poll_records": 3}
    )
    for n in range(10):
        lab.send(request(n, id=f"{n}"), partition=n % 2)
    worker.step(10)
    lab.broker.move(GROUP, ZERO, None)
    worker.run_for(70.0)

    assert lab.codes() == {f"{n}": 0 for n in range(10) if n % 2}
    assert [rows for _, rows in lab.servable().runs] == [5]
    assert left(worker) == 5
    assert held_rows(worker) == 0
    assert (lab.committed(0), lab.committed(1)) == (0, 5)


def test_late_results_of_a_lost_partition_are_not_committed() -> None:
    """What was with the model then is answered all the same; it counts for nothing."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    worker.step()
    lab.worker().join()  # the heir, which never polls
    for n in range(5):
        lab.send(request(n, id=f"{n}"))
    lab.broker.stalled = True
    worker.step()
    lab.broker.evict(worker.consumer)
    worker.step()
    lab.broker.stalled = False
    worker.run_for(5.0)

    assert len(lab.replies()) == 5
    assert lab.committed() == 0
    assert left(worker) == 0
    lab.broker.move(GROUP, ZERO, worker.consumer)
    worker.until_committed(5)
    assert len(lab.replies()) == 10  # read again, as promised: at least once


def test_a_partition_that_comes_while_the_binding_is_paused_is_paused_too() -> None:
    """A rebalance is no way round the budget."""
    lab = Lab(PLAN)
    worker = reading(lab, delivery={"budget_rows": 4, "model_share": 1.0})
    lab.broker.move(GROUP, ONE, None)
    worker.step()
    lab.broker.stalled = True
    for n in range(20):
        lab.send(request(n, id=f"{n}"))
    worker.step(3)
    assert worker.consumer.paused == {ZERO}

    lab.broker.move(GROUP, ONE, worker.consumer)
    worker.step(2)

    assert worker.consumer.paused == {ZERO, ONE}
    lab.broker.stalled = False
    worker.until_committed(10, 0)
    worker.until_committed(10, 1)
