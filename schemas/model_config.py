"""The desired state of one model: the record on the control topic, keyed by the model's name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from schemas.version_selection import LatestVersions, VersionSelection, selection_from_wire, selection_to_wire

HISTORY_LENGTH = 10
"""Past configs that a record carries at most, so that history and rollback survive compaction."""


POLICY = "policy"
"""The name, among a config's parameters, of the policy by which versions replace each other."""

SPLIT = "split"
"""Likewise: how requests that name neither version nor label are divided (`traffic_split`)."""

SHADOW = "shadow"
"""Likewise: which part of them another version is tried on, unnoticed (`traffic_shadow`)."""

FROZEN = "frozen"
"""Likewise: that commands change the config no more; the value is which versions it named before, in words."""

WARMUP = "warmup"
"""Likewise: what becomes of a version whose warm-up fails, one of `WARMUP_MODES`."""

GOLDEN = "golden"
"""Likewise: requests that each version must answer as is said there before it is available, as lines of JSON."""

WARMUP_MODES = ("fail", "warn", "off")
"""It is not available; it is available all the same; versions are not warmed up at all."""

LOADING = "loading"
"""Likewise: when versions are loaded, one of `LOADING_MODES`."""

PRIORITY = "priority"
"""Likewise: that of its requests that say nothing themselves, a digit."""

FILLING = "filling"
"""Likewise: what its batches take of requests of lower priorities: `none`, `allowed`, `max` or `merge`."""

AGEING_SECONDS = "ageing_seconds"
"""Likewise: how long its requests let more urgent ones go first, a decimal number."""

PADDING_POLICY = "padding_policy"
"""Likewise: what becomes of its batches between two allowed sizes: `pad_up`, `batch_down` or `minimize_cost`."""

MAX_REQUEST_ROWS = "max_request_rows"
"""Likewise: rows of the largest of its requests that are run in parts; 0 for none."""

P99_MS = "p99_ms"
"""Likewise: the latency objective of its requests in milliseconds, a decimal number; 0 for none."""

RAGGED = "ragged"
"""Likewise: whether inputs of unlike lengths share its batches: `off`, `on`, or the sizes to pad to (`32,64`)."""

RAGGED_PAD_VALUES = "ragged_pad_values"
"""Likewise: what inputs are padded with, `INPUT=VALUE` on each line."""

DEVICES = "devices"
"""Likewise: the devices that its versions are loaded on, one for each instance: `GPU:0,GPU:1`."""

SIGNATURES = "signatures"
"""Likewise: batching options of single signatures, as JSON: an object of options by name."""

EAGER, LAZY = LOADING_MODES = ("eager", "lazy")
"""At once, for good (as where nothing is said); when the model is first asked for, for as long as there is room."""


