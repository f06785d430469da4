"""The settings of operation: what a worker shows of itself, and how often."""

from typing import Annotated, Literal

from pydantic import Field

from worker.settings_group import PositiveSeconds, Seconds, SettingsGroup


class HttpSettings(SettingsGroup):
    """Where `/metrics`, `/livez` and `/readyz` are served."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on. Only this machine by default: the pages have no access control. Containers set
    `0.0.0.0`."""

    port: Annotated[int, Field(ge=-1, le=65_535)] = 9464
    """Port (0 to 65,535; 0 takes any free one, -1 serves nothing). 9464 is the port that OpenTelemetry's
    Prometheus exporter uses."""

    stalled_seconds: PositiveSeconds = 60.0
    """Age of the last poll, in seconds, past which `/livez` fails. The loop polls at least once a second and
    waits longest in a rebalance (`delivery.revoke_drain_seconds`), so a minute without a poll is a loop that
    hangs."""

    stuck_seconds: Seconds = 1800.0
    """Seconds for which every batch thread may be in a model, those that stand in for stuck ones included, before
    `/livez` fails: nothing is answered then, and only a restart helps. 0: never. As long as one thread is free the
    worker lives, whichever models hang. Half an hour, three times what the slowest batches take: a restart repeats
    theirs."""


class LogSettings(SettingsGroup):
    """What is logged, and how it looks."""

    format: Literal["text", "json"] = "text"
    """`text` for people, `json` (one object a line) for machines. `text`, because a first look is a
    person's."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged. `info` has a line for each change of state and none for a request."""


class StatusSettings(SettingsGroup):
    """How often a worker says on the status topic that it lives."""

    interval_seconds: PositiveSeconds = 5.0
    """Seconds between two signs of life. One small record each; people notice a dead worker within three."""

    lease_seconds: PositiveSeconds = 15.0
    """Seconds for which a sign of life counts. Three intervals, so that two may be lost before a worker
    counts as gone."""
