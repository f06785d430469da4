"""What a worker says of its batch queues: to bytes and back, and whatever else somebody may write."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import queue_report
from schemas.queue_report import QueueReport
from schemas.servable_status import QUEUES, ServableState, ServableStatus

BUSY = QueueReport(
    "serving_default",
    waiting_tasks=2,
    waiting_rows=40,
    oldest_seconds=0.25,
    batches=10,
    rows=960,
    padding_rows=320,
    wait_seconds=0.05,
    runs=20,
    run_seconds=0.5,
)


def test_what_is_said_is_read() -> None:
    """By signature, in the order in which it was said; what is 0 is left out."""
    status = ServableStatus(
        "w",
        "m",
        1,
        ServableState.AVAILABLE,
        parameters={QUEUES: queue_report.encode((BUSY, QueueReport("ümlaut")))},
    )

    assert status.queues == (BUSY, QueueReport("ümlaut"))
    assert json.loads(status.parameters[QUEUES])[1] == {"signature": "ümlaut"}
    assert ServableStatus("w", "m", 1, ServableState.AVAILABLE).queues == ()


def test_means_are_those_of_the_batches_and_none_without_one() -> None:
    """The padding's share is that of what the model was given."""
    assert (BUSY.mean_rows, BUSY.padding_share) == (96.0, 0.25)
    assert (BUSY.mean_wait_seconds, BUSY.mean_run_seconds) == (0.005, 0.025)
    idle = QueueReport("serving_default", waiting_rows=3)
    assert idle.mean_rows is idle.padding_share is idle.mean_wait_seconds is idle.mean_run_seconds is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", ()),
        (b"\xff", ()),
        (b"{}", ()),
        (b"[" * 100_000, ()),
        (b'[1, null, {}, {"signature": 5}, {"signature": "s"}]', (QueueReport("s"),)),
        (b'[{"signature": "s", "batches": 3, "newer": [1]}]', (QueueReport("s", batches=3),)),
        (b'[{"signature": "s", "batches": -1, "rows": true, "runs": "2"}]', (QueueReport("s"),)),
        (b'[{"signature": "s", "rows": 1e400, "run_seconds": NaN}]', (QueueReport("s"),)),
        (b'[{"signature": "s", "rows": 1' + b"0" * 3000 + b"}]", (QueueReport("s"),)),
        (b'[{"signature": "\\ud800"}]', (QueueReport("?"),)),
    ],
)
def test_what_makes_no_sense_is_passed_over(text: bytes, said: tuple[QueueReport, ...]) -> None:
    """Whoever may write to the topic may write anything; a newer worker may say more."""
    assert queue_report.decode(text) == said


@given(st.binary())
def test_anything_is_read_without_an_error(text: bytes) -> None:
    """As a tuple of what made sense."""
    assert isinstance(queue_report.decode(text), tuple)


def test_an_objective_is_kept_up_to_the_objective_itself() -> None:
    """Nothing is said without one, or before a p99 was measured."""
    objective = QueueReport("s", objective_seconds=0.05, max_batch_rows=64, batch_timeout_seconds=0.01)
    (back,) = queue_report.decode(queue_report.encode([objective]))
    assert back == objective
    assert QueueReport("s", p99_seconds=0.1).objective_kept is None
    assert objective.objective_kept is None
    assert replace(objective, p99_seconds=0.05).objective_kept is True
    assert replace(objective, p99_seconds=0.051).objective_kept is False
