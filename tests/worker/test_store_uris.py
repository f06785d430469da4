"""Places in stores, as text; what `normal_place` refuses is tested with the roots of claims and of base paths."""

import pytest

from worker.store_uris import is_remote, is_uri, lies_below, opened_as, problem_of


@pytest.mark.parametrize(
    ("path", "uri", "remote"),
    [
        ("/srv/m", False, False),
        ("/srv/a://b", False, False),
        ("m", False, False),
        ("s3:/bucket", False, False),
        ("file:///srv/m", True, False),
        ("s3://bucket/m", True, True),
        ("S3://bucket/m", True, True),
        ("local:///srv", True, True),
        ("simplecache::s3://bucket/m", True, True),
    ],
)
def test_what_is_no_path_of_this_machine_is_never_taken_for_one(path: str, uri: bool, remote: bool) -> None:
    """However it is written."""
    assert (is_uri(path), is_remote(path)) == (uri, remote)


@pytest.mark.parametrize(
    ("path", "opened"),
    [("/srv/m/", "/srv/m/"), ("file:///srv/m", "/srv/m"), ("s3://bucket/m/", "s3://bucket/m"), ("m", "m")],
)
def test_a_file_uri_is_opened_as_a_path(path: str, opened: str) -> None:
    """And a place in a store has no slash at its end."""
    assert opened_as(path) == opened


@pytest.mark.parametrize(
    "below", ["s3://b/m", "s3://b/m2/x", "s3://b/m/../x", "s3://b/m//x", "s3://b/m/", "s3://b/m/./x"]
)
def test_what_climbs_or_lies_beside_lies_not_below(below: str) -> None:
    """Whatever the store makes of it."""
    assert lies_below("s3://b/m/x", "s3://b/m")
    assert not lies_below(below, "s3://b/m")


def test_what_a_store_says_is_told_in_a_line_without_secrets() -> None:
    """For the log."""
    assert problem_of(OSError("no answer of https://me:hidden@store/x\nsecond line")) == (
        "OSError: no answer of https://********@store/x"
    )
    assert len(problem_of(OSError("x" * 9_999))) == 300
