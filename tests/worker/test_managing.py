"""The manager of the worker's models under a limit of memory: settings, loaders and metrics put together."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import errors, resources
from lifecycle.aspired_version_policy import AvailabilityPreservingPolicy
from lifecycle.resources import HOST, NOTHING, Device, host
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.source import AspiredVersion
from tests.fakes.servables import Driver, SizedLoader
from tests.kit import distributions, numpy_models
from tests.kit.waiting import PATIENCE_SECONDS
from worker import custom_loaders, managing, usable_memory
from worker.base_path_roots import BasePathRoots
from worker.loaders import SHIPPED
from worker.metrics import Metrics, new_registry
from worker.rooted_loader import RootedLoader
from worker.settings import Settings
from worker.version_sources import Source

GPU = Device("gpu", 0)
GPUS = {GPU: 15_000_000_000}
NEEDED = 2600 + 2 * 128  # the files of the model of these tests: 640 and 10 float32, and their headers


def settings(**lifecycle: object) -> Settings:
    """A worker's, with these in the group `lifecycle`."""
    return Settings(worker_id="w", lifecycle=lifecycle)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("set_to", "expected"),
    [
        ({"host_memory_bytes": 1000, "gpu_memory_bytes": 2000}, {HOST: 1000, GPU: 2000}),
        ({"host_memory_bytes": -1, "gpu_memory_bytes": -1}, {}),
        ({"host_memory_bytes": -1}, {GPU: GPUS[GPU]}),
        ({}, {HOST: usable_memory.for_models(268_435_456), GPU: GPUS[GPU]}),
    ],
    ids=["set", "without", "gpu measured", "measured"],
)
def test_limits_are_set_or_measured_or_none(set_to: dict[str, int], expected: dict[Device, int]) -> None:
    """Each device by its own setting."""
    tracker = managing.new_resources(settings(**set_to), lambda: GPUS)
    made = tracker.reserve(ServableId("m", 1), host(1) + resources.gpu(1))

    assert made is not None
    assert tracker.limits() == expected


def test_a_gpu_of_which_nothing_is_known_has_no_limit() -> None:
    """A loader of others may use one that TensorFlow does not see."""
    tracker = managing.new_resources(settings(), dict)

    assert tracker.has_room(resources.gpu(1 << 60, 3))


def test_memory_of_gpus_is_looked_for_only_where_something_needs_it() -> None:
    """To look means to import TensorFlow."""

    def look() -> dict[Device, int]:
        raise AssertionError("nobody needs a GPU")

    tracker = managing.new_resources(settings(), look)

    assert tracker.reserve(ServableId("m", 1), host(1)) is not None


