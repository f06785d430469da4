"""What the status topic is told of a version's health; the rest is tested with the control loop."""

import pytest

from lifecycle import errors
from schemas.errors import Code
from worker.servable_reports import health


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, Code.OK),
        (errors.LoadFailed("why"), Code.UNAVAILABLE),
        (errors.PermanentLoadFailure("why"), Code.FAILED_PRECONDITION),
        (errors.LoadTimedOut("why"), Code.DEADLINE_EXCEEDED),
        (errors.LoadCancelled("why"), Code.CANCELLED),
        (errors.ResourceExhausted("why"), Code.RESOURCE_EXHAUSTED),
        (errors.UnloadFailed("why"), Code.UNAVAILABLE),
    ],
)
def test_a_failed_version_has_a_code_and_a_sentence(error: errors.LifecycleError | None, code: Code) -> None:
    """Each failure has the code that says whether waiting helps."""
    assert health(error) == (code, "" if error is None else "why")
