"""Which versions lie under a base path."""

from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from worker.arrivals import Arrivals
from worker.version_paths import find_versions, list_directories

CHILDREN = ("1", "2", "0010", "latest", "3.bak", "-4", "99999999999999999999", "٤")


def children(_path: str) -> Iterable[str]:
    """A base path with three versions and what is none."""
    return CHILDREN


def absent(path: str) -> Iterable[str]:
    """A base path that does not exist."""
    raise FileNotFoundError(2, "No such file or directory", path)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (AllVersions(), {10: "/m/0010", 2: "/m/2", 1: "/m/1"}),
        (LatestVersions(1), {10: "/m/0010"}),
        (LatestVersions(2), {10: "/m/0010", 2: "/m/2"}),
        (LatestVersions(9), {10: "/m/0010", 2: "/m/2", 1: "/m/1"}),
        (SpecificVersions((2, 1)), {2: "/m/2", 1: "/m/1"}),
    ],
)
def test_versions_are_the_directories_named_by_numbers(
    selection: VersionSelection, expected: dict[int, str]
) -> None:
    """Everything else is passed over; a name keeps its leading zeros as a path and loses them as a number."""
    found = find_versions("/m", selection, children)

    assert dict(found.paths) == expected
    assert found.complete


def test_version_zero_is_a_version() -> None:
    """The lowest version is found like any other."""
    assert dict(find_versions("/m", LatestVersions(1), lambda _: ["0"]).paths) == {0: "/m/0"}


@pytest.mark.parametrize("names", [["003", "3"], ["3", "003"]])
def test_of_two_names_of_one_version_the_plain_one_wins(names: list[str]) -> None:
    """The choice does not hang on the order in which a file system lists."""
    assert dict(find_versions("/m", AllVersions(), lambda _: names).paths) == {3: "/m/3"}


def test_a_listed_version_that_is_missing_fails_alone() -> None:
    """The others are served; the missing one has a reason that names no path."""
    found = find_versions("/m", SpecificVersions((1, 7)), children)

    assert dict(found.paths) == {1: "/m/1"}
    assert dict(found.missing) == {7: "the base path has no directory for version 7"}
    assert not found.complete
    assert found.problem is None


@pytest.mark.parametrize("selection", [AllVersions(), LatestVersions(1)])
def test_a_missing_base_path_is_a_problem_of_the_model(selection: VersionSelection) -> None:
    """The reason is the operating system's."""
    found = find_versions("/m", selection, absent)

    assert found.problem == "the base path cannot be listed: No such file or directory"
    assert not found.complete


def test_a_missing_base_path_fails_each_listed_version() -> None:
    """A list of versions names what is missing."""
    found = find_versions("/m", SpecificVersions((1, 2)), absent)

    assert set(found.missing) == {1, 2}
    assert "cannot be listed" in found.missing[1]


def test_an_empty_base_path_is_a_problem_of_the_model() -> None:
    """No version found is no reason to serve none silently."""
    assert find_versions("/m", LatestVersions(1), lambda _: []).problem == (
        "the base path holds no version (a directory named by a number)"
    )


def test_files_are_no_versions(tmp_path: Path) -> None:
    """Directories and links to directories are, on a real file system."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").touch()
    (tmp_path / "3").symlink_to(tmp_path / "1")

    assert sorted(list_directories(str(tmp_path))) == ["1", "3"]


def test_a_path_that_the_system_has_no_bytes_for_is_told_like_one_that_is_missing() -> None:
    """Python raises no OSError then."""

    def no_bytes(path: str) -> Iterable[str]:
        raise UnicodeEncodeError("ascii", path, 0, 1, "ordinal not in range(128)")

    found = find_versions("/modèle", SpecificVersions((1,)), no_bytes)

    assert found.missing == {1: "the base path cannot be listed: UnicodeEncodeError"}


class Copying(Arrivals):
    """These directories are still being copied."""

    def __init__(self, *directories: str) -> None:
        super().__init__(1.0)
        self._directories = directories
        self.kept: set[str] = set()
        self.asked: list[str] = []

    def keep(self, directories: Collection[str]) -> None:
        """Remember them."""
        self.kept = set(directories)

    def complete(self, directory: str) -> bool:
        """Whether it is none of those."""
        self.asked.append(directory)
        return directory not in self._directories


@pytest.mark.parametrize(
    ("selection", "paths", "arriving", "asked"),
    [
        (LatestVersions(1), [2], (3,), ["/m/3", "/m/2"]),
        (LatestVersions(2), [2, 1], (3,), ["/m/3", "/m/2", "/m/1"]),
        (AllVersions(), [2, 1], (3,), ["/m/3", "/m/2", "/m/1"]),
        (SpecificVersions((3, 1)), [3, 1], (), []),
    ],
)
def test_a_version_that_is_being_copied_does_not_count_unless_it_is_named(
    selection: VersionSelection, paths: list[int], arriving: tuple[int, ...], asked: list[str]
) -> None:
    """The next lower one does, of the latest; what nobody wants is not looked into."""
    arrivals = Copying("/m/3")
    found = find_versions("/m", selection, lambda _: ["1", "2", "3"], arrivals)

    assert (list(found.paths), found.arriving, arrivals.asked) == (paths, arriving, asked)
    assert found.complete == (not arriving)
    assert found.problem is None


def test_nothing_but_what_is_being_copied_is_no_problem() -> None:
    """It will be there."""
    found = find_versions("/m", LatestVersions(1), lambda _: ["3"], Copying("/m/3"))
    assert (dict(found.paths), found.arriving, found.problem, found.complete) == ({}, (3,), None, False)
    both = find_versions("/m", LatestVersions(1), lambda _: ["3", "2"], Copying("/m/3", "/m/2"))
    assert both.arriving == (3,), "the other one is wanted only if it is complete first"


def test_what_is_known_of_directories_outlives_an_outage() -> None:
    """And ends with them."""
    arrivals = Copying()
    find_versions("/m", AllVersions(), lambda _: ["1", "02", "x"], arrivals)
    assert arrivals.kept == {"/m/1", "/m/02"}
    find_versions("/m", AllVersions(), absent, arrivals)
    assert arrivals.kept == {"/m/1", "/m/02"}
