"""From desired models to aspired versions: the source of the manager, in TensorFlow Serving's words.

For each model it looks under the base path, tells the manager the complete list of versions, and looks again,
later and later, for what is missing. Nothing that serves is unloaded because a path cannot be read: as long
as nothing of a config is found, the manager is told nothing.
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

MOST_REASONS = 10


class Manager(Protocol):
    """What is asked of `lifecycle.aspired_versions_manager.AspiredVersionsManager`."""

    def set_aspired_versions(self, name: str, versions: Sequence[AspiredVersion]) -> None:
        """The complete list of versions of one name."""
        ...

    def states(self) -> tuple[VersionStatus, ...]:
        """Every managed version."""
        ...

    def pending_names(self) -> tuple[str, ...]:
        """The names whose last list is not yet taken up."""
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
        lives: where each version that was aspired comes from, until it is gone.
        followed: the control offset by which each version was last aspired.
        following: the same, of a list that the manager has yet to take up: until then what it says of a version
            is said of the life before.
    """

    config: ModelConfig | None = None
    looks: int = 0
    look_at: float | None = None
    paths: dict[int, str] = field(default_factory=dict)
    sent: dict[int, Source] = field(default_factory=dict)
    offset: int = -1
    told: bool = False
    lives: dict[int, Source] = field(default_factory=dict)
    followed: dict[int, int] = field(default_factory=dict)
    following: dict[int, int] = field(default_factory=dict)

    def wanted(self) -> dict[int, Source] | None:
        """What the manager should be told; None: nothing for now."""
        if self.config is None:
            return {}
        loader = self.config.loader
        return {version: Source(loader, path) for version, path in self.paths.items()} or None


def sayable(
    wanted: Mapping[int, Source],
    sent: Mapping[int, Source],
    lives: Mapping[int, Source],
    status: Mapping[int, VersionStatus],
) -> Mapping[int, Source] | None:
    """What the manager can be told on the way to *wanted*, after *sent*; None: nothing for now.

    A life of a version keeps its loader (*lives* says where that is from). So a version that is to come from
    elsewhere must go first, and is aspired anew once it is gone. As long as another can serve meanwhile, one
    does: versions are replaced in turns, and only the last available one that nothing can stand in for is
    away for as long as its replacement loads.
    """
    alive = {v for v, s in status.items() if s.state is not ServableState.END}
    aspired = {v for v in alive if status[v].aspired}
    stale = {v for v, source in wanted.items() if v in alive and lives.get(v) != source}
    if (stale & aspired) - sent.keys():
        return None  # the manager has yet to see that they are not aspired
    ready = {v: source for v, source in wanted.items() if v not in stale}
    available = {v for v, s in status.items() if s.state is ServableState.AVAILABLE}
    if not stale or not available or available & aspired & ready.keys():
        return ready
    stand_ins = available & aspired & sent.keys()
    if not stand_ins:
        # What serves is kept for want of a successor: wait how the one under way ends.
        return None if aspired else ready
    if not ready and stand_ins <= stale and len(stand_ins) == 1:
        return {}
    stand_in = max(stand_ins - stale or stand_ins)
    return {**ready, stand_in: sent[stand_in]}


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
        self._waiting: set[str] = set()  # streams with a list that the manager may have yet to take up
        self._looked: deque[tuple[str, ModelConfig, VersionPaths]] = (
            deque()
        )  # filled by the executor's threads

    def changed(self, name: str) -> None:
        """A valid record of this model, or its removal, has been applied to the table; `step` acts on it."""
        stream = self._streams.setdefault(name, _Stream())
        model = self._table.lookup(name)
        stream.config = None if model is None else model.config
        stream.offset = -1 if model is None else model.config_offset
        stream.looks, stream.look_at, stream.paths, stream.told = 0, None, {}, False
        if stream.config is not None:
            self._look(name, stream)

    def step(self, now: float) -> bool:
        """Do what is due: look again, and tell the manager what it can be told by now.

        Returns:
            Whether anything was found or told, so that there is something to report.
        """
        news = bool(self._looked) | self._notice_taken_up()
        while self._looked:
            self._take(*self._looked.popleft(), now)
        managed: dict[str, dict[int, VersionStatus]] | None = None
        for name, stream in list(self._streams.items()):
            if stream.look_at is not None and now >= stream.look_at:
                stream.look_at = None
                self._look(name, stream)
            wanted = stream.wanted()
            if wanted is not None and (wanted != stream.sent or not stream.told):
                if managed is None:
                    managed = self._managed()
                news |= self._send(name, stream, wanted, managed.get(name, {}))
        return news

    def follows(self, name: str, version: int) -> int | None:
        """The control offset by which a version was last aspired, and taken up; None for one that never was."""
        stream = self._streams.get(name)
        return None if stream is None else stream.followed.get(version)

    def close(self, timeout_seconds: float) -> None:
        """Look no more; waits at most that long for a look that is under way."""
        self._streams.clear()
        self._executor.close(timeout_seconds)

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
            problem = found.problem or _told(list(dict.fromkeys(missing.values())))
            self._table.found(name, (*stream.paths, *missing), missing, problem)
            if problem is not None:
                _log.warning(
                    "not every version is there; looking again until it is",
                    extra={"model": name, "base_path": config.base_path, "problem": problem},
                )
        if not found.complete:
            stream.look_at = now + self.look_times.wait_seconds(stream.looks)

    def _notice_taken_up(self) -> bool:
        """Whether the manager has taken up anything of what it was told."""
        if not self._waiting:
            return False
        taken_up = self._waiting.difference(self._manager.pending_names())
        self._waiting -= taken_up
        for name in taken_up & self._streams.keys():
            stream = self._streams[name]
            stream.followed |= stream.following
            stream.following.clear()
        return bool(taken_up)

    def _managed(self) -> dict[str, dict[int, VersionStatus]]:
        """The managed versions by name: asked for once a step, since it costs a look at all of them."""
        managed: dict[str, dict[int, VersionStatus]] = {}
        for status in self._manager.states():
            managed.setdefault(status.id.name, {})[status.id.version] = status
        return managed

    def _send(
        self,
        name: str,
        stream: _Stream,
        wanted: Mapping[int, Source],
        status: Mapping[int, VersionStatus],
    ) -> bool:
        stream.lives = {v: source for v, source in stream.lives.items() if v in status or v in stream.sent}
        told = sayable(wanted, stream.sent, stream.lives, status)
        complete = told == wanted
        if told is None or (told == stream.sent and (stream.told or not complete)):
            return False
        self._manager.set_aspired_versions(name, self._aspired(name, told))
        stream.following |= {v: stream.offset for v, source in told.items() if wanted.get(v) == source}
        self._waiting.add(name)
        stream.lives |= told
        stream.sent, stream.told = dict(told), complete
        if stream.config is None:
            del self._streams[name]
        return True

    def _aspired(self, name: str, sources: Mapping[int, Source]) -> list[AspiredVersion]:
        return [
            AspiredVersion(
                ServableId(name, version),
                functools.partial(self._loaders.loader, source.loader, source.path, version),
            )
            for version, source in sorted(sources.items())
        ]


def _told(reasons: Sequence[str]) -> str | None:
    """The first reasons why versions are missing, and how many more there are; None for none."""
    more = len(reasons) - MOST_REASONS
    return "; ".join([*reasons[:MOST_REASONS], *([f"{more:,} more"] if more > 0 else [])]) or None
