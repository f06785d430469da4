"""Base paths in stores, put together from settings: who looks there, and where copies go."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path

from lifecycle.threads import Executor, new_executor
from worker import stores, thread_slices
from worker.base_path_roots import BasePathRoots
from worker.copy_folder import CopyFolder
from worker.fetched_loader import Fetching
from worker.settings import Settings
from worker.store_uris import is_remote
from worker.version_copies import VersionCopies

_log = logging.getLogger(__name__)


def new_fetching(settings: Settings) -> Fetching | None:
    """What copies versions out of stores; None where no root is in one. Tidies up what earlier workers have left."""
    roots = [root for root in settings.lifecycle.base_path_roots if is_remote(root)]
    for root in roots:
        if (why := stores.lacking(root)) is not None:
            _log.error(
                "a store of models cannot be used; versions that lie there fail",
                extra={"root": root, "problem": why},
            )
    if not roots:
        return None
    cache = settings.model_cache
    copies = VersionCopies(CopyFolder(Path(cache.folder), cache.most_bytes, cache.keep_seconds))
    copies.begin()
    return Fetching(copies, settings.lifecycle.load_timeout_seconds)


def look_executors(roots: BasePathRoots) -> Callable[[str], Executor | None]:
    """Runs looks at base paths in stores: a thread for each root, so that one that hangs holds up its own alone."""

    @functools.cache
    def made(_root: str) -> Executor:
        return new_executor(1, "stores", on_start=thread_slices.run_as_usual)

    def of(base_path: str) -> Executor | None:
        root = roots.store_root_of(base_path)
        return None if root is None else made(root)

    return of
