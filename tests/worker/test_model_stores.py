"""Base paths in stores, from the control record to the answer."""

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.execution import BasicManagerOptions
from lifecycle.loader_harness import LoadOptions
from lifecycle.servable_state import ServableState
from schemas import codec
from schemas.model_config import ModelConfig
from schemas.version_selection import LatestVersions, SpecificVersions, VersionSelection
from tests.fakes.depot import Depot, new_root, put, put_version
from tests.kit import numpy_models
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker import managing, model_stores, stored_versions
from worker.arrivals import Arrivals
from worker.aspirations import Aspirations, Watch
from worker.model_table import Change, ModelTable
from worker.settings import Settings

WATCH_SECONDS, QUIET_SECONDS = 5.0, 8.0


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    """Each test makes its own trouble."""
    Depot.reset()
    yield
    Depot.reset()


class World:
    """A worker's models as its settings make them, stepped by hand: real loaders and copies, a store in memory."""

    def __init__(
        self, folder: Path, protocol: str = "depot", *, threads: bool = False, **cache: object
    ) -> None:
        self.folder = folder
        self.root = new_root(protocol)
        self.base = f"{self.root}/m"
        self.now = 0.0
        self.offset = -1
        self.settings = Settings.model_validate(
            {
                "worker_id": "w",
                "lifecycle": {"base_path_roots": [self.root, str(folder / "local")], "warmup": False},
                "model_cache": {"folder": str(folder / "cache"), **cache},
            }
        )
        self.start(threads=threads)

    def start(self, *, threads: bool = False) -> None:
        """A worker starts, with nothing in memory."""
        loaders, rules = managing.new_loaders(self.settings)
        scan = rules.roots.guarded(stored_versions.scan)
        self.table = ModelTable(loaders, rules=rules)
        self.manager = AspiredVersionsManager(
            AspiredVersionsManagerOptions(
                basic=BasicManagerOptions(load=LoadOptions(retries=0)), reload_failed_when_aspired_again=True
            )
        )
        watch = Watch(
            WATCH_SECONDS,
            new_arrivals=lambda: Arrivals(QUIET_SECONDS, scan, lambda: self.now, lambda: self.now),
            scan=scan,
        )
        executors = model_stores.look_executors(rules.roots)
        self.aspirations = Aspirations(
            self.table,
            self.manager,
            loaders,
            directories=stored_versions.list_directories,
            watch=replace(watch, executor_of=executors) if threads else watch,
        )

    def put(self, version: int) -> None:
        """A version is put into the store, one file after the other."""
        local = self.folder / "written" / str(version)
        if not local.exists():
            numpy_models.write_dense(local.parent, version)
        put_version(local, f"{self.base}/{version}")

    def set(
        self, versions: VersionSelection | None = None, base_path: str | None = None, name: str = "m"
    ) -> Change:
        """A control record comes."""
        config = ModelConfig(base_path or self.base, loader="numpy", versions=versions or LatestVersions(1))
        self.offset += 1
        change, _ = self.table.apply(name.encode(), codec.encode(config), self.offset)
        if change is Change.SET:
            self.aspirations.changed(name)
        return change

    def settle(self, seconds: float = 0.0) -> None:
        """Let the time pass and everybody work."""
        self.now += seconds
        for _ in range(6):
            self.aspirations.step(self.now)
            self.manager.step()

    def wait_quiet(self) -> None:
        """What was just put there comes to be taken for complete: its times lie in the future of these clocks."""
        for _ in range(4):
            self.settle(QUIET_SECONDS / 2)

    def states(self) -> Mapping[int, ServableState]:
        """The versions of `m`."""
        return {s.id.version: s.state for s in self.manager.states() if s.id.name == "m"}

    def available(self, name: str = "m") -> list[int]:
        """The available versions of a model."""
        return [each.version for each in self.manager.available_ids() if each.name == name]

    def answers(self, version: int) -> bool:
        """Whether `m` answers as that version does."""
        pixels = numpy_models.pixels(2)
        with self.manager.handle("m") as handle:
            given = handle.servable.run("serving_default", {"x": pixels}, ("best",))
        expected = numpy_models.expected(version, "serving_default", {"x": pixels})
        return bool((given["best"] == expected["best"]).all())


@pytest.mark.parametrize("protocol", ["depot", "memory"])
def test_a_model_whose_base_path_lies_in_a_store_serves(tmp_path: Path, protocol: str) -> None:
    """And follows new versions there."""
    world = World(tmp_path, protocol)
    world.put(1)
    assert world.set() is Change.SET
    world.wait_quiet()
    assert world.available() == [1]
    assert world.answers(1)

    world.put(2)
    world.settle(WATCH_SECONDS)
    assert world.available() == [1]
    world.wait_quiet()
    assert world.available() == [2]
    assert world.answers(2)


