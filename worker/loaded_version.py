"""One version of a model, loaded in the process of a command as a worker would load it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lifecycle import errors
from lifecycle.servable import Servable
from schemas.model_config import ModelConfig
from worker import managing, model_devices, stored_versions
from worker.settings import Settings
from worker.version_paths import find_versions, first_reasons
from worker.version_sources import Source


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version for as long as it is loaded.

    Attributes:
        version: its number.
        path: its directory, or its URI.
        servable: what runs it.
    """

    version: int
    path: str
    servable: Servable


@contextmanager
def loaded_version(settings: Settings, config: ModelConfig) -> Iterator[LoadedVersion]:
    """Load the highest version that a config means, for the length of a block, and unload it.

    The rules of the settings apply (roots, loaders, operations), its warm-up is run and its golden requests are asked.
    Memory is not set aside as in a worker: the system says when there is none.

    Raises:
        PermanentLoadFailure: there is no such version or loader, it is not allowed, or it cannot be loaded.
        LoadFailed: it cannot be loaded now.
    """
    loaders, rules = managing.new_loaders(settings)
    if (problem := rules.problem_of_loader(config.loader, list(loaders))) is not None:
        raise errors.PermanentLoadFailure(problem)
    if config.loader not in loaders:
        raise errors.PermanentLoadFailure(
            f"there is no loader {config.loader!r} on this machine, which has {', '.join(loaders)}"
        )
    found = find_versions(config.base_path, config.versions, stored_versions.list_directories, rules=rules)
    if not found.paths:
        why = found.problem or first_reasons(found.missing.values())
        raise errors.PermanentLoadFailure(f"no version can be loaded from {config.base_path}: {why}")
    version = max(found.paths)
    path = found.paths[version]
    source = Source(config.loader, path, model_devices.named(config))
    loader = loaders.loader(source, version, config=lambda: config)
    loader.load()
    try:
        yield LoadedVersion(version, path, loader.servable)
    finally:
        loader.unload()
