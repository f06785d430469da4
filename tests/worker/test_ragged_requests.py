"""Requests of one kind whose rows differ are batched, answered and refused one like the other."""

import numpy as np
import pytest

from schemas.codec import encode
from schemas.request_decoder import RequestDecoder
from tests.fakes.kafka import FakeMessage
from tests.fakes.lab_servable import POISON
from tests.fakes.request_path import Lab, Worker, request
from worker.polled_records import PolledRecords
from worker.request_block import Part

ROWS = (3, 1, 4, 2, 2)


def ragged_part() -> Part:
    """Five requests with these rows, from a decoder that has seen the like before."""
    values = [encode(request(*range(10 * n, 10 * n + rows), id=f"{n}")) for n, rows in enumerate(ROWS)]
    decoder = RequestDecoder()
    decoder.decode(values)
    ((columns,), _) = decoder.decode(values)
    messages = [FakeMessage("t", value, offset=n) for n, value in enumerate(values)]
    return Part(PolledRecords("t", "b", messages, 0), columns)


def warm(lab: Lab, worker: Worker) -> int:
    """Let the worker see the layouts of 1 to 9 rows once; how many requests that took."""
    for rows in range(1, 10):
        lab.send(request(*range(rows), id=f"warm-{rows}"))
    worker.until_committed(9)
    return 9


def test_a_part_counts_its_rows() -> None:
    """All its rows, and those of the largest request."""
    part = ragged_part()
    assert (len(part), part.rows, part.tensor_rows, part.largest_rows) == (5, 12, 12, 4)


@pytest.mark.parametrize(
    ("rows", "requests"), [(1, 0), (3, 1), (4, 2), (7, 2), (8, 3), (11, 4), (12, 5), (99, 5)]
)
def test_as_many_requests_lead_as_fit(rows: int, requests: int) -> None:
    """No more rows than are asked for, and no request that is cut."""
    assert ragged_part().leading(rows) == requests


def test_requests_that_are_alike_stand_together() -> None:
    """Parts of one number of rows each, in the order of the requests."""
    alike = ragged_part().alike()
    assert [each.columns.rows_each for each in alike] == list(ROWS)
    assert [list(each.columns.ids) for each in alike] == [[b"%d" % n] for n in range(5)]


@pytest.mark.parametrize("max_batch_rows", [9, 64])
def test_each_request_gets_its_own_rows_back(max_batch_rows: int) -> None:
    """However they are cut into batches, each reply has what the model says of its request's rows."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": max_batch_rows}).join()
    sent = warm(lab, worker)
    before = len(lab.servable().runs)
    wanted = {f"{n}": np.arange(n, n + 1 + n % 9, dtype=np.float32) for n in range(40)}
    for name, numbers in wanted.items():
        lab.send(request(*numbers.tolist(), id=name))

    worker.until_committed(sent + len(wanted))

    assert set(lab.codes().values()) == {0}
    rows = [rows for _, rows in lab.servable().runs[before:]]
    assert max(rows) <= max_batch_rows
    assert len(rows) < len(wanted)
    replies = {reply.id: reply for reply in lab.replies()}
    for name, numbers in wanted.items():
        x = np.repeat(numbers, 2).reshape(-1, 2)
        (y,) = replies[name].outputs
        np.testing.assert_array_equal(y.to_numpy(), 2 * x + 1)


def test_one_with_too_many_rows_is_refused_alone() -> None:
    """A request larger than a batch does not take its neighbours with it."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": 6}).join()
    sent = warm(lab, worker)
    for n, rows in enumerate((1, 7, 2, 6, 9)):
        lab.send(request(*range(rows), id=f"{n}"))

    worker.until_committed(sent + 5)

    codes = lab.codes()
    assert [codes[f"{n}"] for n in range(5)] == [0, 8, 0, 0, 8]


def test_one_that_the_model_fails_on_is_refused_alone() -> None:
    """The search for the request at fault cuts a batch between requests of any rows."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    sent = warm(lab, worker)
    for n, rows in enumerate(ROWS):
        lab.send(request(*[POISON if n == 2 else 1.0] * rows, id=f"{n}"))

    worker.until_committed(sent + len(ROWS))

    codes = lab.codes()
    assert [n for n in range(5) if codes[f"{n}"]] == [2]


def test_the_budget_holds_the_rows_of_each() -> None:
    """Rows are counted request by request, and all are given back."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery={"budget_rows": 10_000}).join()
    sent = warm(lab, worker)
    for n in range(50):
        lab.send(request(*range(1 + n % 9), id=f"{n}"))

    worker.until_committed(sent + 50)

    budget = worker.budget
    worker.until(lambda: not any(use.rows for use in budget.bindings.values()), "all rows given back")
    assert [(use.rows, use.size_bytes) for use in budget.bindings.values()] == [(0, 0)]
    assert not budget.models
