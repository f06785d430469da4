"""What a version passes before it is available: its warm-up, and golden requests, as its model's config says."""

from collections.abc import Iterator
from pathlib import Path

from lifecycle import errors
from lifecycle.loader import Loader
from lifecycle.validation import GoldenRequest, ValidatedLoader
from lifecycle.warmup import WarmedLoader, WarmupMode
from worker import request_files, request_lines
from worker.loaders import Life
from worker.request_lines import InvalidLine

IN_CONFIG = "the golden requests in the model's config"
"""How messages call them."""


class Readiness:
    """Puts warm-up and validation around loaders; immutable, so any thread may use it.

    Args:
        default: what becomes of a version whose warm-up fails, where the model's config does not say it.
        most_bytes: of the inputs of a batch that is run to warm up.
    """

    def __init__(self, default: WarmupMode, most_bytes: int) -> None:
        self._default = default
        self._most_bytes = most_bytes

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
        return ValidatedLoader(warmed, lambda: _golden(directory, life), life.batch_rows, name)

    def _mode(self, life: Life) -> WarmupMode:
        config = life.config()
        return self._default if config is None or config.warmup is None else WarmupMode(config.warmup)


def _golden(directory: Path, life: Life) -> Iterator[GoldenRequest]:
    yield from request_files.golden_requests(directory)
    config = life.config()
    if config is None or config.golden is None:
        return
    try:
        yield from request_lines.golden(config.golden.split("\n"), IN_CONFIG)
    except InvalidLine as error:
        raise errors.PermanentLoadFailure(str(error)) from error
