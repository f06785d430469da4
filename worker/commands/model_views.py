"""How model configs look: as text for people, as JSON for programs."""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from schemas.model_config import LAZY, SIGNATURES, BatchingOptions, ModelConfig, PastConfig
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit
from worker import batching_parameters, signature_options
from worker.batching_parameters import BatchingParameter
from worker.commands.output import styled
from worker.commands.version_texts import versions_text
from worker.control_view import ControlEntry

LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999. Any program may write a control record, with any time in it."""
ENTRY_COLUMNS = (
    "model",
    "revision",
    "versions",
    "labels",
    "split",
    "shadow",
    "base path",
    "author",
    "time",
    "comment",
)


def labels_text(labels: Mapping[str, int]) -> str:
    """As `--label` takes them."""
    return " ".join(f"{label}={version}" for label, version in sorted(labels.items()))


def time_text(milliseconds: int) -> str | None:
    """An instant as ISO 8601, in UTC, to the second; None for none, and for what no calendar has."""
    if not 0 < milliseconds <= LATEST_MS:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def batching_document(batching: BatchingOptions | None) -> dict[str, Any] | None:
    """The batching options that are set."""
    if batching is None:
        return None
    wire = batching.to_wire()
    return {name: value for name, value in wire.items() if value is not None}


def config_document(config: ModelConfig | PastConfig) -> dict[str, Any]:
    """A config without its history."""
    return {
        "base_path": config.base_path,
        "loader": config.loader,
        "versions": versions_text(config.versions),
        "labels": dict(sorted(config.labels.items())),
        "batching": batching_document(config.batching),
        "policy": config.policy,
        "split": split_document(config),
        "shadow": shadow_document(config),
        "frozen": config.frozen,
        "warmup": config.warmup,
        "golden": golden_document(config),
        "loading": config.loading,
        **{each.name: each.document(config.parameters) for each in batching_parameters.ALL},
        "signatures": signature_options.document(config.parameters),
        "revision": config.revision,
        "author": config.author,
        "time": time_text(config.time),
        "comment": config.comment,
    }


def split_document(config: ModelConfig | PastConfig) -> dict[str, float] | None:
    """The weight of each target; of what another program wrote and means nothing, nothing."""
    try:
        split = None if config.split is None else TrafficSplit.parse(config.split)
    except ValueError:
        return None
    return None if split is None else {str(each.target): each.weight for each in split.variants}


def shadow_document(config: ModelConfig | PastConfig) -> dict[str, Any] | None:
    """What is tried on whom, as `models apply` takes it; of what another program wrote and means nothing, nothing."""
    try:
        shadow = None if config.shadow is None else TrafficShadow.parse(config.shadow)
    except ValueError:
        return None
    if shadow is None:
        return None
    return {"to": str(shadow.target), "share": shadow.share, "topic": shadow.topic}


def golden_document(config: ModelConfig | PastConfig) -> list[Any] | None:
    """The golden requests as `models apply` takes them; of what another program wrote and means nothing, nothing."""
    if config.golden is None:
        return None
    try:
        return [json.loads(line) for line in config.golden.split("\n") if line.strip()]
    except (ValueError, RecursionError):
        return None


def golden_text(config: ModelConfig | PastConfig) -> str:
    """How many golden requests there are, and which: a sum of their text tells one set from another."""
    if config.golden is None:
        return ""
    count = sum(1 for line in config.golden.split("\n") if line.strip())
    return f"{count:,} golden request{'' if count == 1 else 's'} ({zlib.crc32(config.golden.encode()):08x})"


def entry_document(entry: ControlEntry) -> dict[str, Any]:
    """A model of the control topic; without a config its record is not valid, and `problem` says why."""
    document: dict[str, Any] = {"model": entry.name, "offset": entry.offset, "problem": entry.problem}
    if entry.config is not None:
        document |= config_document(entry.config)
        document["history"] = [config_document(past) for past in entry.config.history]
    return document


def entry_row(entry: ControlEntry) -> tuple[object, ...]:
    """The same under `ENTRY_COLUMNS`, without the history."""
    config = entry.config
    if config is None:
        unknown = [None] * (len(ENTRY_COLUMNS) - 2)
        return entry.name, *unknown, styled(f"not valid: {entry.problem}", "bold red")
    frozen = "" if config.frozen is None else " (frozen)"
    lazy = " (lazy)" if config.loading == LAZY else ""
    return (
        entry.name,
        config.revision,
        f"{versions_text(config.versions)}{frozen}{lazy}",
        labels_text(config.labels),
        config.split,
        config.shadow,
        config.base_path,
        config.author,
        time_text(config.time),
        config.comment,
    )


def differences(
    before: ModelConfig | PastConfig | None, after: ModelConfig | PastConfig
) -> Iterator[tuple[str, str, str]]:
    """What a change changes: field, old and new text; author, revision and time are not among them."""
    for name, show in _SHOWN.items():
        old = "" if before is None else show(before)
        new = show(after)
        if old != new:
            yield name, old, new


def differences_document(changed: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """What `differences` tells, for programs."""
    return {field: {"from": old, "to": new} for field, old, new in changed}


def _batching_text(config: ModelConfig | PastConfig) -> str:
    batching = batching_document(config.batching)
    return " ".join(f"{name}={value}" for name, value in (batching or {}).items())


def _parameter_text(parameter: BatchingParameter, config: ModelConfig | PastConfig) -> str:
    return " ".join((parameter.text(config.parameters) or "").splitlines())


_SHOWN: Mapping[str, Callable[[ModelConfig | PastConfig], str]] = {
    "base path": lambda config: config.base_path,
    "loader": lambda config: config.loader,
    "versions": lambda config: versions_text(config.versions),
    "labels": lambda config: labels_text(config.labels),
    "batching": _batching_text,
    "policy": lambda config: config.policy or "",
    "split": lambda config: config.split or "",
    "shadow": lambda config: config.shadow or "",
    "frozen": lambda config: "" if config.frozen is None else f"yes; it was {config.frozen}",
    "warm-up": lambda config: config.warmup or "",
    "golden": golden_text,
    "loading": lambda config: config.loading or "",
    **{each.title: partial(_parameter_text, each) for each in batching_parameters.ALL},
    "signatures": lambda config: config.parameters.get(SIGNATURES, b"").decode(errors="replace"),
}
