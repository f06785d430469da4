"""Which directories control records may name."""

from pathlib import Path

import pytest

from lifecycle.errors import LoadFailed, PermanentLoadFailure
from lifecycle.numpy_loader import NumpyLoader
from schemas.model_config import ModelConfig
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions
from tests.kit import numpy_models
from worker.arrivals import Arrivals, Contents, scan
from worker.base_path_roots import SETTING, BasePathRoots, normal_root
from worker.control_record import InvalidControlRecord, Known, check_config
from worker.operator_rules import OperatorRules
from worker.rooted_loader import RootedLoader, rooted
from worker.told_reasons import told
from worker.version_paths import find_versions, list_directories


@pytest.mark.parametrize(
    ("root", "normal"),
    [
        ("/srv/models", "/srv/models"),
        ("/srv//models/./", "/srv/models"),
        ("/", "/"),
        ("file:///srv/models/", "/srv/models"),
        ("s3://bucket/models/", "s3://bucket/models"),
    ],
)
def test_a_root_is_an_absolute_path_or_a_place_in_a_store(root: str, normal: str) -> None:
    """Written in whatever way."""
    assert normal_root(root) == normal


@pytest.mark.parametrize(
    "root", ["", "models", "./models", "/srv/../models", "~/models", "s3:/bucket", "/m\0"]
)
def test_what_could_mean_another_place_is_no_root(root: str) -> None:
    """It is refused before a worker starts."""
    with pytest.raises(ValueError, match="is no root; expected an absolute path"):
        normal_root(root)


@pytest.mark.parametrize(
    "path", ["/srv/models", "/srv/models/", "/srv/models/m", "/srv//models/./m/n", "/b/c"]
)
def test_a_path_under_one_of_the_roots_may_be_named(path: str) -> None:
    """Or the root itself."""
    assert BasePathRoots(["/srv/models", "/b"]).problem_of_text(path) is None


@pytest.mark.parametrize(
    "path", ["/srv", "/", "/srv/models2", "/srv/model", "/etc/srv/models", "srv/models/m"]
)
def test_a_path_elsewhere_may_not_be_named(path: str) -> None:
    """The sentence has the path, the roots, and what to do; requesters get it without either path."""
    problem = BasePathRoots(["/srv/models", "/b"]).problem_of_text(path)

    assert problem is not None
    assert problem.startswith(f"base_path {path!r} lies under none of {SETTING} ('/srv/models', '/b'); put")
    assert "start the workers again" in problem
    assert "/srv" not in told(problem)


@pytest.mark.parametrize("path", ["/srv/models/../m", "/srv/models/..", "/../srv/models"])
def test_a_path_may_not_climb(path: str) -> None:
    """Where it ends is not worked out."""
    assert "has '..' in it" in str(BasePathRoots(["/srv/models"]).problem_of_text(path))


@pytest.mark.parametrize(
    "root",
    ["s3://", "s3://bucket/../other", "simplecache::s3://bucket/m", "s3://me:hidden@bucket/m", "file:///"],
)
def test_what_could_mean_another_place_in_a_store_is_no_root(root: str) -> None:
    """What may be a password is not repeated."""
    with pytest.raises(ValueError, match=r"root|folder|place") as caught:
        normal_root(root)

    assert "hidden" not in str(caught.value)


STORES = BasePathRoots(["/srv/models", "s3://bucket/models"])


@pytest.mark.parametrize(
    "path", ["s3://bucket/models", "s3://bucket/models/", "s3://bucket/models/m", "s3://bucket/models/m/n/"]
)
def test_a_place_in_a_store_under_one_of_the_roots_may_be_named_and_opened(path: str) -> None:
    """By its text alone: nobody is asked."""
    assert STORES.problem_of_text(path) is None
    assert STORES.problem_of(path) is None
    assert STORES.store_root_of(path) == "s3://bucket/models"


