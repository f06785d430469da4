"""From desired models to aspired versions: the source of the manager, in TensorFlow Serving's words.

For each model it looks under the base path, tells the manager the complete list of versions, and looks again,
later and
later, for what is missing. Nothing that serves is unloaded because a path cannot be read: as long as nothing
    of a
config is found, the manager is told nothing.
"""

import functools
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.source import AspiredVersion
from lifecycle.threads import Executor, InlineExecutor
from schemas.model_config import ModelConfig
from worker.loaders import Loaders
from worker.model_table import ModelTable
from worker.version_paths import ListDirectories, VersionPaths, find_versions, list_directories

_log = logging.getLogger(__name__)


class Manager(Protocol):
    """What is asked of `lifecycle.aspired_versions_manager.AspiredVersionsManager`."""

    def set_aspired_versions(self, name: str, versions: Sequence[AspiredVersion]) -> None:
        """The complete list of versions of one name."""
        ...

    def states(self) -> tuple[VersionStatus, ...]:
        """Every managed version."""
        ...


@dataclass(frozen=True, slots=True)
class RetryTimes:
    """When what has failed is tried again: after `first_seconds`, then twice as long each time."""

    first_seconds: float
    most_seconds: float

    def wait_seconds(self, failures: int) -> float:
        """The wait after so many failures in a row, 1 or more."""
        return float(min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 32)))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from; a version that comes from elsewhere needs another loader."""

    loader: str
    path: str


@dataclass(eq=False)
class _Stream:
    """One model.

    Attributes:
        config: what is wanted; None: that it goes.
        looks: how often the base path was looked at for this config.
        look_at: when to look again; None: not again, or a look is under way.
        paths: the versions found for this config; kept when a later look finds less.
        sent: what the manager was told last.
        offset: the control offset of `config`.
        told: whether it was told since the last record; if not, it is told even what it knows, because a
            failed version that is aspired once more is loaded anew.
        followed: the control offset by which each version was last aspired.
    """

    config: ModelConfig | None = None
    looks: int = 0
    look_at: float | None = None
    paths: dict[int, str] = field(default_factory=dict)
    sent: dict[int, Source] = field(default_factory=dict)
    offset: int = -1
    told: bool = False
    followed: dict[int, int] = field(default_factory=dict)

    def wanted(self) -> dict[int, Source] | None:
        """What the manager should be told; None: nothing for now."""
        if self.config is None:
            return {}
        loader = self.config.loader
        return {version: Source(loader, path) for version, path in self.paths.items()} or None


class Aspirations:
    """Keeps the manager's aspired versions as the table wants them; it belongs to the control thread.

    Paths are looked at by *executor*, so that a file system that hangs holds up neither the control topic nor
    the worker's sign of life.
    """

    def __init__(
        self,
        table: ModelTable,
        manager: Manager,
        loaders: Loaders,
        *,
        directories: ListDirectories = list_directories,
        executor: Executor | None = None,
    ) -> None:
        self.look_times = RetryTimes(0.5, 15.0)
        self._table = table
        self._manager = manager
        self._loaders = loaders
        self._directories = directories
        self._executor = executor or InlineExecutor()
        self._streams: dict[str, _Stream] = {}
        self._looked: deque[tuple[str, ModelConfig, VersionPaths]] = (
            deque()
        )  # filled by the executor's threads

    def changed(self, name: str, now: float) -> None:
        """A valid record of this model, or its removal, has been applied to the table."""
        stream = self._streams.setdefault(name, _Stream())
        model = self._table.lookup(name)
        stream.config = None if model is None else model.config
        stream.offset = -1 if model is None else model.config_offset
        stream.looks, stream.look_at, stream.paths, stream.told = 0, None, {}, False
        if stream.config is not None:
            self._look(name, stream)
        self.step(now)

    def step(self, now: float) -> None:
        """Do what is due: look again, and tell the manager what it can be told by now."""
        while self._looked:
            self._take(*self._looked.popleft(), now)
        for name, stream in list(self._streams.items()):
            if stream.look_at is not None and now >= stream.look_at:
                stream.look_at = None
                self._look(name, stream)
            wanted = stream.wanted()
            if wanted is not None and (wanted != stream.sent or not stream.told):
                self._send(name, stream, wanted)

    def follows(self, name: str, version: int) -> int | None:
        """The control offset by which a version was last aspired; None for one that never was."""
        stream = self._streams.get(name)
        return None if stream is None else stream.followed.get(version)

    def _look(self, name: str, stream: _Stream) -> None:
        assert stream.config is not None
        stream.looks += 1
        self._executor.submit(functools.partial(self._find, name, stream.config))

    def _find(self, name: str, config: ModelConfig) -> None:
        self._looked.append(
            (name, config, find_versions(config.base_path, config.versions, self._directories))
        )

    def _take(self, name: str, config: ModelConfig, found: VersionPaths, now: float) -> None:
        stream = self._streams.get(name)
        if stream is None or stream.config is not config:
            return  # another record has come meanwhile
        news = bool(found.paths.keys() - stream.paths.keys())
        stream.paths |= found.paths
        missing = {v: reason for v, reason in found.missing.items() if v not in stream.paths}
        if news or stream.looks == 1:
            problem = found.problem or ("; ".join(dict.fromkeys(missing.values())) or None)
            self._table.found(name, (*stream.paths, *missing), missing, problem)
            if problem is not None:
                _log.warning(
                    "not every version is there; looking again until it is",
                    extra={"model": name, "base_path": config.base_path, "problem": problem},
                )
        if not found.complete:
            stream.look_at = now + self.look_times.wait_seconds(stream.looks)

    def _send(self, name: str, stream: _Stream, wanted: Mapping[int, Source]) -> None:
        """Tell the manager what is wanted, but for versions in use that need another loader.

        The manager keeps the first loader of a version for as long as that is aspired. So a version that is
        to come from elsewhere goes first; it is aspired anew once the manager has seen that it is not
        aspired.
        """
        status = {s.id.version: s for s in self._manager.states() if s.id.name == name}
        in_use = {v for v, s in status.items() if s.aspired and s.state is not ServableState.END}
        stale = {v for v, source in wanted.items() if v in in_use and stream.sent.get(v) != source}
        ready = {v: source for v, source in wanted.items() if v not in stale}
        available = {v for v, s in status.items() if s.state is ServableState.AVAILABLE} - stale
        if stale and (ready == stream.sent or (available and not available & ready.keys())):
            return  # the manager works on it; or it would unload what still serves: wait for how `stale` ends
        self._manager.set_aspired_versions(name, self._aspired(name, ready))
        stream.sent, stream.told = ready, not stale
        stream.followed |= dict.fromkeys(ready, stream.offset)
        if stream.config is None:
            del self._streams[name]

    def _aspired(self, name: str, sources: Mapping[int, Source]) -> list[AspiredVersion]:
        return [
            AspiredVersion(
                ServableId(name, version),
                functools.partial(self._loaders.loader, source.loader, source.path, version),
            )
            for version, source in sorted(sources.items())
        ]
