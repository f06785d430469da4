"""The names of versions and of requests for them."""

import pytest

from lifecycle.servable_id import Pick, ServableId, ServableRequest


def test_zero_is_a_version() -> None:
    """Version 0 is as good as any."""
    assert ServableId("m", 0).version == 0


@pytest.mark.parametrize(("name", "version"), [("", 1), ("m", -1)])
def test_nonsense_is_refused(name: str, version: int) -> None:
    """An empty name or a negative version is no servable id."""
    with pytest.raises(ValueError, match="servable"):
        ServableId(name, version)


def test_ids_sort_by_name_then_version() -> None:
    """Ids of one name stand together, ascending by number, not by digits."""
    ids = [ServableId("b", 1), ServableId("a", 10), ServableId("a", 9)]

    assert sorted(ids) == [ServableId("a", 9), ServableId("a", 10), ServableId("b", 1)]


def test_ids_read_as_people_write_them() -> None:
    """An id is shown as name, slash, version."""
    assert str(ServableId("digits", 3)) == "digits/3"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ServableRequest.specific("m", 3), ("m", Pick.SPECIFIC, 3)),
        (ServableRequest.latest("m"), ("m", Pick.LATEST, None)),
        (ServableRequest.earliest("m"), ("m", Pick.EARLIEST, None)),
        (ServableRequest.of("m", 0), ("m", Pick.SPECIFIC, 0)),
        (ServableRequest.of("m", None), ("m", Pick.LATEST, None)),
    ],
    ids=str,
)
def test_requests_say_which_version(
    request_: ServableRequest, expected: tuple[str, Pick, int | None]
) -> None:
    """A request names one version, the earliest or the latest; no version named is the latest."""
    assert (request_.name, request_.pick, request_.version) == expected


def test_requests_read_as_people_write_them() -> None:
    """A request is shown with the version or with the word for it."""
    assert [str(ServableRequest.specific("m", 3)), str(ServableRequest.latest("m"))] == ["m/3", "m/latest"]