class Stage:
    """The worker's manager, with room for one of the two models, and a bit."""

    def __init__(self, folder: Path, limit: int) -> None:
        own = settings(host_memory_bytes=limit, load_retries=0, step_seconds=60)
        loaders, _ = managing.new_loaders(own)
        self.loader = loaders.loader
        self.folder = folder
        self.tracker = managing.new_resources(own)
        self.metrics = Metrics(new_registry())
        self.manager = managing.new_manager(
            own.lifecycle, self.metrics, AvailabilityPreservingPolicy(), self.tracker
        )
        self.driver = Driver(self.manager)

    def aspire(self, name: str, *versions: int) -> None:
        """These versions of a model, each written where it is not there yet."""
        for version in versions:
            if not (self.folder / name / str(version)).exists():
                numpy_models.write_dense(self.folder / name, version)
        self.manager.set_aspired_versions(
            name,
            [
                AspiredVersion(
                    ServableId(name, version),
                    functools.partial(
                        self.loader, Source("numpy", str(self.folder / name / str(version))), version
                    ),
                )
                for version in versions
            ],
        )

    def value(self, name: str) -> float | None:
        """A gauge of the host's memory."""
        self.metrics.memory.tell(self.tracker)
        return self.metrics.registry.get_sample_value(name, {"device": "host"})


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Room for one model."""
    made = Stage(tmp_path, NEEDED * 5 // 4)
    yield made
    assert made.manager.close(PATIENCE_SECONDS) == ()
    assert made.tracker.used() == NOTHING


def test_a_model_for_which_there_is_no_room_fails_alone_and_comes_when_there_is(stage: Stage) -> None:
    """The other one answers all the while; the reason names what has the room, and what may be set."""
    first, second = ServableId("first", 1), ServableId("second", 1)
    stage.aspire("first", 1)
    stage.driver.until_state(first, ServableState.AVAILABLE)
    handle = stage.manager.handle("first")
    inputs = {"x": numpy_models.pixels(3)}
    expected = numpy_models.expected(1, "serving_default", inputs)

    stage.aspire("second", 1)
    stage.driver.until_state(second, ServableState.END)

    failed = stage.driver.last(second)
    assert failed is not None
    assert isinstance(failed.error, errors.ResourceExhausted)
    for part in (
        "there is no room for second/1: it needs",
        "set aside: first/1 ",
        "lifecycle.host_memory_bytes",
    ):
        assert part in str(failed.error)
    given = handle.servable.run("serving_default", inputs, ["best"])["best"]
    np.testing.assert_array_equal(given, expected["best"])
    assert stage.value("headrace_model_memory_reserved_bytes") == stage.tracker.used().of(HOST)
    assert stage.value("headrace_model_memory_limit_bytes") == NEEDED * 5 // 4

    handle.release()
    stage.aspire("first")

    stage.driver.until_state(second, ServableState.AVAILABLE)


def test_what_was_measured_after_the_load_counts(stage: Stage) -> None:
    """It is no more than the estimate, and at least half of it."""
    stage.aspire("first", 1)
    stage.driver.until_state(ServableId("first", 1), ServableState.AVAILABLE)

    (status,) = stage.manager.states()
    assert status.resources.of(HOST) == stage.tracker.used().of(HOST)
    assert NEEDED // 2 <= status.resources.of(HOST) <= NEEDED


def test_what_stands_around_a_loader_passes_its_estimate_on(tmp_path: Path) -> None:
    """Roots included; where links lead out of them nothing is looked at."""
    directory = numpy_models.write_dense(tmp_path / "roots" / "m")
    roots = BasePathRoots([str(tmp_path / "roots")])
    inside = RootedLoader(SizedLoader(7), roots, str(directory))
    outside = tmp_path / "roots" / "link"
    outside.symlink_to(tmp_path)

    assert inside.estimate_resources() == host(7)
    assert RootedLoader(SizedLoader(7), roots, str(outside)).estimate_resources() == NOTHING


MODULE = """
from lifecycle.resources import host
from tests.fakes.servables import FakeLoader
class Plain(FakeLoader):
    def __init__(self, path, version):
        super().__init__(version)
class Sized(Plain):
    def estimate_resources(self):
        return host(12345)
def breaks(path, version):
    raise ValueError("no such device")
"""


@pytest.fixture
def sized_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, with the module."""
    (tmp_path / "sized_models.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("sized_models", None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("sized_models:Sized", 12345), ("sized_models:Plain", 1200), ("sized_models:breaks", 0)],
    ids=["says", "by size", "broken"],
)
def test_loaders_of_others_say_what_they_need_or_count_by_size(
    sized_models: Path, value: str, expected: int
) -> None:
    """One that cannot be made needs nothing: its load tells why."""
    tmp_path = sized_models
    distribution = distributions.install(tmp_path, "sized-models", {"own": value})
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "weights.bin").write_bytes(bytes(1000))
    loader: Any = custom_loaders.find(SHIPPED, [distribution]).factories["own"](str(tmp_path / "1"), 1)

    assert loader.estimate_resources() == host(expected)
    if expected:
        loader.load()
        assert loader.estimate_resources() == host(expected)
        loader.unload()
