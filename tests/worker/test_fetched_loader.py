"""Loaders of versions that lie in stores, and what goes wrong on the way."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle.errors import InvalidModel, LoadCancelled, LoadFailed, LoadTimedOut
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.resources import HOST
from tests.fakes.clock import FakeClock
from tests.fakes.depot import Depot, new_root, put, put_version
from tests.fakes.servables import FailingLoader
from tests.kit import numpy_models
from tests.kit.waiting import PATIENCE_SECONDS
from worker.copy_folder import CopyFolder
from worker.fetched_loader import FetchedLoader, Fetching
from worker.version_copies import VersionCopies


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    """Each test makes its own trouble."""
    Depot.reset()
    yield
    Depot.reset()


class Place:
    """A version in a store, and the folder of its copies."""

    def __init__(self, folder: Path, protocol: str = "depot") -> None:
        self.uri = f"{new_root(protocol)}/m/1"
        self.cache = folder / "cache"
        self.clock = FakeClock()
        self.local = numpy_models.write_dense(folder / "local", 1)
        self.fetching = Fetching(
            VersionCopies(CopyFolder(self.cache, 10**6)), limit_seconds=60.0, clock=self.clock
        )
        put_version(self.local, self.uri)

    def loader(self, wanted: Callable[[], bool] = lambda: True) -> FetchedLoader:
        """A loader of the version."""
        return FetchedLoader(lambda path: NumpyLoader(Path(path)), self.fetching, self.uri, wanted)

    def leftovers(self) -> list[str]:
        """What lies in the folder of the copies beside the locks."""
        return sorted(each.name for each in self.cache.iterdir() if each.suffix != ".lock")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Real files, and a store in memory."""
    return Place(tmp_path)


@pytest.mark.parametrize("protocol", ["depot", "memory"])
def test_a_version_in_a_store_is_loaded_from_a_copy(tmp_path: Path, protocol: str) -> None:
    """It answers as one of this machine."""
    place = Place(tmp_path, protocol)
    loader = place.loader()
    with pytest.raises(RuntimeError, match="is not loaded"):
        _ = loader.servable
    loader.load()

    pixels = numpy_models.pixels(3)
    given = loader.servable.run("serving_default", {"x": pixels}, ("best",))
    expected = numpy_models.expected(1, "serving_default", {"x": pixels})
    assert given["best"].tolist() == expected["best"].tolist()
    loader.unload()
    with pytest.raises(RuntimeError, match="is not loaded"):
        _ = loader.servable


def test_what_has_not_changed_is_copied_once(place: Place) -> None:
    """Also by the next worker; a file that was written again is another."""
    place.loader().load()
    files = len(list(place.local.iterdir()))
    assert len(Depot.opened) == files
    other = Fetching(VersionCopies(CopyFolder(place.cache, 10**6)), 60.0)
    other.fetch(place.uri).release()
    assert len(Depot.opened) == files

    put_version(place.local, place.uri)
    other.fetch(place.uri).release()
    assert len(Depot.opened) == 2 * files


def test_a_copy_in_use_goes_only_after_its_unload(place: Place) -> None:
    """Loaders may have mapped its files."""
    place.fetching = Fetching(VersionCopies(CopyFolder(place.cache, 10**6, keep_seconds=0.0)), 60.0)
    loader = place.loader()
    loader.load()
    assert len(place.leftovers()) == 1
    loader.unload()
    assert place.leftovers() == []


def test_what_it_needs_is_what_the_loader_of_the_copy_says(place: Place) -> None:
    """The files are copied for that, once; until the load, nobody uses the copy."""
    loader, local = place.loader(), NumpyLoader(place.local)

    before = loader.estimate_resources()
    files = len(Depot.opened)
    loader.load()
    after = loader.estimate_resources()

    assert before == after == local.estimate_resources()
    assert before.of(HOST) > 0
    assert len(Depot.opened) == files == len(list(place.local.iterdir()))


def test_an_estimate_uses_no_copy_afterwards(tmp_path: Path) -> None:
    """A version that is not loaded for want of memory keeps nothing in the cache."""
    place = Place(tmp_path)
    place.fetching = Fetching(VersionCopies(CopyFolder(place.cache, 10**6, keep_seconds=0.0)), 60.0)

    place.loader().estimate_resources()

    assert place.leftovers() == []


def test_what_the_inner_loader_refuses_lets_go_of_the_copy(place: Place) -> None:
    """The reason is the loader's own, and it can be tried again."""
    place.fetching = Fetching(VersionCopies(CopyFolder(place.cache, 10**6, keep_seconds=0.0)), 60.0)
    inner = FailingLoader(InvalidModel("corrupt"), LoadFailed("busy"))
    loader = FetchedLoader(lambda _path: inner, place.fetching, place.uri, lambda: True)

    for said in ("corrupt", "busy"):
        with pytest.raises(LoadFailed, match=said):
            loader.load()
        assert place.leftovers() == []
    loader.load()
    assert len(place.leftovers()) == 1


