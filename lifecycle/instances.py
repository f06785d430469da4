"""Several instances of a version, each on a device: a batch goes to the one that has least to do.

TensorFlow gives every model to one device. Triton's instance groups have a count for each device; here a device that is
named twice has two.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from lifecycle import resources
from lifecycle.loader import Loader
from lifecycle.resources import NOTHING, ResourceAllocation
from lifecycle.servable import Servable
from lifecycle.signature import Signature

Array = npt.NDArray[Any]


class InstancesServable:
    """A servable that runs each call on one of its instances; thread-safe.

    It is never waited for an instance: with more calls than instances some have two. Of those with least to do the one
    is next whose last call began first, so that all are used however little comes.

    Args:
        instances: at least one, which are alike.
    """

    def __init__(self, instances: Sequence[Servable]) -> None:
        self.instances = tuple(instances)
        self._lock = threading.Lock()
        self._running = [0] * len(instances)
        self._order = list(range(len(instances)))  # whose call began longest ago is first

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Those of the first instance, and so of each."""
        return self.instances[0].signatures

    @property
    def running(self) -> tuple[int, ...]:
        """The calls that each instance is with."""
        with self._lock:
            return tuple(self._running)

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run one signature on an instance; raises what that raises."""
        place = self._begin()
        try:
            return self.instances[place].run(signature, inputs, outputs)
        finally:
            with self._lock:
                self._running[place] -= 1

    def _begin(self) -> int:
        with self._lock:
            place = min(self._order, key=self._running.__getitem__)
            self._order.remove(place)
            self._order.append(place)
            self._running[place] += 1
            return place


class InstancesLoader:
    """A loader of several instances, one after the other; whatever fails leaves none of them.

    Args:
        loaders: of the instances, at least one.
    """

    def __init__(self, loaders: Sequence[Loader]) -> None:
        self._loaders = tuple(loaders)
        self._servable: InstancesServable | None = None

    @property
    def servable(self) -> InstancesServable:
        """The loaded instances. Requires: loaded and not yet unloaded."""
        if self._servable is None:
            raise RuntimeError("these instances are not loaded")
        return self._servable

    def estimate_resources(self) -> ResourceAllocation:
        """What all of them need together."""
        return sum(map(resources.estimate, self._loaders), NOTHING)

    def load(self) -> None:
        """Load each; on a load thread. Raises whatever one of them raises, once those before it are unloaded."""
        loaded: list[Loader] = []
        try:
            for loader in self._loaders:
                loader.load()
                loaded.append(loader)
        except BaseException:
            _unload(loaded)
            raise
        self._servable = InstancesServable([loader.servable for loader in self._loaders])

    def unload(self) -> None:
        """Unload each; on an unload thread."""
        self._servable = None
        _unload(self._loaders)


def instances_of(servable: Servable) -> Sequence[Servable]:
    """The instances of a servable; one that has none is its only one."""
    return servable.instances if isinstance(servable, InstancesServable) else (servable,)


def _unload(loaders: Sequence[Loader]) -> None:
    """Unload all, whatever one of them raises; the first such is raised then."""
    failures: list[BaseException] = []
    for loader in reversed(loaders):
        try:
            loader.unload()
        except BaseException as error:  # noqa: BLE001 - raised below, once the others are unloaded
            failures.append(error)
    if failures:
        raise failures[0]
