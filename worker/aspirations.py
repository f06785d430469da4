"""From desired models to aspired versions: the source of the manager, in TensorFlow Serving's words.

For each model it looks under the base path, tells the manager the complete list of versions, and looks again,
later and later, for what is missing; where the latest versions or all are wanted, it goes on looking for new ones.
Nothing that serves is unloaded because a path cannot be read: as long as nothing of a config is found, the manager
is told nothing, and what was found stays when a later look finds nothing at all.
"""

import functools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lifecycle.backoff import Backoff
from lifecycle.loader import Loader
from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion
from lifecycle.threads import Executor, InlineExecutor
from schemas.model_config import ModelConfig
from schemas.version_selection import SpecificVersions
from worker import version_paths
from worker.arrivals import Arrivals, Scan, scan
from worker.failed_versions import FailedVersions, failed
from worker.loaders import Loaders
from worker.model_streams import Stream
from worker.model_table import ModelTable
from worker.store_uris import is_remote
from worker.version_paths import ListDirectories, VersionPaths, find_versions, list_directories
from worker.version_sources import Source, sayable

_log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class Watch:
    """How new versions are seen, where the latest or all are wanted.

    Attributes:
        seconds: between two looks, also at the files of what has failed; 0: only when a record comes.
        jitter: the part of a wait that chance may take away, so that many models are not looked at all at once.
        new_arrivals: makes what tells a model's complete directories from those that are being copied; None: all are
            complete.
        scan: looks into the directory of what has failed.
        executor_of: runs what looks at a base path, where that is not the executor of all.
    """

    seconds: float = 0.0
    jitter: float = 0.0
    new_arrivals: Callable[[], Arrivals] | None = None
    scan: Scan = scan
    executor_of: Callable[[str], Executor | None] = lambda _base_path: None


