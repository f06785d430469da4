"""What requesters are told of an operator's reasons."""

import pytest

from worker.told_reasons import told


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("the weights are cut short", "the weights are cut short"),
        ("/models/m: No such file or directory", "…: No such file or directory"),
        ("[Errno 2] No such file: '/srv/my models/m/1/w.npy'", "[Errno 2] No such file: …"),
        ('cannot open "/srv/a b/c"', "cannot open …"),
        ("reads s3://key:secret@bucket/m failed", "reads … failed"),
        ("base path models/m has no versions", "base path … has no versions"),
        ("failed in ~/.cache/m", "failed in …"),
        ("\n  first\nFile /usr/lib/x.py, line 3", "first"),
        ("1/2 of the rows, 3 rows/s, and/or", "1/2 of the rows, 3 rows/s, and/or"),
        ("", ""),
    ],
)
def test_paths_and_further_lines_are_left_out(reason: str, said: str) -> None:
    """A requester learns what is wrong, not where the operator's files lie."""
    assert told(reason, "models/m", "") == said


def test_a_long_reason_is_cut() -> None:
    """An error reply is no place for a book."""
    assert len(told("x" * 5000)) == 300
