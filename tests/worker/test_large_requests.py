"""Requests of more rows than a batch: run in parts, and answered as one."""

from typing import Any

import numpy as np
import pytest

from tests.fakes.lab_servable import POISON
from tests.fakes.request_path import Lab, Worker, request

INTERNAL, RESOURCE_EXHAUSTED, UNAVAILABLE = 13, 8, 14


def serving(**batching: Any) -> tuple[Lab, Worker]:
    """A worker with batches of 4 rows that takes requests of 10."""
    lab = Lab()
    lab.set_model()
    return lab, lab.worker(batching={"max_batch_rows": 4, "max_request_rows": 10} | batching).join()


def rows_run(lab: Lab) -> list[int]:
    """The rows of each run."""
    return [rows for _, rows in lab.servable().runs]


@pytest.mark.parametrize(
    ("rows", "sizes", "runs"),
    [
        (10, (), [4, 4, 2]),
        (8, (), [4, 4]),
        (5, (), [4, 1]),
        (9, (2, 4), [4, 4, 2]),
        (10, (3, 4), [4, 4, 3]),
    ],
)
def test_a_large_request_is_run_in_parts_and_answered_once(
    rows: int, sizes: tuple[int, ...], runs: list[int]
) -> None:
    """In parts of the largest size, the last one padded as any batch; its rows keep their order."""
    lab, worker = serving(allowed_batch_rows=sizes)
    lab.send(request(*range(rows), id="large"))
    worker.until_committed(1)

    assert rows_run(lab) == runs
    (reply,) = lab.replies()
    assert np.array_equal(reply.outputs[0].to_numpy()[:, 0], 2 * np.arange(rows) + 1)


def test_one_that_is_too_large_is_refused_with_both_numbers() -> None:
    """Those beside it are not."""
    lab, worker = serving()
    lab.send(request(*range(11), id="larger"))
    lab.send(request(*range(10), id="large"))
    lab.send(request(1, id="small"))
    worker.until_committed(3)

    assert lab.codes() == {"larger": RESOURCE_EXHAUSTED, "large": 0, "small": 0}
    assert lab.messages()["larger"] == "the request has 11 rows; at most 10 are taken in one"


def test_large_and_small_requests_of_one_poll_are_all_answered() -> None:
    """Small ones share their batches as ever, and several large ones may share theirs."""
    lab, worker = serving()
    sizes = [1, 5, 2, 10, 4, 6, 3, 5, 1, 9]
    for n, rows in enumerate(sizes):
        lab.send(request(*range(n, n + rows), id=f"{n}"))
    worker.until_committed(len(sizes))

    assert set(lab.codes().values()) == {0}
    assert max(rows_run(lab)) == 4
    answers = {reply.id: reply.outputs[0].to_numpy()[:, 0].tolist() for reply in lab.replies()}
    assert answers == {f"{n}": [2 * x + 1 for x in range(n, n + rows)] for n, rows in enumerate(sizes)}


def test_a_part_that_fails_fails_its_request_alone() -> None:
    """Other large requests of its batch are run again without it, and answered."""
    lab, worker = serving(max_request_rows=100)
    lab.send(request(*range(6), id="first"))
    lab.send(request(1, 2, 3, 4, 5, POISON, id="bad"))
    lab.send(request(*range(7), id="last"))
    worker.until_committed(3)

    assert lab.codes() == {"first": 0, "bad": INTERNAL, "last": 0}


def test_outputs_of_a_part_that_have_other_rows_are_found_out() -> None:
    """Before anybody gets another one's."""
    lab, worker = serving()
    lab.servable().short = True
    lab.send(request(*range(10), id="large"))
    worker.until_committed(1)

    assert lab.codes() == {"large": INTERNAL}
    assert "rows" in lab.messages()["large"]


def test_parts_are_no_larger_than_the_bytes_of_a_batch() -> None:
    """A row has 8 bytes here, and a batch 24."""
    lab, worker = serving(max_batch_bytes=24)
    lab.send(request(*range(10), id="large"))
    worker.until_committed(1)

    assert lab.codes() == {"large": 0}
    assert max(rows_run(lab)) == 3


def test_what_a_large_request_outputs_may_be_texts() -> None:
    """Joined as they are."""
    lab, worker = serving()
    lab.send(request(*range(1, 8), id="large", signature="text"))
    worker.until_committed(1)

    (reply,) = lab.replies()
    assert reply.outputs[0].to_numpy().tolist() == [b"t" * n for n in range(1, 8)]
