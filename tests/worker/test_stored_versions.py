"""What lies under base paths in stores."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import InvalidModel, LoadFailed
from schemas.version_selection import LatestVersions
from tests.fakes.depot import Depot, new_root, put
from worker import stored_versions
from worker.arrivals import Arrivals
from worker.base_path_roots import BasePathRoots
from worker.operator_rules import OperatorRules
from worker.stored_versions import StoredFile, files_of, list_directories, scan
from worker.version_paths import find_versions


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    """Each test makes its own trouble."""
    Depot.reset()
    yield
    Depot.reset()


@pytest.fixture(params=["depot", "memory"])
def base(request: pytest.FixtureRequest) -> str:
    """A base path with versions 1, 2 and 03, a folder that is none, and a file."""
    base = f"{new_root(request.param)}/m"
    put(
        base,
        {"1/model.json": b"{}", "2/a/b/c": b"123", "2/x": b"", "03/x": b"1", "tmp/x": b"1", "4": b"a file"},
    )
    return base


def test_the_versions_are_the_folders_named_by_numbers(base: str) -> None:
    """As on this machine; leading zeros are taken."""
    found = find_versions(
        f"{base}/", LatestVersions(9), list_directories, rules=OperatorRules(BasePathRoots([base]))
    )

    assert dict(found.paths) == {1: f"{base}/1", 2: f"{base}/2", 3: f"{base}/03"}


def test_a_base_path_that_no_root_allows_is_not_listed(base: str) -> None:
    """Nobody is asked."""
    looks: list[int] = []
    Depot.on_look = lambda: looks.append(1)

    found = find_versions(base, LatestVersions(1), list_directories)

    assert "the base path is not opened" in str(found.problem)
    assert "lies in a store" in str(found.problem)
    assert not looks


def test_all_files_of_a_version_are_found_whatever_the_depth(base: str) -> None:
    """With their sizes and times."""
    files = files_of(f"{base}/2")

    assert [(each.name, each.size_bytes) for each in files] == [("a/b/c", 3), ("x", 0)]
    assert all(each.told_apart and each.changed_ns for each in files)
    assert b"".join(stored_versions.blocks(f"{base}/2", "a/b/c")) == b"123"


def test_a_local_path_is_looked_at_as_before(tmp_path: Path) -> None:
    """One function serves both."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "x").write_bytes(b"1")

    assert list_directories(str(tmp_path)) == ("1",)
    assert [size for _, size, _ in scan(str(tmp_path / "1")).files] == [1]


@pytest.mark.parametrize(
    ("error", "said", "kind"),
    [
        (FileNotFoundError("x"), "the store has nothing there", FileNotFoundError),
        (
            PermissionError("Forbidden"),
            "does not let this worker read there; its credentials",
            PermissionError,
        ),
        (ImportError("Install s3fs"), "not installed beside headrace (ImportError: Install s3fs)", OSError),
        (TimeoutError("no answer"), "does not answer as it should (TimeoutError: no answer)", OSError),
        (OSError("<x at 0x7f12ab>: id 1a2b3c4d-5e6f7a8b"), "(OSError: <x at …>: id …)", OSError),
        (
            RuntimeError("https://me:hidden@host failed"),
            "(RuntimeError: https://********@host failed)",
            OSError,
        ),
    ],
)
def test_what_a_store_says_is_told_in_our_words(error: Exception, said: str, kind: type[OSError]) -> None:
    """Of the list of versions, and of a version."""
    base = new_root()
    put(base, {"1/x": b"1"})
    Depot.away = error

    with pytest.raises(kind) as caught:
        list_directories(base)
    assert said in str(caught.value.strerror)
    with pytest.raises(LoadFailed, match="cannot be listed") as failed:
        files_of(f"{base}/1")
    assert said in str(failed.value)
    with pytest.raises(LoadFailed, match="cannot be read") as failed:
        list(stored_versions.blocks(f"{base}/1", "x"))
    assert said in str(failed.value)


def test_a_library_that_is_missing_is_named() -> None:
    """With what to install, in fsspec's words."""
    with pytest.raises(OSError, match=r"not installed beside headrace .*adlfs"):
        list_directories("abfs://container/models")
    with pytest.raises(OSError, match="Protocol not known"):
        list_directories("nowhere://bucket/models")


def test_a_folder_inside_a_version_that_cannot_be_listed_is_no_smaller_version() -> None:
    """The library's own walk would pass over it."""
    base = new_root()
    put(base, {"1/x": b"1", "1/variables/y": b"2"})
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 2:
            raise OSError("timed out")

    Depot.on_look = look

    with pytest.raises(LoadFailed, match="timed out"):
        files_of(f"{base}/1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"islink": True}, "links are not followed"),
        ({"type": "link"}, "neither a file nor a folder"),
        ({"size": None}, "does not say how large"),
    ],
)
def test_what_cannot_be_copied_is_refused_for_good(changes: Mapping[str, Any], said: str) -> None:
    """Trying again would not help."""
    base = new_root()
    put(base, {"1/x": b"1"})
    Depot.listed = lambda entry: {**entry, **changes}

    with pytest.raises(InvalidModel, match=said):
        files_of(f"{base}/1")
    with pytest.raises(OSError, match=said):
        scan(f"{base}/1")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "./x", "a//x", "a\nb", "x::file:///etc/passwd", "x?versionId=1", "100%", "a\\b"],
)
def test_a_name_that_could_mean_another_place_is_refused(name: str) -> None:
    """Stores take any name; a copy would lie elsewhere, or something else would be read."""
    base = new_root()
    put(base, {"1/x": b"1"})
    Depot.listed = lambda entry: {**entry, "name": f"{str(entry['name']).rpartition('/')[0]}/{name}"}

    with pytest.raises(InvalidModel, match="which is no plain name of a file; rename it"):
        files_of(f"{base}/1")