@dataclass(frozen=True, slots=True)
class BatchingOptions:
    """How this model's requests are batched; None leaves an option to the worker's settings."""

    max_batch_rows: int | None = None
    batch_timeout_seconds: float | None = None
    allowed_batch_rows: tuple[int, ...] | None = None
    max_enqueued_batches: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        allowed = self.allowed_batch_rows
        return {
            "max_batch_rows": self.max_batch_rows,
            "batch_timeout_seconds": self.batch_timeout_seconds,
            "allowed_batch_rows": None if allowed is None else list(allowed),
            "max_enqueued_batches": self.max_enqueued_batches,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        allowed = wire["allowed_batch_rows"]
        return cls(
            wire["max_batch_rows"],
            wire["batch_timeout_seconds"],
            None if allowed is None else tuple(allowed),
            wire["max_enqueued_batches"],
        )


class _NamedParameters:
    """What the parameters of a config say."""

    __slots__ = ()

    parameters: Mapping[str, bytes]

    @property
    def policy(self) -> str | None:
        """The name of the policy; None: the worker's own choice."""
        return self._text(POLICY)

    @property
    def split(self) -> str | None:
        """How requests that name neither version nor label are divided, as `traffic_split` reads it; None: not."""
        return self._text(SPLIT)

    @property
    def shadow(self) -> str | None:
        """Which version is tried on which part of these, unnoticed, as `traffic_shadow` reads it; None: none."""
        return self._text(SHADOW)

    @property
    def frozen(self) -> str | None:
        """Which versions a frozen config named before; None: it is not frozen."""
        return self._text(FROZEN)

    @property
    def warmup(self) -> str | None:
        """What becomes of a version whose warm-up fails; None: the worker's own choice."""
        return self._text(WARMUP)

    @property
    def golden(self) -> str | None:
        """Golden requests, a line each; None: there are none but those beside a version."""
        return self._text(GOLDEN)

    @property
    def loading(self) -> str | None:
        """When versions are loaded; None: at once."""
        return self._text(LOADING)

    def _text(self, name: str) -> str | None:
        text = self.parameters.get(name)
        # What is no UTF-8 becomes a text that means nothing, and is refused with the other ones.
        return None if text is None else text.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class PastConfig(_NamedParameters):
    """A config as it was before the present one: everything but its own history.

    Attributes:
        base_path: the directory that holds one numbered directory per version; or its place in a store, as a URI.
        loader: which loader understands what lies there.
        versions: which versions are aspired.
        labels: names for versions, by which requests may ask.
        batching: options of this model's queues; None for the worker's.
        revision: counts the model's configs, from 1.
        author: who made it.
        time: when, in milliseconds since the epoch.
        comment: why.
        parameters: additions that older releases pass over.
    """

    base_path: str
    loader: str = "saved_model"
    versions: VersionSelection = field(default_factory=LatestVersions)
    labels: Mapping[str, int] = field(default_factory=dict)
    batching: BatchingOptions | None = None
    revision: int = 0
    author: str = ""
    time: int = 0
    comment: str = ""
    parameters: Mapping[str, bytes] = field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        return _config_to_wire(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        return cls(**_config_from_wire(wire))


@dataclass(frozen=True, slots=True)
class ModelConfig(_NamedParameters):
    """The complete desired state of one model; the fields are `PastConfig`'s.

    Attributes:
        history: the configs before this one, newest first, at most `HISTORY_LENGTH`.
    """

    record_name: ClassVar[str] = "ModelConfig"

    base_path: str
    loader: str = "saved_model"
    versions: VersionSelection = field(default_factory=LatestVersions)
    labels: Mapping[str, int] = field(default_factory=dict)
    batching: BatchingOptions | None = None
    revision: int = 0
    author: str = ""
    time: int = 0
    comment: str = ""
    history: tuple[PastConfig, ...] = ()
    parameters: Mapping[str, bytes] = field(default_factory=dict)

    def as_past(self) -> PastConfig:
        """This config as the next one's history keeps it."""
        return PastConfig(**{f.name: getattr(self, f.name) for f in fields(PastConfig)})

    def following(self) -> tuple[PastConfig, ...]:
        """The history of the config that comes after this one."""
        return (self.as_past(), *self.history)[:HISTORY_LENGTH]

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        return _config_to_wire(self) | {"history": [past.to_wire() for past in self.history]}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """The record of decoded fields."""
        return cls(**_config_from_wire(wire), history=tuple(map(PastConfig.from_wire, wire["history"])))


def _config_to_wire(config: ModelConfig | PastConfig) -> dict[str, Any]:
    return {
        "base_path": config.base_path,
        "loader": config.loader,
        "versions": selection_to_wire(config.versions),
        "labels": dict(config.labels),
        "batching": None if config.batching is None else config.batching.to_wire(),
        "revision": config.revision,
        "author": config.author,
        "time": config.time,
        "comment": config.comment,
        "parameters": dict(config.parameters),
    }


def _config_from_wire(wire: Mapping[str, Any]) -> dict[str, Any]:
    batching = wire["batching"]
    taken = {f.name: wire[f.name] for f in fields(PastConfig)}
    return taken | {
        "versions": selection_from_wire(wire["versions"]),
        "batching": None if batching is None else BatchingOptions.from_wire(batching),
    }