class Aspirations:
    """Keeps the manager's aspired versions as the table wants them; it belongs to the control thread.

    Paths are looked at by *executor*, so that a file system that hangs holds up neither the control topic nor
    the worker's sign of life; those in a store by one of its own, so that it holds up no other paths either.
    """

    def __init__(  # noqa: PLR0913 - what it is connected with, each by its name
        self,
        table: ModelTable,
        manager: Manager,
        loaders: Loaders,
        *,
        directories: ListDirectories = list_directories,
        executor: Executor | None = None,
        watch: Watch | None = None,
        batch_rows: Callable[[str], Sequence[int]] = lambda _model: (1,),
    ) -> None:
        """Nothing is aspired yet.

        Args:
            table: what is desired.
            manager: is told what is aspired.
            loaders: make the loader of each version.
            directories: lists a base path.
            executor: runs what looks at paths; by default the caller does.
            watch: how new versions are seen.
            batch_rows: the rows of a model's batches; asked by the manager when a version's life begins.
        """
        self.look_times = Backoff(0.5, 15.0)
        self._table = table
        self._manager = manager
        self._loaders = loaders
        self._batch_rows = batch_rows
        self._directories = directories
        self._executor = executor or InlineExecutor()
        self._other_executors: list[Executor] = []  # of the watch, as far as they were needed
        self._watch = watch or Watch()
        self._watch_times = Backoff(self._watch.seconds, jitter=self._watch.jitter)
        self._failed = FailedVersions(self._watch.seconds, self._executor, self._watch.scan)
        self._streams: dict[str, Stream] = {}
        self._waiting: set[str] = set()  # streams with a list that the manager may have yet to take up
        self._looked: deque[tuple[str, ModelConfig, VersionPaths]] = (
            deque()
        )  # filled by the executor's threads

    def changed(self, name: str) -> None:
        """A valid record of this model, or its removal, has been applied to the table; `step` acts on it."""
        stream = self._streams.setdefault(name, Stream())
        before, model = stream.config, self._table.lookup(name)
        stream.config = None if model is None else model.config
        stream.offset = -1 if model is None else model.config_offset
        stream.looks, stream.look_at, stream.paths, stream.seen, stream.told = 0, None, {}, None, False
        elsewhere = before is None or stream.config is None or before.base_path != stream.config.base_path
        if elsewhere and self._watch.new_arrivals is not None:
            stream.arrivals = self._watch.new_arrivals()  # a look that is under way keeps its own
        if stream.config is not None:
            self._look(name, stream)

    def step(self, now: float) -> bool:
        """Do what is due: look again, and tell the manager what it can be told by now.

        Returns:
            Whether anything was found or told, so that there is something to report.
        """
        news = self._notice_taken_up()
        while self._looked:
            news |= self._take(*self._looked.popleft(), now)
        self._retry_mended(now)
        managed: dict[str, dict[int, VersionStatus]] | None = None
        for name, stream in list(self._streams.items()):
            if stream.look_at is not None and now >= stream.look_at:
                stream.look_at = None
                self._look(name, stream)
            wanted = {} if self._table.asleep(name) else stream.wanted()
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
        """Look no more; waits at most that long for a look that is under way, but for none in a store."""
        self._streams.clear()
        for executor in self._other_executors:
            executor.close(0.0)
        self._executor.close(timeout_seconds)

    def _look(self, name: str, stream: Stream) -> None:
        assert stream.config is not None
        stream.looks += 1
        other = self._watch.executor_of(stream.config.base_path)
        if other is not None and other not in self._other_executors:
            self._other_executors.append(other)
        (other or self._executor).submit(functools.partial(self._find, name, stream.config, stream.arrivals))

    def _find(self, name: str, config: ModelConfig, arrivals: Arrivals | None) -> None:
        found = find_versions(
            config.base_path, config.versions, self._directories, arrivals, self._table.rules
        )
        self._looked.append((name, config, found))

    def _take(self, name: str, config: ModelConfig, found: VersionPaths, now: float) -> bool:
        """Take in what a look has found; whether it differs from what was found before."""
        stream = self._streams.get(name)
        if stream is None or stream.config is not config:
            return False  # another record has come meanwhile
        stream.look_at = self._look_again_at(stream, config, found, now)
        if isinstance(config.versions, SpecificVersions):
            stream.paths |= found.paths
        elif found.paths:
            stream.paths = version_paths.with_refused(stream.paths, found, config.versions)
        missing = {v: reason for v, reason in found.missing.items() if v not in stream.paths}
        problem = found.problem or version_paths.first_reasons(missing.values())
        seen = (tuple(stream.paths), tuple(missing.items()), problem, found.arriving)
        if seen == stream.seen:
            return False
        stream.seen = seen
        # What was found before goes on being served, so that a look in vain is no problem of the model.
        shown = problem if missing or not stream.paths else None
        self._table.found(name, (*stream.paths, *missing), missing, shown, found.arriving)
        facts = {"model": name, "base_path": config.base_path}
        if problem is not None:
            _log.warning(
                "not every version is there; looking again until it is", extra={**facts, "problem": problem}
            )
        elif stream.problem is not None:
            _log.info("every version that is wanted is there now", extra=facts)
        stream.problem = problem
        if found.arriving:
            _log.info("versions are being copied", extra={**facts, "versions": list(found.arriving)})
        return True

    def _look_again_at(
        self, stream: Stream, config: ModelConfig, found: VersionPaths, now: float
    ) -> float | None:
        waits = []
        if found.missing or found.problem is not None:
            waits.append(self.look_times.wait_seconds(stream.looks))
        if found.arriving and stream.arrivals is not None:
            waits.append(stream.arrivals.quiet_seconds / 2)
        if self._watch.seconds > 0 and not isinstance(config.versions, SpecificVersions):
            waits.append(self._watch_times.wait_seconds(1))
        return now + min(waits) if waits else None

    def _retry_mended(self, now: float) -> None:
        """Have the manager told once more what it knows, where the files of a failed version have changed."""
        if self._failed.due(now):
            failures = [each.id for each in self._manager.states() if failed(each)]
            sent = {name: stream.sent for name, stream in self._streams.items()}
            directories = {
                each: sent[each.name][each.version].path
                for each in failures
                if each.version in sent.get(each.name, {})
                and not is_remote(
                    sent[each.name][each.version].path
                )  # a store that hangs would hold up the others
            }
            self._failed.look(directories, now)
        for name in self._failed.mended() & self._streams.keys():
            _log.info("files of a failed version have changed; it is tried again", extra={"model": name})
            self._streams[name].told = False

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
        stream: Stream,
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
                functools.partial(self._new_loader, name, source, version),
            )
            for version, source in sorted(sources.items())
        ]

    def _new_loader(self, name: str, source: Source, version: int) -> Loader:
        config = functools.partial(self._table.config_of, name)
        wanted = functools.partial(self._wants, name, source, version)
        return self._loaders.loader(source, version, self._batch_rows(name), config, wanted=wanted)

    def _wants(self, name: str, source: Source, version: int) -> bool:
        """Whether a version is still to come from there; asked by load threads."""
        stream = self._streams.get(name)
        return stream is not None and (
            stream.paths.get(version) == source.path or stream.sent.get(version) == source
        )
