"""What a version passes before it is available: real models, looked for and loaded as a worker does."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.errors import PermanentLoadFailure
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.managed_servable import VersionStatus
from lifecycle.recorded_requests import RecordedRequest
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.source import AspiredVersion
from lifecycle.threads import new_executor
from lifecycle.warmup import WarmedLoader
from schemas import codec
from schemas.model_config import GOLDEN, WARMUP, ModelConfig
from tests.fakes.clock import FakeClock
from tests.fakes.servables import FakeLoader
from tests.kit import numpy_models
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker import managing
from worker.aspirations import Aspirations, Watch
from worker.model_table import ModelTable
from worker.request_files import GOLDEN_LINES, WARMUP_LINES
from worker.settings import Settings
from worker.settings_lifecycle import LifecycleSettings
from worker.version_sources import Source

MODEL = "m"
X = numpy_models.pixels(2)


class World:
    """A base path with NumPy models, and all that lies between a record of them and their manager."""

    def __init__(self, base: Path, **lifecycle: object) -> None:
        own = LifecycleSettings.model_validate({"load_retries": 0, **lifecycle})
        settings = Settings(worker_id="w", lifecycle=own)
        loaders, _ = managing.new_loaders(settings)
        self.base = base
        self.table = ModelTable()
        self.manager = AspiredVersionsManager(
            AspiredVersionsManagerOptions(
                reload_failed_when_aspired_again=True,
                basic=BasicManagerOptions(load=LoadOptions(own.load_retries)),
            )
        )
        self.aspirations = Aspirations(self.table, self.manager, loaders, watch=Watch(1.0))
        self.now, self.offset = 0.0, 0

    def write(self, version: int, **files: str) -> None:
        """A new version, with such files beside it: `golden` or `warmup`."""
        directory = numpy_models.write_dense(self.base, version)
        for kind, text in files.items():
            path = directory / {"golden": GOLDEN_LINES, "warmup": WARMUP_LINES}[kind]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def set(self, **parameters: str) -> None:
        """A record that wants the latest version, with these parameters."""
        encoded = {name: text.encode() for name, text in parameters.items()}
        config = ModelConfig(str(self.base), loader="numpy", parameters=encoded)
        self.table.apply(MODEL.encode(), codec.encode(config), self.offset)
        self.offset += 1
        self.aspirations.changed(MODEL)
        self.settle()

    def settle(self) -> None:
        """Let everybody look and work."""
        for _ in range(4):
            self.now += 2.0
            for _ in range(6):
                self.aspirations.step(self.now)
                self.manager.step()

    def status(self, version: int) -> VersionStatus:
        """What is known of a version."""
        (found,) = [each for each in self.manager.states() if each.id.version == version]
        return found

    def serving(self) -> int:
        """Which version answers requests that name none."""
        with self.manager.handle(MODEL) as handle:
            return handle.id.version


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with the settings that a worker has by default, but for the retries."""
    made = World(tmp_path / MODEL)
    yield made
    made.manager.close(timeout_seconds=PATIENCE_SECONDS)


def golden(version: int, **more: object) -> str:
    """A golden request that this version of the model answers as expected."""
    answer = numpy_models.expected(version, "serving_default", {"x": X})
    outputs = {name: array.tolist() for name, array in answer.items()}
    return json.dumps({"inputs": {"x": X.tolist()}, "outputs": outputs, "absolute_tolerance": 1e-3, **more})


def test_a_version_with_a_wrong_golden_answer_is_never_available_and_the_former_goes_on_serving(
    world: World,
) -> None:
    """Until its file is mended: then it is loaded by itself."""
    seen: list[tuple[int, ServableState]] = []
    world.manager.bus.subscribe(lambda event: seen.append((event.id.version, event.state)))
    world.write(1, golden=golden(1))
    world.set()
    assert world.serving() == 1

    world.write(2, golden=golden(1))
    world.settle()

    assert world.serving() == 1
    assert (2, ServableState.AVAILABLE) not in seen
    failed = world.status(2)
    assert failed.state is ServableState.END
    assert (
        "validation failed: line 1 of assets.extra/headrace_golden_requests.jsonl: output 'scores'[0, 0] is"
        in str(failed.error)
    )

    (world.base / "2" / GOLDEN_LINES).write_text(golden(2) + "\n")
    world.settle()

    assert world.serving() == 2


