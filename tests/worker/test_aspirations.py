"""From desired models to aspired versions, with the real manager, stepped by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.errors import PermanentLoadFailure, ServableNotFound
from lifecycle.execution import Surroundings
from lifecycle.loader import Loader
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.threads import InlineExecutor, Job
from schemas import codec
from schemas.model_config import BatchingOptions, ModelConfig
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from tests.fakes.servables import FailingLoader, FakeLoader, ManualExecutor
from worker import managing
from worker.arrivals import Arrivals, Contents
from worker.aspirations import Aspirations, Watch
from worker.base_path_roots import BasePathRoots
from worker.loaders import Life, Loaders
from worker.model_queue_options import ModelQueueOptions
from worker.model_table import ModelTable
from worker.operator_rules import OperatorRules
from worker.settings_serving import BatchingSettings

CONFIG = ModelConfig("/a", loader="fake", versions=SpecificVersions((1,)))


class LoadExecutor(InlineExecutor):
    """Runs loads at once, or gives them to another."""

    def __init__(self) -> None:
        super().__init__()
        self.later: ManualExecutor | None = None

    def submit(self, job: Job) -> None:
        """Run or pass on."""
        if self.later is None:
            super().submit(job)
        else:
            self.later.submit(job)


class World:
    """A table, a manager and a file system, and the aspirations between them."""

    def __init__(
        self,
        executor: ManualExecutor | None = None,
        *,
        watch_seconds: float = 0.0,
        quiet_seconds: float = 0.0,
        rules: OperatorRules | None = None,
    ) -> None:
        self.now = 0.0
        self.changed: dict[str, float] = {}
        self.offset = -1
        self.directories: dict[str, list[str]] = {"/a": ["1"], "/b": ["1", "2"]}
        self.looks = 0
        self.made: list[str] = []
        self.broken: set[str] = set()
        self._load = LoadExecutor()
        self.table = ModelTable(rules=rules)
        self.manager = AspiredVersionsManager(
            AspiredVersionsManagerOptions(reload_failed_when_aspired_again=True),
            Surroundings(load_executor=self._load),
        )
        self.aspirations = Aspirations(
            self.table,
            self.manager,
            Loaders({"fake": self._loader}),
            directories=self._list,
            executor=executor,
            watch=Watch(
                watch_seconds,
                new_arrivals=lambda: Arrivals(quiet_seconds, self._scan, lambda: self.now, lambda: self.now),
                scan=self._scan,
            ),
        )

    def _scan(self, path: str) -> Contents:
        changed = int(self.changed.get(path, -1e6) * 1e9)
        return Contents(((path, 1, changed),), changed)

    def load_later(self, executor: ManualExecutor) -> None:
        """Loads run when the test runs them, from now on."""
        self._load.later = executor

    def _loader(self, path: str, version: int) -> Loader:
        self.made.append(path)
        if path in self.broken:
            return FailingLoader(PermanentLoadFailure("corrupt"), number=version)
        return FakeLoader(number=version)

    def _list(self, path: str) -> Iterable[str]:
        self.looks += 1
        if path not in self.directories:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.directories[path]

    def set(self, config: ModelConfig = CONFIG, name: str = "m") -> None:
        """A control record comes."""
        self._apply(name, codec.encode(config))

    def remove(self, name: str = "m") -> None:
        """A removal comes."""
        self._apply(name, None)

    def _apply(self, name: str, value: bytes | None) -> None:
        self.offset += 1
        self.table.apply(name.encode(), value, self.offset)
        self.aspirations.changed(name)

    def settle(self, seconds: float = 0.0) -> None:
        """Let the time pass and everybody work."""
        self.now += seconds
        for _ in range(6):
            self.aspirations.step(self.now)
            self.manager.step()

    def states(self) -> Mapping[int, ServableState]:
        """The versions of `m`."""
        return {s.id.version: s.state for s in self.manager.states() if s.id.name == "m"}

    def available(self) -> list[int]:
        """The available versions of `m`."""
        return [each.version for each in self.manager.available_ids() if each.name == "m"]


def test_a_listed_version_is_aspired_from_its_directory() -> None:
    """The loader gets the path under the base path."""
    world = World()
    world.set()
    world.settle()

    assert world.available() == [1]
    assert world.made == ["/a/1"]


def test_the_latest_version_is_chosen_when_the_record_is_applied() -> None:
    """The table shows which one it is."""
    world = World()
    world.set(ModelConfig("/b", loader="fake", versions=LatestVersions(1)))
    world.settle()

    assert world.available() == [2]
    model = world.table.lookup("m")
    assert model is not None
    assert model.versions == (2,)


def test_a_removal_unloads() -> None:
    """Nothing of the model is left."""
    world = World()
    world.set()
    world.settle()
    world.remove()
    world.settle()

    assert world.states() == {}


def test_a_missing_path_fails_its_model_alone_and_heals_when_it_appears() -> None:
    """It is looked at again, later and later."""
    world = World()
    world.set(replace(CONFIG, base_path="/c"))
    world.set(name="other")
    world.settle()
    broken = world.table.lookup("m")
    assert broken is not None
    assert broken.failures == {1: "the base path cannot be listed: No such file or directory"}
    assert world.manager.available_ids() == (ServableId("other", 1),)

    world.directories["/c"] = ["1"]
    world.settle(0.5)

    assert world.available() == [1]
    healed = world.table.lookup("m")
    assert healed is not None
    assert (healed.problem, dict(healed.failures)) == (None, {})


def test_looks_become_rare_and_never_end() -> None:
    """A path that stays away costs a look in 15 s."""
    world = World()
    world.set(replace(CONFIG, base_path="/c"))
    for _ in range(1000):
        world.settle(0.5)

    assert 500 / 15 < world.looks < 500 / 15 + 10


@pytest.mark.parametrize("versions", [SpecificVersions((2,)), LatestVersions(1)])
def test_what_serves_goes_on_while_its_successor_cannot_be_found(
    versions: SpecificVersions | LatestVersions,
) -> None:
    """A config whose path is missing unloads nothing."""
    world = World()
    world.set()
    world.settle()
    world.set(replace(CONFIG, base_path="/c", versions=versions))
    world.settle(100.0)

    assert world.available() == [1]


def test_of_a_list_what_is_there_serves_and_what_appears_later_joins_it() -> None:
    """Versions fail one by one."""
    world = World()
    world.set(replace(CONFIG, versions=SpecificVersions((1, 2))))
    world.settle()
    assert world.available() == [1]

    world.directories["/a"].append("2")
    world.settle(0.5)
    assert world.available() == [1, 2]


def test_a_storage_outage_during_a_later_look_takes_nothing_back() -> None:
    """What was found for a config stays found."""
    world = World()
    world.set(replace(CONFIG, versions=SpecificVersions((1, 2))))
    world.settle()
    del world.directories["/a"]
    world.settle(0.5)

    assert world.available() == [1]
    model = world.table.lookup("m")
    assert model is not None
    assert set(model.failures) == {2}


def test_a_version_from_another_path_is_loaded_anew() -> None:
    """A record is the complete desired state, the path included."""
    world = World()
    world.set()
    world.settle()
    world.set(replace(CONFIG, base_path="/b"))
    world.settle()

    assert world.available() == [1]
    assert world.made == ["/a/1", "/b/1"]


def test_versions_from_another_path_are_replaced_in_turns() -> None:
    """One of them serves all the while."""
    world = World()
    world.directories["/a"] = ["1", "2"]
    world.set(replace(CONFIG, versions=SpecificVersions((1, 2))))
    world.settle()
    world.set(replace(CONFIG, base_path="/b", versions=SpecificVersions((1, 2))))
    for _ in range(20):
        assert world.available() != []
        world.aspirations.step(world.now)
        world.manager.step()

    assert world.available() == [1, 2]
    assert world.made == ["/a/1", "/a/2", "/b/1", "/b/2"]


def test_another_version_stands_in_while_one_is_replaced_even_if_it_is_to_go() -> None:
    """1 and 2 from here, then 1 from there: 2 serves until the new 1 does."""
    world = World()
    world.directories["/a"] = ["1", "2"]
    world.set(replace(CONFIG, versions=SpecificVersions((1, 2))))
    world.settle()
    world.set(replace(CONFIG, base_path="/b"))
    for _ in range(20):
        assert world.available() != []
        world.aspirations.step(world.now)
        world.manager.step()

    assert world.available() == [1]
    assert world.made == ["/a/1", "/a/2", "/b/1"]


def test_an_old_version_serves_on_while_its_stalled_successor_is_named_another_path() -> None:
    """The manager keeps 1 for want of a successor; it must not be told to aspire nothing."""
    world = World()
    world.set()
    world.settle()
    load = ManualExecutor()
    world.load_later(load)
    world.set(ModelConfig("/b", loader="fake", versions=SpecificVersions((2,))))
    world.settle()
    world.directories["/c"] = ["2"]
    world.set(ModelConfig("/c", loader="fake", versions=SpecificVersions((2,))))
    world.settle()
    assert world.available() == [1]

    while load.jobs:
        load.run()
        world.settle()
    assert world.available() == [2]
    assert world.made == ["/a/1", "/b/2", "/c/2"]


def test_a_removed_model_that_comes_back_at_once_gets_its_new_path() -> None:
    """Even when both records come before the manager has taken a step."""
    world = World()
    world.set()
    world.settle()
    world.remove()
    world.set(replace(CONFIG, base_path="/b"))
    world.settle()

    assert world.made == ["/a/1", "/b/1"]
    assert world.available() == [1]


def test_what_serves_is_not_unloaded_for_a_failed_successor_from_another_path() -> None:
    """The old version goes on until the repaired successor is there."""
    world = World()
    world.set()
    world.settle()
    world.broken.add("/b/2")
    world.set(ModelConfig("/b", loader="fake", versions=SpecificVersions((2,))))
    world.settle()
    assert world.available() == [1]

    world.directories["/c"] = ["2"]
    world.set(ModelConfig("/c", loader="fake", versions=SpecificVersions((2,))))
    world.settle()

    assert world.available() == [2]


def test_a_new_record_tries_a_failed_version_again() -> None:
    """Also when it says the same."""
    world = World()
    world.broken.add("/a/1")
    world.set()
    world.settle()
    assert world.states() == {1: ServableState.END}

    world.broken.clear()
    world.set()
    world.settle()

    assert world.available() == [1]


def test_rolling_back_from_a_broken_version_keeps_the_old_one_all_the_while() -> None:
    """1, then a broken 2, then 1: version 1 has one loader and is never away."""
    world = World()
    world.directories["/a"] = ["1", "2"]
    world.broken.add("/a/2")
    world.set()
    world.settle()
    world.set(replace(CONFIG, versions=SpecificVersions((2,))))
    world.settle()
    world.set()
    world.settle()

    assert world.states() == {1: ServableState.AVAILABLE}
    assert world.made == ["/a/1", "/a/2"]


def test_rolling_back_to_a_version_from_another_path_loads_that_one() -> None:
    """The old version that was kept for want of a successor is not taken for the new one."""
    world = World()
    world.set()
    world.settle()
    world.broken.add("/b/2")
    world.set(ModelConfig("/b", loader="fake", versions=SpecificVersions((2,))))
    world.settle()
    assert world.available() == [1]

    world.set(ModelConfig("/b", loader="fake", versions=SpecificVersions((1,))))
    world.settle()

    assert world.available() == [1]
    assert world.made == ["/a/1", "/b/2", "/b/1"]


def test_a_version_follows_the_record_by_which_it_was_last_aspired() -> None:
    """Not that of a record whose paths have not been found."""
    world = World()
    world.set()
    world.settle()
    assert world.aspirations.follows("m", 1) == 0
    world.set(replace(CONFIG, comment="the same again"))
    world.settle()
    assert world.aspirations.follows("m", 1) == 1

    world.set(replace(CONFIG, base_path="/c"))
    world.settle()
    assert world.aspirations.follows("m", 1) == 1
    assert world.aspirations.follows("m", 2) is None


def test_a_version_follows_a_record_only_when_the_manager_has_taken_it_up() -> None:
    """What failed before is otherwise told of the new record, and whoever waits for that gives up."""
    world = World()
    world.broken.add("/a/1")
    world.set()
    world.settle()
    world.broken.clear()
    world.set()
    world.aspirations.step(world.now)
    world.aspirations.step(world.now)
    assert (world.states(), world.aspirations.follows("m", 1)) == ({1: ServableState.END}, 0)

    world.manager.step()
    assert world.states() == {1: ServableState.AVAILABLE}
    assert world.aspirations.step(world.now), "there is something to report"
    assert world.aspirations.follows("m", 1) == 1
    assert not world.aspirations.step(world.now)


def test_a_look_that_hangs_holds_up_no_other_model_and_its_late_result_counts() -> None:
    """Looks run beside the control thread."""
    executor = ManualExecutor()
    world = World(executor)
    world.set()
    world.set(name="other")
    executor.run(1)
    world.settle()
    assert world.manager.available_ids() == (ServableId("other", 1),)

    executor.run(0)
    world.settle()
    assert world.available() == [1]


def test_the_result_of_a_look_for_an_earlier_record_does_not_count() -> None:
    """The later record is what is wanted."""
    executor = ManualExecutor()
    world = World(executor)
    world.set()
    world.set(replace(CONFIG, base_path="/b", versions=SpecificVersions((2,))))
    executor.run(1)
    executor.run(0)
    world.settle()

    assert world.available() == [2]
    with pytest.raises(ServableNotFound):
        world.manager.handle("m", 1)


WATCH_SECONDS, QUIET_SECONDS = 5.0, 8.0
LATEST = ModelConfig("/a", loader="fake", versions=LatestVersions(1))


def watching(config: ModelConfig = LATEST) -> World:
    """A world that looks for new versions, with that model served."""
    world = World(watch_seconds=WATCH_SECONDS, quiet_seconds=QUIET_SECONDS)
    world.set(config)
    world.settle()
    return world


def test_a_new_version_is_served_by_itself_where_the_latest_is_wanted() -> None:
    """And the one before goes; nobody says anything on the control topic."""
    world = watching()
    assert world.available() == [1]
    world.directories["/a"].append("2")
    world.settle(WATCH_SECONDS - 1.0)
    assert world.available() == [1]
    world.settle(1.0)
    assert world.available() == [2]
    assert world.aspirations.follows("m", 2) == 0


def test_all_versions_come_and_go_with_their_directories() -> None:
    """One whose directory is removed is unloaded."""
    world = watching(replace(LATEST, versions=AllVersions()))
    world.directories["/a"] = ["1", "2", "3"]
    world.settle(WATCH_SECONDS)
    assert world.available() == [1, 2, 3]
    world.directories["/a"] = ["2", "3"]
    world.settle(WATCH_SECONDS)
    assert world.available() == [2, 3]


def test_removing_the_latest_directory_goes_back_to_the_one_before() -> None:
    """As in TensorFlow Serving."""
    world = World(watch_seconds=WATCH_SECONDS)
    world.directories["/a"] = ["1", "2"]
    world.set(LATEST)
    world.settle()
    assert world.available() == [2]
    world.directories["/a"] = ["1"]
    world.settle(WATCH_SECONDS)
    assert world.available() == [1]


@pytest.mark.parametrize("outage", [None, []], ids=["unreachable", "empty"])
def test_an_outage_of_the_base_path_takes_nothing_away(outage: list[str] | None) -> None:
    """Nor is it a problem of the model; what has come meanwhile is served after it."""
    world = watching()
    del world.directories["/a"]
    if outage is not None:
        world.directories["/a"] = outage
    for _ in range(20):
        world.settle(WATCH_SECONDS)
        assert world.available() == [1]
    assert world.table.models["m"].problem is None
    assert world.table.models["m"].versions == (1,)

    world.directories["/a"] = ["1", "2"]
    world.settle(WATCH_SECONDS)
    assert world.available() == [2]


def test_a_version_that_is_being_copied_is_not_loaded() -> None:
    """Each change begins the wait anew; what served goes on until the files are all there."""
    world = watching()
    world.directories["/a"].append("2")
    for _ in range(10):
        world.changed["/a/2"] = world.now + 1.0
        world.settle(2.0)
        assert world.available() == [1]
    assert world.table.models["m"].arriving == (2,)
    assert world.table.models["m"].versions == (1,)
    assert world.made == ["/a/1"]

    for _ in range(3):
        world.settle(QUIET_SECONDS / 2)
    assert world.available() == [2]
    assert not world.table.models["m"].arriving


def test_a_first_version_that_is_being_copied_is_no_problem_of_its_model() -> None:
    """It is on its way."""
    world = World(watch_seconds=WATCH_SECONDS, quiet_seconds=QUIET_SECONDS)
    world.changed["/a/1"] = 0.0
    world.set(LATEST)
    world.settle()
    model = world.table.models["m"]
    assert (model.problem, model.versions, model.arriving, world.made) == (None, (), (1,), [])
    for _ in range(3):
        world.settle(QUIET_SECONDS / 2)
    assert world.available() == [1]


def test_a_version_that_is_named_is_loaded_at_once() -> None:
    """Who names it by its number says that it is there."""
    world = World(watch_seconds=WATCH_SECONDS, quiet_seconds=QUIET_SECONDS)
    world.changed["/a/1"] = 0.0
    world.set()
    world.settle()
    assert world.available() == [1]


def test_a_complete_list_is_not_watched() -> None:
    """Nothing can come of it."""
    world = watching(CONFIG)
    looks = world.looks
    for _ in range(10):
        world.settle(WATCH_SECONDS)
    assert world.looks == looks


def test_a_look_that_finds_the_same_is_no_news() -> None:
    """A thousand models are looked at, and nothing is reported."""
    world = watching()
    looks = world.looks
    world.now += WATCH_SECONDS
    assert not world.aspirations.step(world.now)
    assert not world.aspirations.step(world.now)
    assert world.looks == looks + 1


def test_a_new_latest_version_that_cannot_be_loaded_displaces_nothing() -> None:
    """It is shown as failed, and the next one replaces both."""
    world = watching()
    world.broken.add("/a/2")
    world.directories["/a"].append("2")
    world.settle(WATCH_SECONDS)
    assert world.states() == {1: ServableState.AVAILABLE, 2: ServableState.END}
    world.directories["/a"].append("3")
    world.settle(WATCH_SECONDS)
    assert world.states() == {3: ServableState.AVAILABLE}


@pytest.mark.parametrize("config", [CONFIG, LATEST], ids=["named", "latest"])
def test_a_failed_version_is_tried_again_when_its_files_have_changed(config: ModelConfig) -> None:
    """And have come to rest; others are left alone."""
    world = World(watch_seconds=WATCH_SECONDS)
    world.broken.add("/a/1")
    world.set(config)
    world.set(ModelConfig("/b", loader="fake", versions=SpecificVersions((1, 2))), name="other")
    world.settle()
    for _ in range(5):
        world.settle(WATCH_SECONDS)
    tries = world.made.count("/a/1")
    assert world.states() == {1: ServableState.END}
    assert tries == 1

    world.broken.clear()
    for _ in range(3):
        world.changed["/a/1"] = world.now
        world.settle(WATCH_SECONDS)
        assert world.states() == {1: ServableState.END}
    world.settle(WATCH_SECONDS)
    assert world.available() == [1]
    assert (world.made.count("/b/1"), world.made.count("/b/2")) == (1, 1)
    for _ in range(5):
        world.settle(WATCH_SECONDS)
    assert world.made.count("/a/1") == 2


def test_of_many_missing_versions_the_first_are_named() -> None:
    """A line of the log, and of the status, is to be read."""
    table, manager = ModelTable(), AspiredVersionsManager()
    aspirations = Aspirations(
        table, manager, Loaders({"fake": lambda _path, _version: FakeLoader()}), directories=lambda _: ()
    )
    config = replace(CONFIG, versions=SpecificVersions(tuple(range(1, 1001))))
    table.apply(b"m", codec.encode(config), 0)
    aspirations.changed("m")
    aspirations.step(0.0)

    problem = table.models["m"].problem or ""
    assert problem.startswith("the base path has no directory for version 1; ")
    assert problem.endswith("; 990 more")
    assert len(problem) < 1000


def test_a_life_begins_with_the_rows_of_the_models_batches_as_they_are_then() -> None:
    """A loader is told by which batches to warm up, each model its own."""
    made: list[str] = []
    told: dict[str, Sequence[int]] = {}

    def make(path: str, version: int) -> Loader:
        made.append(path)
        return FakeLoader(version)

    def wrap(loader: Loader, life: Life) -> Loader:
        assert life.path == made[-1]
        told[life.path] = life.batch_rows
        return loader

    table, manager = ModelTable(), AspiredVersionsManager()
    own = BatchingSettings(max_batch_rows=16, allowed_batch_rows=(4, 16))
    aspirations = Aspirations(
        table,
        manager,
        Loaders({"fake": make}, wrap),
        directories=lambda _: ["1"],
        batch_rows=managing.warmed_rows(ModelQueueOptions(own, table)),
    )
    batching = BatchingOptions(max_batch_rows=8, allowed_batch_rows=(2, 8))
    for name, config in {"m": CONFIG, "n": replace(CONFIG, base_path="/n", batching=batching)}.items():
        table.apply(name.encode(), codec.encode(config), 0)
        aspirations.changed(name)
    aspirations.step(0.0)
    for _ in range(5):
        manager.step()

    assert told == {"/a/1": (4, 16), "/n/1": (2, 8)}
    assert managing.warmed_rows(ModelQueueOptions(BatchingSettings(), table))("m") == (1,)


class Linked(World):
    """Versions 1 and 2 of a model under the only root there is, and a place outside of it."""

    def __init__(self, folder: Path) -> None:
        base = folder / "models" / "m"
        super().__init__(watch_seconds=5.0, rules=OperatorRules(BasePathRoots([str(folder / "models")])))
        self.base, self.outside = base, folder / "outside"
        for path in (base / "1", base / "2", self.outside):
            path.mkdir(parents=True)
        self.directories[str(base)] = ["1", "2"]

    def want(self, versions: VersionSelection) -> None:
        """A record comes, and what it asks for is loaded."""
        self.set(ModelConfig(str(self.base), loader="fake", versions=versions))
        self.settle()

    def lead_out(self, version: int) -> None:
        """A version's directory becomes a link, and is looked at."""
        (self.base / str(version)).rmdir()
        (self.base / str(version)).symlink_to(self.outside)
        self.settle(100.0)


