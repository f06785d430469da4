"""How log lines look: an event in plain words, and what it is about as fields.

`log.info("model available", extra={"model": "digits", "version": 2})` becomes, for people,

    2026-11-21T14:04:05.123Z INFO  model available model=digits version=2

and for machines one JSON object a line. Secrets are masked by the names of their fields, and nothing that a
requester writes can begin a line of its own.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from worker.settings_secrets import mask

PACKAGES = ("schemas", "batching", "lifecycle", "worker")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(
    style: Literal["text", "json"],
    level: Literal["debug", "info", "warning", "error"],
    stream: TextIO | None = None,
) -> None:
    """Send everything to *stream* (standard error): our packages from *level* on, libraries from warnings on.

    Called once, before any thread starts; called again, it replaces what it did.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(level.upper())
    logging.captureWarnings(capture=True)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a line is about: all that was given as `extra`, secrets masked."""
    given = ((name, value) for name, value in vars(record).items() if name not in _STANDARD)
    return {name: _without_secrets(name, value) for name, value in given}


class TextFormatter(logging.Formatter):
    """A line for people: time (UTC), level, event, fields; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """One event."""
        fields = "".join(f" {name}={_text(value)}" for name, value in fields_of(record).items())
        line = f"{_time(record)} {record.levelname:<7} {_one_line(record.getMessage())}{fields}"
        if trace := _trace(self, record):
            line += "\n" + trace
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `event`, the fields, perhaps an `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """One event."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields_of(record),
        }
        if trace := _trace(self, record):
            line["exception"] = trace
        return json.dumps(line, default=str, ensure_ascii=False)


class Throttle:
    """Lets one line in *interval_seconds* through for each key, and counts the others. For one thread."""

    def __init__(self, interval_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._spoken: dict[str, tuple[float, int]] = {}

    def due(self, key: str) -> int | None:
        """None: be silent. A number: speak, and say that so many were left out since the last line."""
        now = self._clock()
        last, left_out = self._spoken.get(key, (now - self._interval_seconds, 0))
        if now - last < self._interval_seconds:
            self._spoken[key] = (last, left_out + 1)
            return None
        self._spoken[key] = (now, 0)
        return left_out


class Occasionally:
    """A logger for what may repeat without end: at most one line in *seconds* for each key. For one thread."""

    def __init__(
        self, log: logging.Logger, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._throttle = Throttle(seconds, clock)

    def info(self, event: str, *, key: str | None = None, **fields: object) -> None:
        """Log it unless its key (the event by default) has been logged within the interval."""
        self._say(logging.INFO, event, key, fields)

    def warning(self, event: str, *, key: str | None = None, **fields: object) -> None:
        """As `info`, as a warning."""
        self._say(logging.WARNING, event, key, fields)

    def _say(self, level: int, event: str, key: str | None, fields: Mapping[str, object]) -> None:
        left_out = self._throttle.due(event if key is None else key)
        if left_out is not None:
            self._log.log(level, event, extra={**fields, **({"left_out": left_out} if left_out else {})})


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _without_secrets(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_secrets(str(key), inner) for key, inner in value.items()}
    return mask(name, value)


def _text(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(c in ' "=' for c in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