def test_golden_requests_of_the_record_hold_for_each_version_to_come(world: World) -> None:
    """Beside those in the version's folder; a new record asks others."""
    world.write(1)
    world.set(**{GOLDEN: golden(1)})
    assert world.serving() == 1

    world.write(2, golden=golden(2))
    world.settle()
    assert world.serving() == 1
    assert "line 1 of the golden requests in the model's config: output 'scores'" in str(
        world.status(2).error
    )

    world.set(**{GOLDEN: golden(2)})
    assert world.serving() == 2


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_a_warm_up_that_fails_keeps_no_version_back_where_the_record_says_so(
    world: World, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By default it does; a warning is logged where it is asked for, and nothing where nothing is run."""
    world.write(1, warmup='{"inputs": {"x": [[1, 2]]}}')
    world.set()
    failed = world.status(1)
    assert failed.state is ServableState.END
    assert (
        "warm-up failed: line 1 of assets.extra/headrace_warmup_requests.jsonl: input 'x' of signature"
        in str(failed.error)
    )

    world.set(**{WARMUP: mode})

    assert world.serving() == 1
    assert ("available without the rest of its warm-up" in caplog.text) == (mode == "warn")


def test_a_record_may_ask_for_the_warm_up_that_the_settings_turn_off(tmp_path: Path) -> None:
    """The settings are for those that say nothing."""
    world = World(tmp_path / MODEL, warmup=False)
    world.write(1, warmup="{}")
    world.set()
    assert world.serving() == 1

    world.write(2, warmup="{}")
    world.set(**{WARMUP: "fail"})

    assert world.serving() == 1
    assert "line 1 of assets.extra/headrace_warmup_requests.jsonl" in str(world.status(2).error)
    world.manager.close(timeout_seconds=PATIENCE_SECONDS)


def test_a_warn_does_not_make_golden_requests_a_warning(world: World) -> None:
    """A version that is wrong is wrong however it is warmed up."""
    world.write(1, golden=golden(2))
    world.set(**{WARMUP: "off"})

    assert "validation failed" in str(world.status(1).error)


def test_another_release_of_the_golden_lines_fails_versions_not_the_worker(world: World) -> None:
    """A record of ours is checked before; one that came with other rules is told with the version."""
    world.write(1)
    world.set()
    model = world.table.models[MODEL]
    assert model.config is not None
    strange = replace(model.config, parameters={GOLDEN: b'{"inputs": [1], "outputs": [1], "later": 1}'})
    loaders, _ = managing.new_loaders(Settings(worker_id="w"))
    loader = loaders.loader(Source("numpy", str(world.base / "1")), 1, config=lambda: strange)

    with pytest.raises(
        PermanentLoadFailure, match="line 1 of the golden requests in the model's config: unknown 'later'"
    ):
        loader.load()


def test_a_warm_up_that_hangs_ends_with_the_loads_time_limit() -> None:
    """The version fails, and is unloaded when the warm-up comes back after all."""
    clock, opened, entered = FakeClock(), threading.Event(), threading.Event()
    inner = FakeLoader()

    def recorded() -> Sequence[RecordedRequest]:
        def inputs(_signature: Any) -> Mapping[str, Any]:
            entered.set()
            assert opened.wait(PATIENCE_SECONDS)
            return {"x": np.zeros((1, 2), np.float32)}

        return [RecordedRequest("record 1", "serving_default", inputs)]

    manager = AspiredVersionsManager(
        AspiredVersionsManagerOptions(basic=BasicManagerOptions(load=LoadOptions(0, timeout_seconds=60.0))),
        Surroundings(clock=clock, load_executor=new_executor(1, "load")),
    )
    manager.set_aspired_versions(
        MODEL, [AspiredVersion(ServableId(MODEL, 1), lambda: WarmedLoader(inner, recorded=recorded))]
    )
    for _ in range(3):
        manager.step()
    assert entered.wait(PATIENCE_SECONDS)
    clock.advance(61.0)
    manager.step()

    (status,) = manager.states()
    assert (status.state, "took longer than its limit of 60 s" in str(status.error)) == (
        ServableState.END,
        True,
    )
    opened.set()

    def unloaded() -> bool:
        manager.step()
        return inner.calls == ["load", "unload"]

    wait_until(unloaded, lambda: f"unloaded, not {inner.calls}")
    manager.close(timeout_seconds=PATIENCE_SECONDS)