def test_a_store_that_gives_less_than_it_lists_is_not_believed(place: Place) -> None:
    """A half of a file is never loaded."""
    Depot.cut_bytes = 10

    with pytest.raises(LoadFailed, match=r"the store gave 10 of the [\d,]+ bytes of 'depot://") as caught:
        place.loader().load()

    assert caught.value.retriable
    assert place.leftovers() == []
    Depot.cut_bytes = None
    place.loader().load()


def test_a_store_that_gives_more_than_it_lists_is_not_believed(place: Place) -> None:
    """And does not fill the disk."""
    Depot.listed = lambda entry: {**entry, "size": 3} if entry["type"] == "file" else entry

    with pytest.raises(LoadFailed, match="the store gave more than the 3 bytes of"):
        place.loader().load()

    assert place.leftovers() == []


def test_a_sum_that_the_store_gives_is_compared(place: Place) -> None:
    """Damage that leaves the size is seen."""
    data = b"12345"
    right = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    wrong = base64.b64encode(bytes(16)).decode()
    place.uri = f"{new_root()}/m/1"
    put(place.uri, {"x": data})

    Depot.listed = lambda entry: {**entry, "md5Hash": wrong}
    with pytest.raises(LoadFailed, match="has another MD5 sum here than in its store"):
        place.fetching.fetch(place.uri)
    Depot.listed = lambda entry: {**entry, "md5Hash": right}
    assert (place.fetching.fetch(place.uri).directory / "x").read_bytes() == data


@pytest.mark.parametrize(
    "change",
    [
        lambda uri: put(uri, {"another.npy": b"1"}),
        lambda uri: put(uri, {"bias.npy": b"changed"}),
        lambda uri: Depot.store.pop(f"{Depot._strip_protocol(uri)}/model.json"),
    ],
    ids=["added", "changed", "removed"],
)
def test_a_version_that_changes_while_it_is_copied_is_not_loaded(
    place: Place, change: Callable[[str], object]
) -> None:
    """What was copied may be of two versions."""
    last = max(each.name for each in place.local.iterdir())
    changes = [change]

    def on_block(path: str) -> None:
        if path.endswith(last) and changes:
            changes.pop()(place.uri)

    Depot.on_block = on_block

    with pytest.raises(LoadFailed, match="has changed while it was copied") as caught:
        place.loader().load()

    assert caught.value.retriable
    assert place.leftovers() == []


def test_a_version_that_vanishes_while_it_is_copied_fails_with_the_reason(place: Place) -> None:
    """And leaves nothing."""
    Depot.on_block = lambda _path: Depot.store.clear()

    with pytest.raises(LoadFailed, match="the store has nothing there"):
        place.loader().load()

    assert place.leftovers() == []


def test_a_store_that_fails_in_the_middle_leaves_nothing(place: Place) -> None:
    """The next try begins anew."""
    trouble: list[Exception] = [ConnectionError("reset by peer")]

    def on_block(_path: str) -> None:
        if len(Depot.opened) == 2 and trouble:
            raise trouble.pop()

    Depot.on_block = on_block

    with pytest.raises(LoadFailed, match=r"cannot be read: the store does not .*reset by peer"):
        place.loader().load()

    assert place.leftovers() == []
    place.loader().load()


def test_a_copy_that_nobody_wants_any_more_ends_between_two_blocks(place: Place) -> None:
    """Its thread is free for others."""
    wanted = [True]

    def on_block(_path: str) -> None:
        wanted[0] = False

    Depot.on_block = on_block

    with pytest.raises(LoadCancelled, match="nobody wants that version any more"):
        place.loader(lambda: wanted[0]).load()

    assert len(Depot.opened) == 1
    assert place.leftovers() == []


def test_a_copy_that_takes_too_long_ends_between_two_blocks(place: Place) -> None:
    """As long as a load may take."""
    Depot.on_block = lambda _path: place.clock.advance(31.0)

    with pytest.raises(LoadTimedOut, match=r"was given up after 60 s \(lifecycle.load_timeout_seconds\)"):
        place.loader().load()

    assert len(Depot.opened) < 3
    assert place.leftovers() == []


def test_a_store_that_hangs_holds_up_its_own_version_alone(place: Place) -> None:
    """Another version, of another place, is copied meanwhile."""
    entered, go_on = threading.Event(), threading.Event()
    other = f"{new_root()}/m/1"
    put_version(place.local, other)

    def on_block(path: str) -> None:
        if path.startswith(Depot._strip_protocol(place.uri)):
            entered.set()
            assert go_on.wait(PATIENCE_SECONDS)

    Depot.on_block = on_block
    loader = place.loader()
    hanging = threading.Thread(target=loader.load)
    hanging.start()
    assert entered.wait(PATIENCE_SECONDS)

    place.fetching.fetch(other).release()

    go_on.set()
    hanging.join(PATIENCE_SECONDS)
    assert set(loader.servable.signatures) == {"serving_default"}
