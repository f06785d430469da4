"""Several instances of a version: which one a call goes to, and that all come and go together."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lifecycle import errors
from lifecycle.instances import InstancesLoader, InstancesServable, instances_of
from lifecycle.resources import gpu, host
from lifecycle.warmup import WarmedLoader
from tests.fakes.servables import AddingServable, Array, FailingLoader, FakeLoader
from tests.kit.waiting import PATIENCE_SECONDS, wait_until

NAME = "serving_default"
X = {"x": np.zeros((1, 2), np.float32)}


class Gated(AddingServable):
    """Runs only when it is let; counts its calls."""

    def __init__(self, number: float) -> None:
        super().__init__(number)
        self.calls = 0
        self.gate = threading.Semaphore(0)

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Wait for the gate."""
        self.calls += 1
        assert self.gate.acquire(timeout=PATIENCE_SECONDS)
        return super().run(signature, inputs, outputs)


class Failing(AddingServable):
    """Fails each call."""

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Fail."""
        raise errors.ExecutionFailed("broken")


def test_calls_one_after_the_other_go_round() -> None:
    """So that none is cold."""
    servable = InstancesServable([AddingServable(float(n)) for n in range(3)])
    numbers = [servable.run(NAME, X, ["number"])["number"][0] for _ in range(7)]
    assert numbers == [0, 1, 2, 0, 1, 2, 0]
    assert servable.running == (0, 0, 0)
    assert servable.signatures is servable.instances[0].signatures


def test_a_call_goes_to_the_instance_with_least_to_do() -> None:
    """Nobody waits for an instance that is busy while another is free; with none free, each gets its share."""
    instances = [Gated(float(n)) for n in range(3)]
    servable = InstancesServable(instances)
    with ThreadPoolExecutor(6) as threads:
        try:
            calls = [threads.submit(servable.run, NAME, X, ["number"]) for _ in range(3)]
            wait_until(
                lambda: servable.running == (1, 1, 1), lambda: f"one call each, not {servable.running}"
            )
            instances[1].gate.release()
            wait_until(lambda: servable.running == (1, 0, 1), "the second is free")
            calls.append(threads.submit(servable.run, NAME, X, ["number"]))
            wait_until(lambda: servable.running == (1, 1, 1), lambda: f"the free one, not {servable.running}")
            calls += [threads.submit(servable.run, NAME, X, ["number"]) for _ in range(3)]
            wait_until(lambda: sum(servable.running) == 6, "six calls under way")
            assert servable.running == (2, 2, 2)
        finally:
            for each in instances:
                each.gate.release(10)
        found = Counter(call.result(PATIENCE_SECONDS)["number"][0] for call in calls)
    assert found == {0.0: 2, 1.0: 3, 2.0: 2}
    assert servable.running == (0, 0, 0)


def test_a_call_that_fails_frees_its_instance() -> None:
    """The error is the instance's."""
    servable = InstancesServable([Failing(0.0), AddingServable(1.0)])
    for _ in range(2):
        with pytest.raises(errors.ExecutionFailed, match="broken"):
            servable.run(NAME, X, [])
        assert servable.run(NAME, X, ["number"])["number"][0] == 1.0
    assert servable.running == (0, 0)


def test_all_are_loaded_and_unloaded() -> None:
    """One after the other."""
    loaders = [FakeLoader(float(n)) for n in range(2)]
    loader = InstancesLoader(loaders)
    with pytest.raises(RuntimeError, match="not loaded"):
        _ = loader.servable
    loader.load()
    assert [each.run(NAME, X, ["number"])["number"][0] for each in instances_of(loader.servable)] == [0, 1]
    assert loader.servable is loader.servable
    loader.unload()
    assert [each.calls for each in loaders] == [["load", "unload"]] * 2
    with pytest.raises(RuntimeError, match="not loaded"):
        _ = loader.servable


def test_one_that_cannot_be_loaded_leaves_none() -> None:
    """And the load can be tried again."""
    good, bad = FakeLoader(0.0), FailingLoader(OSError("no room"), number=1.0)
    loader = InstancesLoader([good, bad])
    with pytest.raises(OSError, match="no room"):
        loader.load()
    assert good.calls == ["load", "unload"]
    loader.load()
    assert len(loader.servable.instances) == 2
    loader.unload()
    assert (good.calls[-1], bad.calls[-1]) == ("unload", "unload")


def test_one_that_cannot_be_unloaded_keeps_no_other() -> None:
    """What it raises is told once the others are gone."""

    class Stubborn(FakeLoader):
        def unload(self) -> None:
            super().unload()
            raise OSError("stuck")

    loaders = [FakeLoader(), Stubborn(), FakeLoader()]
    loader = InstancesLoader(loaders)
    loader.load()
    with pytest.raises(OSError, match="stuck"):
        loader.unload()
    assert [each.calls[-1] for each in loaders] == ["unload"] * 3


def test_they_need_what_all_need() -> None:
    """Device by device."""

    class Needing(FakeLoader):
        def __init__(self, device: int) -> None:
            super().__init__()
            self._device = device

        def estimate_resources(self) -> object:
            return host(10) + gpu(100, self._device)

    loader = InstancesLoader([Needing(0), Needing(1), Needing(1)])
    assert loader.estimate_resources() == host(30) + gpu(100, 0) + gpu(200, 1)


def test_each_is_warmed_up() -> None:
    """None is cold when the version is available."""
    runs: list[float] = []

    class Watched(AddingServable):
        def run(
            self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]
        ) -> Mapping[str, Array]:
            runs.append(self.number)
            return super().run(signature, inputs, outputs)

    loaders = [FakeLoader(float(n)) for n in range(2)]
    for number, each in enumerate(loaders):
        each._servable = Watched(float(number))
    WarmedLoader(InstancesLoader(loaders), (1, 4)).load()
    assert runs == [0.0, 0.0, 1.0, 1.0]
