"""The error tree."""

import inspect

import pytest

from lifecycle import errors

ALL = [each for _, each in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_error_is_in_the_tree(error: type[Exception]) -> None:
    """Whoever catches the root catches everything that this package raises on purpose."""
    assert issubclass(error, errors.LifecycleError)


def test_only_plain_load_failures_are_retriable() -> None:
    """A load that timed out, was cancelled or can never succeed is not tried again."""
    failures = [each for each in ALL if issubclass(each, errors.LoadFailed)]

    assert [each for each in failures if each.retriable] == [errors.LoadFailed]
