"""Loaders that other distributions bring."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle.errors import LoadFailed, PermanentLoadFailure
from lifecycle.numpy_loader import NumpyLoader
from tests.kit import distributions, numpy_models
from worker import custom_loaders
from worker.loaders import SHIPPED, LoaderFactory, Loaders
from worker.version_sources import Source

MODULE = """
from pathlib import Path
from lifecycle.errors import InvalidModel
from lifecycle.numpy_loader import NumpyLoader
made = []
def mine(path, version):
    made.append((path, version))
    return NumpyLoader(Path(path))
def nothing(path, version):
    return None
def breaks(path, version):
    raise ValueError("no such device")
def refuses(path, version):
    raise InvalidModel("version 3 is for another device")
"""

Install = Callable[[str], LoaderFactory]


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Gives the factory of a loader `own` that the distribution `our-models` offers at the place named."""

    def install(value: str) -> LoaderFactory:
        site = tmp_path / "site"
        distribution = distributions.install(site, "our-models", {"own": value})
        (site / "our_models.py").write_text(MODULE)
        monkeypatch.syspath_prepend(site)
        return custom_loaders.find(SHIPPED, [distribution]).factories["own"]

    yield install
    sys.modules.pop("our_models", None)


def test_an_installed_loader_is_found_by_the_name_of_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed on the path is looked at, without being told where."""
    distributions.install(tmp_path, "our-models", {"own": "our_models:mine"})
    monkeypatch.syspath_prepend(tmp_path)

    found = custom_loaders.find(SHIPPED)

    assert "own" in found.factories
    assert not [problem for problem in found.problems if "our-models" in problem]


def test_a_custom_loader_is_imported_by_its_first_load_and_loads_and_unloads(
    offered: Install, tmp_path: Path
) -> None:
    """A worker that serves no such model pays for no import; one that does gets the distribution's own loader."""
    directory = numpy_models.write_dense(tmp_path, 3)
    loader = Loaders({"own": offered("our_models:mine")}).loader(Source("own", str(directory)), 3)
    assert "our_models" not in sys.modules

    loader.load()

    assert sys.modules["our_models"].made == [(str(directory), 3)]
    assert set(loader.servable.signatures) == {"serving_default"}
    loader.unload()
    with pytest.raises(RuntimeError, match="not loaded"):
        _ = loader.servable


def test_a_second_try_loads_with_the_loader_of_the_first(offered: Install, tmp_path: Path) -> None:
    """A loader may count its tries, as one of ours may."""
    loader = offered("our_models:mine")(str(tmp_path / "1"), 1)
    with pytest.raises(LoadFailed):
        loader.load()
    numpy_models.write_dense(tmp_path)

    loader.load()

    assert len(sys.modules["our_models"].made) == 1
    loader.unload()


def test_a_servable_before_the_first_load_is_a_fault_of_the_caller(offered: Install) -> None:
    """It names the loader."""
    with pytest.raises(RuntimeError, match="loader 'own' has not loaded"):
        _ = offered("our_models:mine")("/m/1", 1).servable


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ("our_modules:mine", PermanentLoadFailure, "cannot be imported on this worker: ModuleNotFoundError"),
        ("our_models:yours", PermanentLoadFailure, "cannot be imported on this worker: AttributeError"),
        (
            "our_models:nothing",
            PermanentLoadFailure,
            "returned a NoneType, which is no loader: it has no load",
        ),
        ("our_models:breaks", LoadFailed, "could not be made for /m/1: ValueError: no such device"),
    ],
)
def test_a_broken_loader_fails_its_own_loads_and_names_itself(
    offered: Install, value: str, error: type[LoadFailed], said: str
) -> None:
    """The reason that status and log show has the loader, the entry point, the distribution and the error."""
    loader = offered(value)("/m/1", 1)

    with pytest.raises(error) as caught:
        loader.load()

    assert type(caught.value) is error
    assert str(caught.value).startswith(f"loader 'own' ({value} of our-models 1.0) {said}")


def test_what_a_loader_says_of_its_model_is_left_as_it_is(offered: Install) -> None:
    """Whether a repetition helps is the loader's to say."""
    with pytest.raises(PermanentLoadFailure, match=r"^version 3 is for another device$"):
        offered("our_models:refuses")("/m/3", 3).load()


def test_a_name_of_our_own_is_not_taken_over(tmp_path: Path) -> None:
    """A model that says numpy gets the loader that it always got."""
    theirs = distributions.install(
        tmp_path, "our-models", {"numpy": "our_models:mine", "own": "our_models:mine"}
    )

    found = custom_loaders.find(SHIPPED, [theirs])

    assert list(found.factories) == ["own"]
    (problem,) = found.problems
    assert problem == (
        "loader 'numpy' is headrace's own; our_models:mine of our-models 1.0 must offer its loader by another name, "
        "and is not used"
    )
    assert isinstance(Loaders({**SHIPPED, **found.factories}).loader(Source("numpy", "/m/1"), 1), NumpyLoader)


def test_a_name_that_two_offer_is_nobodys(tmp_path: Path) -> None:
    """Which one a model would get must not depend on the order of installation."""
    both = [
        distributions.install(tmp_path, "ours", {"own": "ours:mine"}),
        distributions.install(tmp_path, "theirs", {"own": "theirs:make"}, release="2.1"),
    ]

    found = custom_loaders.find(SHIPPED, both)

    assert not found.factories
    (problem,) = found.problems
    assert problem == (
        "loader 'own' is offered more than once, by ours:mine of ours 1.0 and theirs:make of theirs 2.1; "
        "none of them is used: remove all but one"
    )


def test_a_distribution_found_twice_on_the_path_counts_once(tmp_path: Path) -> None:
    """Python imports from the first place, whatever the second has."""
    twice = [
        distributions.install(tmp_path / "a", "Our.Models", {"own": "not_there:mine"}, release="2.0"),
        distributions.install(tmp_path / "b", "our-models", {"own": "not_there:mine"}),
    ]

    found = custom_loaders.find(SHIPPED, twice)

    assert not found.problems
    with pytest.raises(PermanentLoadFailure, match=r"Our\.Models 2\.0"):
        found.factories["own"]("/m/1", 1).load()


def test_a_name_that_no_record_could_say_is_refused(tmp_path: Path) -> None:
    """The rule is that of the control topic."""
    found = custom_loaders.find(SHIPPED, [distributions.install(tmp_path, "ours", {"-x y": "ours:mine"})])

    assert not found.factories
    assert "loader '-x y' is not allowed" in found.problems[0]
    assert "ours:mine of ours 1.0" in found.problems[0]


def test_unreadable_metadata_is_a_problem_of_its_distribution_alone(tmp_path: Path) -> None:
    """Others are found all the same."""
    broken = distributions.install(
        tmp_path, "broken", {}, entry_points="[headrace.loaders]\nno equals sign\n"
    )
    sound = distributions.install(tmp_path, "sound", {"own": "sound:mine"})

    found = custom_loaders.find(SHIPPED, [broken, sound])

    assert list(found.factories) == ["own"]
    assert found.problems[0].startswith("the entry points of broken cannot be read")
