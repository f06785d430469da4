"""What is committed, and when."""

from tests.fakes.request_path import Lab, request
from tests.fakes.servables import ManualExecutor


def test_nothing_is_committed_before_the_reply_is_acknowledged() -> None:
    """A reply that is on its way is no reply: its request stays uncommitted for as long as that takes."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    lab.broker.stalled = True

    worker.run_for(20.0)
    assert lab.servable().runs == [("serving_default", 1)]
    assert lab.committed() == 0

    lab.broker.stalled = False
    worker.until_committed(1)


def test_nothing_is_committed_before_the_dead_letter_is_acknowledged() -> None:
    """The same holds for what cannot be answered."""
    lab = Lab()
    worker = lab.worker().join()
    lab.send(b"garbage")
    lab.broker.stalled = True

    worker.run_for(20.0)
    assert lab.committed() == 0

    lab.broker.stalled = False
    worker.until_committed(1)


def test_an_unanswered_request_holds_back_those_behind_it() -> None:
    """Offsets are contiguous: what was answered behind a request that waits is committed with it."""
    loads = ManualExecutor()
    lab = Lab(load_executor=loads)
    lab.set_model()
    loads.run()
    lab.set_model("slow")
    worker = lab.worker(holding={"loading_seconds": 100}).join()
    lab.send(request(1, id="first"))
    worker.until_committed(1)
    lab.send(request(1, id="slow", model="slow"))
    worker.step()
    lab.send(request(1, id="behind"))

    worker.run_for(5.0)
    assert lab.codes() == {"first": 0, "behind": 0}
    assert lab.committed() == 1

    loads.run()
    worker.until_committed(3)


def test_commits_come_at_least_every_interval() -> None:
    """Once answered, a request is committed within the interval and one turn of the loop."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery={"commit_interval_seconds": 0.5}).join()
    worker.run_for(3.0)

    for n in range(20):
        lab.send(request(n, id=f"{n}"))
        sent = lab.clock()
        worker.until_committed(n + 1)
        assert lab.clock() - sent <= 0.5 + 0.2


def test_commits_are_no_more_than_the_interval_asks_for() -> None:
    """A commit costs: with room in the budget there is one an interval, not one a block."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery={"commit_interval_seconds": 0.5}).join()
    for n in range(1000):
        lab.send(request(n, id=f"{n}"))
        worker.step()
    worker.run_for(5.0)

    commits = len(lab.broker.commits) - 1  # the first says where reading began
    assert commits <= lab.clock() / 0.5 + 1
    assert lab.committed() == 1000


def test_commits_come_earlier_when_the_budget_is_short() -> None:
    """Half of the budget used: what is answered is committed at once, so that reading can go on."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(
        delivery={"budget_rows": 10, "model_share": 1.0, "commit_interval_seconds": 1.0}
    ).join()
    worker.run_for(3.0)
    for n in range(6):
        lab.send(request(n, id=f"{n}"))
    sent = lab.clock()

    worker.until_committed(6)

    assert lab.clock() - sent < 0.3


def test_a_failed_commit_is_tried_again() -> None:
    """A broker that is away for a moment costs a commit, and nothing else."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="r"))
    worker.step(3)
    lab.broker.unreachable = True
    worker.run_for(5.0)
    assert lab.committed() == 0

    lab.broker.unreachable = False

    worker.until_committed(1)
    assert lab.codes() == {"r": 0}