def test_a_version_that_is_named_is_loaded_at_once(tmp_path: Path) -> None:
    """Who names it says that it is there."""
    world = World(tmp_path)
    world.put(1)
    world.set(SpecificVersions((1,)))
    world.settle()

    assert world.answers(1)


def test_a_file_uri_is_served_without_a_copy(tmp_path: Path) -> None:
    """It is a directory of this machine."""
    world = World(tmp_path)
    numpy_models.write_dense(tmp_path / "local", 1)
    world.set(SpecificVersions((1,)), f"file://{tmp_path}/local")
    world.settle()

    assert world.answers(1)
    assert not (tmp_path / "cache").exists()


def test_a_version_that_is_being_copied_into_the_store_is_not_loaded(tmp_path: Path) -> None:
    """A slow copy, file by file; what served goes on until the last one has come to rest."""
    world = World(tmp_path)
    world.put(1)
    world.set()
    world.wait_quiet()
    local = numpy_models.write_dense(tmp_path / "written", 2)
    for file in sorted(local.iterdir()):
        put(f"{world.base}/2", {file.name: file.read_bytes()[:10]})
        world.settle(QUIET_SECONDS - 1.0)
        put(f"{world.base}/2", {file.name: file.read_bytes()})
        world.settle(QUIET_SECONDS - 1.0)
        assert world.available() == [1]
    assert world.table.models["m"].arriving == (2,)

    world.wait_quiet()
    assert world.available() == [2]
    assert world.answers(2)


