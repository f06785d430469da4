"""What is known of the versions of one model on their way from its record to the manager."""

from dataclasses import dataclass, field

from schemas.model_config import ModelConfig
from worker import model_devices
from worker.arrivals import Arrivals
from worker.version_sources import Source


@dataclass(eq=False)
class Stream:
    """One model; it belongs to the control thread, but for `arrivals`, which looks use one after the other.

    Attributes:
        config: what is wanted; None: that it goes.
        looks: how often the base path was looked at for this config.
        look_at: when to look again; None: not again, or a look is under way.
        paths: the versions found for this config; kept when a later look finds nothing.
        seen: what the last look has come to, so that only what changes is told.
        problem: why the last look did not find everything; None when it did.
        arrivals: what is known of directories that are being copied; None: each counts as it is.
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
    seen: object = None
    problem: str | None = None
    arrivals: Arrivals | None = None
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
        loader, devices = self.config.loader, model_devices.named(self.config)
        return {version: Source(loader, path, devices) for version, path in self.paths.items()} or None