@pytest.mark.parametrize(
    "path",
    [
        "s3://bucket",
        "s3://bucket/models2",
        "s3://other/models/m",
        "gs://bucket/models/m",
        "http://169.254.169.254/latest",
        "memory://srv/models",
    ],
)
def test_a_place_in_a_store_elsewhere_may_be_neither_named_nor_opened(path: str) -> None:
    """The sentence says what to do; requesters get it without the place."""
    for problem in (STORES.problem_of_text(path), STORES.problem_of(path)):
        assert problem is not None
        assert f"{path!r} lies under none of {SETTING} ('/srv/models', 's3://bucket/models'); put" in problem
        assert path not in told(problem)
    assert STORES.store_root_of(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "s3://bucket/models/../other",
        "s3://bucket/models//m",
        "s3://bucket/models/%2e%2e/other",
        "s3://bucket/other::file:///srv/models",
        "s3://me:hidden@bucket/models",
    ],
)
def test_a_place_that_could_mean_another_may_be_neither_named_nor_opened(path: str) -> None:
    """What may be a password is not repeated."""
    named = ModelConfig(path, loader="numpy")
    with pytest.raises(InvalidControlRecord) as caught:
        check_config(named, Known(rules=OperatorRules(STORES)))

    assert "hidden" not in str(caught.value)
    assert "empty segment" in str(caught.value) or "a base_path has '::'" in str(caught.value)


@pytest.mark.parametrize("path", ["s3://bucket/models", "http://localhost:8080/admin", "memory://m"])
def test_without_roots_no_place_in_a_store_may_be_named_or_opened(path: str) -> None:
    """A control record has no worker reach out by itself."""
    for problem in (BasePathRoots().problem_of_text(path), BasePathRoots().problem_of(path)):
        assert f"{path!r} lies in a store, and {SETTING} names no place in one" in str(problem)


def test_a_file_uri_is_the_path_that_it_names(place: "Place") -> None:
    """It is allowed, listed and loaded as that, links and all."""
    roots = BasePathRoots([f"file://{place.root}"])
    linked = place.link("linked", place.outside)

    assert roots.problem_of_text(f"file://{place.root}/m") is None
    assert "lies under none" in str(roots.problem_of_text(f"file://{place.outside}"))
    assert dict(
        find_versions(f"file://{place.root}/m", LatestVersions(1), rules=OperatorRules(roots)).paths
    ) == {1: str(place.inside)}
    assert "leads to" in str(find_versions(f"file://{linked}", LatestVersions(1), rules=place.rules).problem)


def test_a_copy_is_loaded_though_it_lies_under_no_root_and_may_not_be_named(place: "Place") -> None:
    """Loads read it, records do not."""
    copies = place.outside
    roots = BasePathRoots(["s3://bucket/models"], copies=str(copies))
    loader = rooted(lambda path, _version: NumpyLoader(Path(path)), roots)(str(copies / "1"), 1)

    loader.load()
    loader.unload()

    assert "lies under none" in str(roots.problem_of_text(str(copies)))


def test_without_roots_any_path_may_be_named_and_opened(tmp_path: Path) -> None:
    """As before there were any."""
    roots = BasePathRoots()

    assert not roots
    assert roots.problem_of_text("/anywhere/../else") is None
    assert roots.problem_of("/anywhere") is None
    assert roots.guarded(scan) is scan
    assert rooted(lambda path, _version: NumpyLoader(Path(path)), roots)("/m/1", 1).__class__ is NumpyLoader


def test_many_and_long_paths_are_named_in_short() -> None:
    """The sentence is not cut where a record's problems are, so that its end, what to do, is there."""
    problem = BasePathRoots([f"/{n}{'x' * 500}" for n in range(50)]).problem_of_text("/" + "m" * 4000)

    assert problem is not None
    assert " and 47 more)" in problem
    assert str(InvalidControlRecord(problem)) == problem


