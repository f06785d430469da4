"""The table of calls: correlation, deadlines and the end."""

import threading

import numpy as np
import pytest

from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.status import Status
from schemas.tensor import Tensor
from worker.client_calls import CallTable
from worker.client_errors import ClientClosed, NoReply, PredictError

REPLY = PredictReply("digits", 2, (Tensor.from_numpy("y", np.array([[0.5]], np.float32)),))


@pytest.fixture
def table() -> CallTable:
    """A table of one client."""
    return CallTable(b"client-1", "headrace.requests")


def test_a_reply_finds_its_call_once(table: CallTable) -> None:
    """Workers may answer twice after a crash; the second answer finds nobody."""
    call = table.open("digits", 0.0, 5.0)

    assert table.take(call.correlation_id) is call
    assert table.take(call.correlation_id) is None


def test_replies_to_other_clients_find_nobody(table: CallTable) -> None:
    """Correlation ids of two clients never meet."""
    other = CallTable(b"client-2", "headrace.requests").open("digits", 0.0, 5.0)
    table.open("digits", 0.0, 5.0)

    assert table.take(other.correlation_id) is None


def test_correlation_ids_are_never_used_again(table: CallTable) -> None:
    """A late reply to an expired call cannot be taken for another's."""
    ids = {table.open("digits", 0.0, 5.0).correlation_id for _ in range(1000)}

    assert len(ids) == 1000


def test_a_prediction_has_the_outputs_as_arrays(table: CallTable) -> None:
    """Outputs come by name, with the version that computed them."""
    call = table.open("digits", 0.0, 5.0)

    call.succeed(REPLY)

    prediction = call.future.result(0)
    assert (prediction.model, prediction.version) == ("digits", 2)
    assert prediction["y"].dtype == np.float32
    assert prediction.outputs["y"].tolist() == [[0.5]]


def test_an_error_reply_is_raised_with_its_code(table: CallTable) -> None:
    """Code, message and version are the worker's own."""
    call = table.open("digits", 0.0, 5.0)

    call.succeed(PredictReply("digits", 3, error=Status(Code.NOT_FOUND, "no such model")))

    with pytest.raises(PredictError, match="NOT_FOUND: no such model") as caught:
        call.future.result(0)
    assert (caught.value.code, caught.value.version) == (Code.NOT_FOUND, 3)


def test_a_code_of_the_future_counts_as_unknown(table: CallTable) -> None:
    """A newer worker's code does not break an older client."""
    call = table.open("digits", 0.0, 5.0)

    call.succeed(PredictReply("digits", error=Status(4711, "something new")))

    error = call.future.exception(0)
    assert isinstance(error, PredictError)
    assert error.code is Code.UNKNOWN


def test_calls_fail_at_their_deadline_and_not_before(table: CallTable) -> None:
    """A time-out is an error with DEADLINE_EXCEEDED that is also a TimeoutError and names model and topic."""
    call = table.open("digits", 100.0, 5.0)

    assert table.expire(104.9) == 0
    assert not call.future.done()
    assert table.expire(105.0) == 1
    error = call.future.exception(0)
    assert isinstance(error, NoReply)
    assert isinstance(error, TimeoutError)
    assert error.code is Code.DEADLINE_EXCEEDED
    assert "5 s" in str(error)
    assert "'digits'" in str(error)
    assert "headrace.requests" in str(error)
    assert len(table) == 0


def test_a_shorter_timeout_made_later_expires_first(table: CallTable) -> None:
    """Deadlines are the calls' own, in whatever order they were made."""
    long = table.open("digits", 0.0, 60.0)
    short = table.open("digits", 1.0, 2.0)
    longest = table.open("digits", 1.0, 600.0)

    assert table.expire(3.0) == 1
    assert short.future.done()
    assert table.expire(60.0) == 1
    assert long.future.done()
    assert table.expire(600.0) == 0
    assert table.expire(601.0) == 1
    assert longest.future.done()


def test_answered_calls_do_not_expire(table: CallTable) -> None:
    """What has been answered stays so, and those behind it are still looked after."""
    first, second = table.open("digits", 0.0, 1.0), table.open("digits", 0.5, 1.0)
    taken = table.take(first.correlation_id)
    assert taken is not None
    taken.succeed(REPLY)

    assert table.expire(1.0) == 0
    assert table.expire(1.5) == 1
    assert isinstance(second.future.exception(0), NoReply)
    assert first.future.result(0).version == 2


def test_closing_fails_what_is_outstanding(table: CallTable) -> None:
    """No future stays open, and no new call gets in; the first reason stays."""
    call = table.open("digits", 0.0, 5.0)

    assert table.close("the client was closed") == 1
    assert table.close("later") == 0

    assert isinstance(call.future.exception(0), ClientClosed)
    with pytest.raises(ClientClosed, match="the client was closed"):
        table.open("digits", 0.0, 5.0)


def test_a_cancelled_future_bears_every_end(table: CallTable) -> None:
    """The caller may cancel a future; reply, deadline and closing then pass over it."""
    answered, late, left = (table.open("digits", 0.0, 5.0) for _ in range(3))
    for call in (answered, late, left):
        assert call.future.cancel()

    answered.succeed(REPLY)
    table.take(answered.correlation_id)
    late.fail(NoReply("digits", 5.0, "t"))
    table.close("closed")

    assert all(call.future.cancelled() for call in (answered, late, left))


def test_many_threads_may_open_calls_while_deadlines_pass(table: CallTable) -> None:
    """Each call is settled exactly once, however threads interleave."""
    calls_each, threads = 500, 4
    opened: list[list[bytes]] = [[] for _ in range(threads)]

    def ask(into: list[bytes]) -> None:
        into.extend(table.open("digits", 0.0, 1.0).correlation_id for _ in range(calls_each))

    askers = [threading.Thread(target=ask, args=(ids,)) for ids in opened]
    expired = 0
    for asker in askers:
        asker.start()
    while any(asker.is_alive() for asker in askers):
        expired += table.expire(1.0)
    expired += table.expire(1.0)

    assert expired == calls_each * threads
    assert len({i for ids in opened for i in ids}) == calls_each * threads
    assert len(table) == 0
