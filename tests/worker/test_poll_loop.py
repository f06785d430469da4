"""How long the loop waits in a poll."""

from tests.fakes.request_path import REQUESTS, Lab, Worker, request
from tests.fakes.servables import ManualExecutor
from worker import poll_loop


def test_a_loop_that_is_held_back_looks_often_for_room() -> None:
    """While a full budget keeps partitions paused, no record ends a poll early: it must not be a long one."""
    lab = Lab(load_executor=ManualExecutor())
    lab.set_model()
    worker = lab.worker(delivery={"budget_rows": 4}, batching={"threads": 1}).join()
    for n in range(8):
        lab.send(request(n, id=f"{n}"))
    worker.until(lambda: worker.group.flow.holds_back, "paused for a model that is loading")

    before = lab.clock()
    worker.step(10)
    worker.close()

    assert 0 < lab.clock() - before <= 10 * poll_loop.PAUSED_SECONDS


def test_only_an_idle_loop_tidies_up() -> None:
    """What is put off until nobody waits is not done while a reply is on its way."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.broker.stalled = True
    lab.send(request(1, id="r"))
    worker.run_for(1.0)
    assert worker.idle_turns == 0

    lab.broker.stalled = False
    worker.until_committed(1)
    worker.run_for(1.0)
    assert worker.idle_turns > 0


def test_nothing_more_is_read_right_after_a_full_poll_while_a_queue_is_full() -> None:
    """What is read too early only fills the budget; but the rest is short, so that other models hardly wait."""
    lab = Lab()
    lab.set_model()
    batching = {"threads": 1, "max_batch_rows": 1, "max_enqueued_batches": 1}
    worker = lab.worker(batching=batching, delivery={"poll_records": 4}, producer_limits={"queue_records": 1})
    worker.join()
    lab.broker.stalled = True  # the batch thread waits for room, so that the queue stays full
    for n in range(40):
        lab.send(request(n, id=f"{n}"))
    worker.until(lambda: consumed(worker) == 4, "a full poll")

    start = lab.clock()
    worker.until(lambda: consumed(worker) > 4, "the next poll")
    worker.close()

    assert poll_loop.REST_SECONDS <= lab.clock() - start < 2 * poll_loop.REST_SECONDS


def consumed(worker: Worker) -> float:
    """Records that a worker has read."""
    return worker.metric("headrace_records_consumed_total", topic=REQUESTS)