class Place:
    """A root with a model in it, another model beside the root, and links between them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.outside = folder / "models", folder / "outside"
        self.inside = numpy_models.write_dense(self.root / "m", 1)
        numpy_models.write_dense(self.outside, 1)
        self.roots = BasePathRoots([str(self.root)])
        self.rules = OperatorRules(self.roots)

    def link(self, name: str, target: Path) -> Path:
        """A link at a place under the root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Real files."""
    return Place(tmp_path)


def opened(path: str) -> tuple[str, ...]:
    """Must not happen."""
    pytest.fail(f"{path} was opened")


@pytest.mark.parametrize("selection", [SpecificVersions((1,)), LatestVersions(1), AllVersions()])
def test_a_base_path_that_a_link_leads_out_is_not_opened(
    place: Place, selection: SpecificVersions | LatestVersions | AllVersions
) -> None:
    """The reason says where it leads."""
    linked = place.link("linked", place.outside)

    found = find_versions(str(linked), selection, opened, rules=place.rules)

    assert not found.paths
    reason = found.problem or found.missing[1]
    assert reason.startswith(
        f"the base path is not opened: '{linked}' leads to '{place.outside}', which lies under none of {SETTING}"
    )
    assert str(place.outside) not in told(reason)


def test_a_path_below_a_link_that_leads_out_is_not_opened(place: Place) -> None:
    """The link may stand anywhere in the path."""
    linked = place.link("a/b", place.outside.parent)

    found = find_versions(str(linked / "outside"), LatestVersions(1), opened, rules=place.rules)

    assert "leads to" in str(found.problem)


def test_a_link_within_the_roots_is_followed(place: Place, tmp_path: Path) -> None:
    """As is a root that is a link itself."""
    linked = place.link("alias", place.root / "m")
    (tmp_path / "root").symlink_to(place.root)
    rules = OperatorRules(BasePathRoots([str(tmp_path / "root")]))

    for base in (linked, tmp_path / "root" / "m"):
        assert dict(find_versions(str(base), LatestVersions(1), rules=rules).paths) == {1: str(base / "1")}


def test_a_version_that_a_link_leads_out_is_refused_alone(place: Place) -> None:
    """Whichever way it is asked for; the others of its model are served, and it is not looked into."""
    linked = place.link("m/2", place.outside / "1")
    base = str(place.root / "m")
    looked: list[str] = []

    def look(path: str) -> Contents:
        looked.append(path)
        return scan(path)

    arrivals = Arrivals(1.0, look, wall=lambda: 1e12)
    listed = find_versions(base, SpecificVersions((1, 2)), rules=place.rules)
    latest = find_versions(base, LatestVersions(1), list_directories, arrivals, place.rules)

    for found in (listed, latest):
        assert dict(found.paths) == {1: str(place.inside)}
        assert set(found.missing) == {2}
        assert f"'{linked}' leads to '{place.outside / '1'}'" in found.missing[2]
        assert not found.complete
    assert looked == [str(place.inside)]


def test_a_guarded_look_opens_nothing_outside(place: Place) -> None:
    """It fails as one that the system does not allow."""
    look = place.roots.guarded(scan)

    assert look(str(place.inside)).files
    with pytest.raises(PermissionError, match="lies under none"):
        look(str(place.outside))


@pytest.mark.parametrize("name", ["weights.npy", "assets/deep/words.txt"])
def test_a_version_with_a_link_out_is_not_loaded(place: Place, name: str) -> None:
    """Whatever the depth; the loader is not even asked."""
    place.link(f"m/1/{name}.link", place.outside / "1" / "weights.npy")
    loader = RootedLoader(NumpyLoader(place.inside), place.roots, str(place.inside))

    with pytest.raises(
        PermanentLoadFailure, match=r"leads to .*outside/1/weights\.npy', which lies under none"
    ):
        loader.load()
    with pytest.raises(RuntimeError):
        _ = loader.servable


def test_a_version_that_became_a_link_since_it_was_found_is_not_loaded(place: Place) -> None:
    """It is looked at once more right before its load."""
    linked = place.link("n/1", place.outside / "1")
    loader = rooted(lambda path, _version: NumpyLoader(Path(path)), place.roots)(str(linked), 1)

    with pytest.raises(PermanentLoadFailure, match="lies under none"):
        loader.load()


def test_links_within_the_roots_and_in_circles_are_loaded(place: Place) -> None:
    """Mounts of Kubernetes are made of links, and a circle ends."""
    data = place.root / "m" / "..data"
    place.inside.rename(data)
    place.link("m/1", data)
    (data / "self").symlink_to(data)
    (data / "nowhere").symlink_to(data / "missing")
    loader = rooted(lambda path, _version: NumpyLoader(Path(path)), place.roots)(str(place.inside), 1)

    loader.load()

    assert set(loader.servable.signatures) == {"serving_default"}
    loader.unload()


def test_a_version_that_is_missing_is_its_loaders_to_tell(place: Place) -> None:
    """And may still come."""
    missing = place.root / "m" / "7"
    loader = rooted(lambda path, _version: NumpyLoader(Path(path)), place.roots)(str(missing), 7)

    with pytest.raises(LoadFailed) as caught:
        loader.load()

    assert caught.value.retriable
