"""Promises of `batching.errors`."""

import inspect

import pytest

from batching import errors

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_only_a_full_queue_is_worth_a_retry(kind: type[errors.BatchingError]) -> None:
    """Each error is in the one tree and says whether the same call may succeed later."""
    assert issubclass(kind, errors.BatchingError)
    assert kind.retriable == (kind is errors.QueueFull)