def test_a_file_that_is_also_a_folder_is_refused() -> None:
    """Object stores have such things, file systems have not."""
    base = new_root()
    put(base, {"1/b/c": b"2", "1/x": b"1"})
    place = f"{Depot._strip_protocol(base)}/1"
    Depot.store[f"{place}/b"] = Depot.store.pop(f"{place}/x")

    with pytest.raises(InvalidModel, match="holds 'b' as a file and as a folder"):
        files_of(f"{base}/1")


def test_what_has_too_many_files_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is kept in memory."""
    monkeypatch.setattr(stored_versions, "MOST_FILES", 3)
    base = new_root()
    put(base, {f"1/{n}": b"" for n in range(3)})
    assert len(files_of(f"{base}/1")) == 3
    put(base, {"1/3": b""})

    with pytest.raises(InvalidModel, match="more than 3 files"):
        files_of(f"{base}/1")


@pytest.mark.parametrize(
    ("entry", "changed_ns"),
    [
        ({"LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, 1_767_225_600_000_000_000),
        ({"updated": "2026-01-01T00:00:00.000Z"}, 1_767_225_600_000_000_000),
        ({"mtime": 12.5}, 12_500_000_000),
        ({"modificationTime": 12_500}, 12_500_000_000),
        ({"updated": "yesterday"}, None),
        ({}, None),
    ],
)
def test_times_and_tags_are_those_that_stores_give(entry: Mapping[str, Any], changed_ns: int | None) -> None:
    """Each has names of its own for them."""
    base = new_root()
    put(base, {"1/x": b"1"})
    Depot.listed = lambda told: {key: told[key] for key in ("name", "type", "size")} | dict(entry)

    assert files_of(f"{base}/1") == (StoredFile("x", 1, changed_ns),)
    assert StoredFile("x", 1, changed_ns).told_apart == (changed_ns is not None)
    Depot.listed = lambda told: {key: told[key] for key in ("name", "type", "size")} | {"ETag": '"1"'}
    assert files_of(f"{base}/1")[0].told_apart


class Look:
    """A version that is looked at as `Aspirations` does, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.uri = f"{new_root()}/1"
        self.arrivals = Arrivals(8.0, scan, lambda: self.now, lambda: 1e6 + self.now)

    def complete(self) -> bool:
        """Whether it counts now."""
        return self.arrivals.complete(self.uri)


def test_a_version_counts_once_its_listing_stays_the_same() -> None:
    """A slow copy: each file that comes, and each that grows, begins the wait anew."""
    look = Look()
    for name, data in (("a", b"1"), ("b", b"1"), ("b", b"123")):
        put(look.uri, {name: data})
        assert not look.complete()
        look.now += 7.0
        assert not look.complete()
    look.now += 1.0
    assert look.complete()


def test_a_version_that_is_old_by_its_stores_times_counts_at_once() -> None:
    """A worker that starts does not wait; where the store gives no times, two looks decide."""
    look = Look()
    put(look.uri, {"a": b"1"})
    Depot.listed = lambda entry: {**entry, "created": 5.0}
    assert look.complete()

    other = Look()
    put(other.uri, {"a": b"1"})
    Depot.listed = lambda entry: {key: entry[key] for key in ("name", "type", "size")}
    assert not other.complete()
    other.now += 8.0
    assert other.complete()


def test_a_version_that_says_that_it_is_unfinished_is_not_complete() -> None:
    """However long nothing changes: object stores show a large file only when it is whole."""
    look = Look()
    put(look.uri, {"a": b"1", stored_versions.UNFINISHED: b""})
    Depot.listed = lambda entry: {**entry, "created": 5.0}
    assert not look.complete()
    with pytest.raises(LoadFailed, match=r"still being written: it holds \.unfinished"):
        files_of(look.uri)

    Depot.store.pop(f"{Depot._strip_protocol(look.uri)}/{stored_versions.UNFINISHED}")
    assert look.complete()


def test_a_store_that_is_away_makes_no_version_complete() -> None:
    """One that refuses does: its load tells why."""
    look = Look()
    put(look.uri, {"a": b"1"})
    Depot.away = TimeoutError("no answer")
    assert not look.complete()
    look.now += 100.0
    assert not look.complete()

    Depot.away = PermissionError("Forbidden")
    assert look.complete()