@pytest.mark.parametrize(
    ("versions", "served"),
    [
        (SpecificVersions((1, 2)), [1, 2]),
        (LatestVersions(1), [2]),
        (LatestVersions(2), [1, 2]),
        (AllVersions(), [1, 2]),
    ],
)
def test_a_version_that_serves_goes_on_when_it_is_refused_later(
    tmp_path: Path, versions: VersionSelection, served: list[int]
) -> None:
    """As what cannot be found any more: nothing is unloaded, and nothing is loaded from there."""
    world = Linked(tmp_path)
    world.want(versions)
    assert sorted(world.available()) == served
    made = list(world.made)

    world.lead_out(2)

    assert sorted(world.available()) == served
    assert world.made == made


@pytest.mark.parametrize(("versions", "served"), [(LatestVersions(1), [3]), (AllVersions(), [1, 2, 3])])
def test_a_version_beyond_one_that_is_refused_is_served(
    tmp_path: Path, versions: VersionSelection, served: list[int]
) -> None:
    """It takes its place, or joins it."""
    world = Linked(tmp_path)
    world.want(versions)
    world.lead_out(2)
    (world.base / "3").mkdir()
    world.directories[str(world.base)].append("3")
    world.settle(100.0)

    assert sorted(world.available()) == served


def test_a_version_that_is_refused_from_the_beginning_is_told_and_the_next_one_serves(tmp_path: Path) -> None:
    """The model is not left without."""
    world = Linked(tmp_path)
    world.lead_out(2)
    world.want(LatestVersions(1))

    assert world.available() == [1]
    model = world.table.lookup("m")
    assert model is not None
    assert model.versions == (2, 1)
    assert f"leads to '{world.outside}'" in model.failures[2]
    assert world.made == [str(world.base / "1")]

    (world.base / "2").unlink()
    (world.base / "2").mkdir()
    world.settle(100.0)
    assert world.available() == [2]
