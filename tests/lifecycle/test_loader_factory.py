"""Which versions exist, and how they are loaded."""

from pathlib import Path

import pytest

from lifecycle import errors
from lifecycle.loader_factory import PathPrefixLoaderFactory
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.servable_id import ServableId
from tests.kit import numpy_models


@pytest.fixture
def factory(tmp_path: Path) -> PathPrefixLoaderFactory:
    """Finds NumPy models under `models`."""
    return PathPrefixLoaderFactory(tmp_path / "models", NumpyLoader)


def test_version_is_its_directory(factory: PathPrefixLoaderFactory, tmp_path: Path) -> None:
    """PREFIX/NAME/VERSION is loaded by the loader of that directory."""
    for version in (1, 10):
        numpy_models.write_dense(tmp_path / "models" / "digits", version)

    assert sorted(factory.versions("digits")) == [1, 10]
    loader = factory.loader(ServableId("digits", 10))
    loader.load()
    x = numpy_models.pixels(3)
    best = loader.servable.run("serving_default", {"x": x}, ("best",))["best"]
    assert best.tolist() == numpy_models.expected(10, "serving_default", {"x": x})["best"].tolist()
    loader.unload()


def test_what_is_no_number_and_no_directory_is_passed_over(
    factory: PathPrefixLoaderFactory, tmp_path: Path
) -> None:
    """Only directories named by a number are versions; zeros in front are taken, and the plain name wins."""
    for name in ("0", "3", "003", "0007", "-1", "1.5", "new", "\u0665"):
        (tmp_path / "models" / "m" / name).mkdir(parents=True)
    (tmp_path / "models" / "m" / "9").touch()

    made: list[Path] = []

    def make(directory: Path) -> NumpyLoader:
        made.append(directory)
        return NumpyLoader(directory)

    factory = PathPrefixLoaderFactory(tmp_path / "models", make)
    assert sorted(factory.versions("m")) == [0, 3, 7]
    for version in (3, 7):
        factory.loader(ServableId("m", version))
    assert [each.name for each in made] == ["3", "0007"]


def test_unknown_name_has_no_version(factory: PathPrefixLoaderFactory, tmp_path: Path) -> None:
    """A name without a directory is no error, whether the prefix is there or not."""
    assert not factory.versions("m")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "file").touch()

    assert not factory.versions("m")
    assert not factory.versions("file")
    with pytest.raises(
        errors.ServableNotFound, match="version 1 of servable 'm' has no directory; there: none"
    ):
        factory.loader(ServableId("m", 1))


def test_unknown_version_is_told_with_those_that_are_there(
    factory: PathPrefixLoaderFactory, tmp_path: Path
) -> None:
    """Whoever asks for a version that was removed sees what is left."""
    for version in ("10", "9"):
        (tmp_path / "models" / "m" / version).mkdir(parents=True)

    with pytest.raises(errors.ServableNotFound, match=r"version 8 .* there: 9, 10"):
        factory.loader(ServableId("m", 8))


@pytest.mark.parametrize("name", ["..", ".", "", "m/..", "a/m", "m/", "/", "m\0", "\ud800", "../models/m"])
def test_name_does_not_lead_out_of_the_prefix(
    factory: PathPrefixLoaderFactory, tmp_path: Path, name: str
) -> None:
    """Names come with requests: one that is no plain name of a directory is not known."""
    for directory in ("models/m/1", "models/a/m/1", "models/1", "1"):
        (tmp_path / directory).mkdir(parents=True)

    assert factory.versions("m")
    assert not factory.versions(name)


def test_name_too_long_for_a_directory_is_told(factory: PathPrefixLoaderFactory, tmp_path: Path) -> None:
    """What cannot be looked for is no missing version: it is said as a load that failed, in the system's words."""
    (tmp_path / "models").mkdir()

    with pytest.raises(errors.LoadFailed, match=r"cannot be listed: .*too long"):
        factory.versions("m" * 5000)
