"""What a version passes before it is available: its warm-up, and golden requests, as its model's config says."""

import logging
from collections.abc import Iterator
from pathlib import Path

from lifecycle import errors
from lifecycle.loader import Loader
from lifecycle.loader_around import LoaderAround
from lifecycle.validation import GoldenRequest, ValidatedLoader
from lifecycle.warmup import WarmedLoader, WarmupMode
from worker import model_devices, request_files, request_lines, signature_options
from worker.loaders import Life
from worker.request_lines import InvalidLine

log = logging.getLogger(__name__)

IN_CONFIG = "the golden requests in the model's config"
"""How messages call them."""


class Readiness:
    """Puts warm-up and validation around loaders; immutable, so any thread may use it.

    Args:
        default: what becomes of a version whose warm-up fails, where the model's config does not say it.
        most_bytes: of the inputs of a batch that is run to warm up.
        threads: batches that run at a time.
    """

    def __init__(self, default: WarmupMode, most_bytes: int, threads: int = 1) -> None:
        self._default = default
        self._most_bytes = most_bytes
        self._threads = max(1, threads)

    def around(self, loader: Loader, life: Life) -> Loader:
        """The same loader, loaded once the version is warmed up and has answered as expected."""
        directory, name = Path(life.path), f"the version in {life.path}"
        warmed = WarmedLoader(
            loader,
            life.batch_rows,
            self._most_bytes,
            recorded=lambda: request_files.warmup_requests(directory),
            mode=lambda: self._mode(life),
            name=name,
        )
        validated = ValidatedLoader(warmed, lambda: _golden(directory, life), life.batch_rows, name)
        return _NamingLoader(validated, life, self._threads)

    def _mode(self, life: Life) -> WarmupMode:
        config = life.config()
        return self._default if config is None or config.warmup is None else WarmupMode(config.warmup)


class _NamingLoader(LoaderAround):
    """A loader that says so where the config asks for what has no effect on its version."""

    def __init__(self, loader: Loader, life: Life, threads: int) -> None:
        super().__init__(loader)
        self._life = life
        self._threads = threads

    def load(self) -> None:
        """Load, and look; on a load thread."""
        self._loader.load()
        config, there = self._life.config(), self._loader.servable.signatures
        parameters = {} if config is None else config.parameters
        for name in sorted(signature_options.names(parameters) - there.keys()):
            log.warning(
                "a model's config has batching options for a signature that this version does not have; they have no "
                "effect on it",
                extra={"version": self._life.path, "signature": name, "signatures": ", ".join(sorted(there))},
            )
        instances = 0 if config is None else len(model_devices.named(config))
        if instances > self._threads:
            log.warning(
                "a version has more instances than batches run at a time, and some of them nothing to do; raise "
                "batching.threads",
                extra={"version": self._life.path, "instances": instances, "threads": self._threads},
            )
        inputs = {name for signature in there.values() for name in signature.inputs}
        for name in sorted(signature_options.padded_inputs(parameters) - inputs):
            log.warning(
                "a model's config has a pad value for an input that no signature of this version has; it has no effect",
                extra={"version": self._life.path, "input": name, "inputs": ", ".join(sorted(inputs))},
            )


def _golden(directory: Path, life: Life) -> Iterator[GoldenRequest]:
    yield from request_files.golden_requests(directory)
    config = life.config()
    if config is None or config.golden is None:
        return
    try:
        yield from request_lines.golden(config.golden.split("\n"), IN_CONFIG)
    except InvalidLine as error:
        raise errors.PermanentLoadFailure(str(error)) from error