@pytest.mark.parametrize(
    "trouble", [TimeoutError("no answer"), PermissionError("Forbidden"), FileNotFoundError("x")]
)
def test_a_store_that_is_away_takes_nothing_away(
    tmp_path: Path, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, with the reason, and once more when it is back; what has come meanwhile is served then."""
    world = World(tmp_path)
    world.put(1)
    world.set()
    world.wait_quiet()
    caplog.set_level(logging.INFO, "worker")
    caplog.clear()
    Depot.away = trouble
    for _ in range(20):
        world.settle(WATCH_SECONDS)
        assert world.available() == [1]
        assert world.answers(1)
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "the base path cannot be listed: the store " in vars(warned[0])["problem"]
    assert world.table.models["m"].problem is None

    Depot.away = None
    world.put(2)
    world.wait_quiet()
    assert world.available() == [2]
    assert [each.message for each in caplog.records].count("every version that is wanted is there now") == 1


def test_a_store_that_is_away_at_the_start_is_told_and_waited_for(tmp_path: Path) -> None:
    """As a problem of its model alone."""
    world = World(tmp_path)
    world.put(1)
    numpy_models.write_dense(tmp_path / "local", 1)
    Depot.away = TimeoutError("no answer")
    world.set()
    world.set(SpecificVersions((1,)), str(tmp_path / "local"), name="other")
    world.settle()
    assert world.available("other") == [1]
    assert "the store does not answer as it should (TimeoutError: no answer)" in str(
        world.table.models["m"].problem
    )

    Depot.away = None
    world.settle(20.0)
    world.wait_quiet()
    assert world.answers(1)


def test_a_look_that_hangs_in_a_store_holds_up_no_other_path(tmp_path: Path) -> None:
    """Each root has a thread of its own for looks."""
    entered, go_on = threading.Event(), threading.Event()
    world = World(tmp_path, threads=True)
    world.put(1)
    numpy_models.write_dense(tmp_path / "local", 1)

    def hang() -> None:
        entered.set()
        assert go_on.wait(PATIENCE_SECONDS)

    Depot.on_look = hang
    world.set(SpecificVersions((1,)))
    assert entered.wait(PATIENCE_SECONDS)
    world.set(SpecificVersions((1,)), str(tmp_path / "local"), name="other")
    world.settle()
    assert world.available("other") == [1]
    assert world.available() == []

    Depot.on_look = lambda: None
    go_on.set()

    def served() -> bool:
        world.settle()
        return world.available() == [1]

    wait_until(served, "the model in the store")
    world.aspirations.close(PATIENCE_SECONDS)


def test_a_load_that_fails_in_the_store_displaces_nothing_and_says_why(tmp_path: Path) -> None:
    """The version has the reason; the one before serves."""
    world = World(tmp_path)
    world.put(1)
    world.set(SpecificVersions((1,)))
    world.settle()
    world.put(2)
    Depot.cut_bytes = 10
    world.set(SpecificVersions((2,)))
    world.settle()

    assert world.states() == {1: ServableState.AVAILABLE, 2: ServableState.END}
    (failed,) = [each for each in world.manager.states() if each.id.version == 2]
    assert f"bytes of '{world.base}/2/" in str(failed.error)
    Depot.cut_bytes = None
    world.set(SpecificVersions((2,)))
    world.settle()
    assert world.answers(2)


def test_a_worker_that_starts_again_copies_nothing_that_has_not_changed(tmp_path: Path) -> None:
    """Its copies are still there."""
    world = World(tmp_path)
    world.put(1)
    world.set(SpecificVersions((1,)))
    world.settle()
    copied = len(Depot.opened)
    world.start()
    world.set(SpecificVersions((1,)))
    world.settle()

    assert world.answers(1)
    assert len(Depot.opened) == copied


def test_a_removed_model_leaves_no_copy_where_none_is_kept(tmp_path: Path) -> None:
    """With `keep_seconds` 0 it goes with its version."""
    world = World(tmp_path, keep_seconds=0.0)
    world.put(1)
    world.set(SpecificVersions((1,)))
    world.settle()
    assert list((tmp_path / "cache").glob("*-*/1/model.json"))
    world.table.apply(b"m", None, 1)
    world.aspirations.changed("m")
    world.settle()

    assert world.states() == {}
    assert [each.name for each in (tmp_path / "cache").iterdir()] == ["room.lock"]


def test_a_version_that_finds_no_room_fails_alone(tmp_path: Path) -> None:
    """The one before stays, and the reason says what to set."""
    world = World(tmp_path)
    world.put(1)
    one = sum(each.size_bytes for each in stored_versions.files_of(f"{world.base}/1"))
    world.settings = world.settings.model_copy(
        update={"model_cache": world.settings.model_cache.model_copy(update={"most_bytes": one + 100})}
    )
    world.start()
    world.set(SpecificVersions((1,)))
    world.settle()
    world.put(2)
    world.set(SpecificVersions((2,)))
    world.settle()

    assert world.states() == {1: ServableState.AVAILABLE, 2: ServableState.END}
    (failed,) = [each for each in world.manager.states() if each.id.version == 2]
    assert "there is no room for a copy of" in str(failed.error)
    assert f"(model_cache.most_bytes) {one:,} are in use by '{world.base}/1'" in str(failed.error)


def test_a_copy_is_given_up_when_a_record_takes_its_model_away(tmp_path: Path) -> None:
    """The control thread says so while a load thread copies."""
    world = World(tmp_path)
    world.put(1)
    world.set(SpecificVersions((1,)))

    def on_block(_path: str) -> None:
        world.table.apply(b"m", None, 1)
        world.aspirations.changed("m")
        world.aspirations.step(world.now)

    Depot.on_block = on_block
    world.settle()

    assert len(Depot.opened) == 1
    assert world.available() == []
    assert not list((tmp_path / "cache").glob("*-*/1"))


@pytest.mark.parametrize(
    "base_path",
    [
        "http://169.254.169.254/latest/meta-data",
        "memory://elsewhere/m",
        "{root}/../other",
        "{root}2/m",
        "{root}/m::file:///etc",
        "simplecache::{root}/m",
        "{root}/%2e%2e/other",
        "depot://me:hidden@host/m",
        "file:///etc",
    ],
)
def test_a_record_that_names_a_place_that_no_root_allows_is_refused_without_a_look(
    tmp_path: Path, base_path: str
) -> None:
    """Nobody but the operator says where workers reach out to; a password is not repeated."""
    world = World(tmp_path)
    looks: list[int] = []
    Depot.on_look = lambda: looks.append(1)

    assert world.set(base_path=base_path.format(root=world.root)) is Change.INVALID
    world.settle(100.0)

    problem = str(world.table.models["m"].problem)
    assert any(
        why in problem
        for why in ("lies under none of lifecycle.base_path_roots", "a base_path has '::'", "or '..' in it")
    )
    assert "hidden" not in problem
    assert not looks


def test_roots_in_stores_need_a_folder_for_copies() -> None:
    """Before a worker starts."""
    with pytest.raises(
        ValueError, match=r"model_cache\.folder.*it is empty, and .* names 's3://bucket/models'"
    ):
        Settings.model_validate({"lifecycle": {"base_path_roots": ["/srv", "s3://bucket/models/"]}})
    with pytest.raises(ValueError, match=r"model_cache\.folder"):
        Settings.model_validate({"model_cache": {"folder": "cache"}})


def test_a_store_whose_library_is_missing_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With what to install."""
    settings = Settings.model_validate(
        {
            "lifecycle": {"base_path_roots": ["abfs://container/models"]},
            "model_cache": {"folder": str(tmp_path)},
        }
    )

    assert model_stores.new_fetching(settings) is not None

    (record,) = [each for each in caplog.records if "a store of models cannot be used" in each.message]
    assert "adlfs" in vars(record)["problem"]
    assert model_stores.new_fetching(Settings()) is None
