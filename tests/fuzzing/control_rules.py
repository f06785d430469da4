"""Which configs a worker may believe: the rules of docs/wire.md, written once more, apart from the worker's own."""

import math
import re
from collections.abc import Mapping

from schemas.model_config import LOADING_MODES, BatchingOptions, ModelConfig
from schemas.version_selection import LatestVersions, SpecificVersions, VersionSelection
from worker import batching_rules, control_record, policies

LOADERS = ("failing", "fake")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGITS = re.compile(r"[0-9]+")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_MOST_TARGETS = 100
_MOST_WEIGHT = 1e9
_HIGHEST_VERSION = 2**63 - 1


def may_be_applied(config: ModelConfig) -> bool:
    """Whether a config keeps the rules of docs/wire.md."""
    return (
        _may_be_named(config.base_path)
        and len(config.base_path) <= 4_096
        and "\0" not in config.base_path
        and config.loader in LOADERS
        and (config.policy is None or config.policy in policies.SHIPPED)
        and (config.loading is None or config.loading in LOADING_MODES)
        and _may_be_chosen(config.versions)
        and _labels_are_right(config.labels, config.versions)
        and (config.split is None or _split_is_right(config.split, config.labels, config.versions))
        and (config.shadow is None or _shadow_is_right(config.shadow, config.labels, config.versions))
        and (config.batching is None or _batching_is_right(config.batching))
    )


def _may_be_named(base_path: str) -> bool:
    if not base_path.startswith("file:///"):
        return base_path.startswith("/")  # what lies in a store needs a root
    folders = base_path.removeprefix("file:///").rstrip("/").split("/")
    plain = base_path.isprintable() and "::" not in base_path and not set("%?#\\*@") & set(base_path)
    return plain and not {"", ".", ".."} & set(folders)


def _may_be_chosen(selection: VersionSelection) -> bool:
    if isinstance(selection, LatestVersions):
        return selection.count >= 1
    if isinstance(selection, SpecificVersions):
        versions = selection.versions
        return (
            1 <= len(versions) <= control_record.MOST_VERSIONS
            and len(set(versions)) == len(versions)
            and min(versions) >= 0
        )
    return True


def _labels_are_right(labels: Mapping[str, int], selection: VersionSelection) -> bool:
    if len(labels) > control_record.MOST_LABELS or not all(map(NAME.fullmatch, labels)):
        return False
    if isinstance(selection, SpecificVersions):
        return set(labels.values()) <= set(selection.versions)
    return min(labels.values(), default=0) >= 0


def _batching_is_right(batching: BatchingOptions) -> bool:
    rows, wait = batching.max_batch_rows, batching.batch_timeout_seconds
    sizes, enqueued = batching.allowed_batch_rows or (), batching.max_enqueued_batches
    return (
        (rows is None or 1 <= rows <= batching_rules.MOST_BATCH_ROWS)
        and (
            wait is None
            or (math.isfinite(wait) and 0 <= wait <= batching_rules.LONGEST_BATCH_TIMEOUT_SECONDS)
        )
        and (enqueued is None or 1 <= enqueued <= batching_rules.MOST_ENQUEUED_BATCHES)
        and list(sizes) == sorted(set(sizes))
        and all(1 <= size <= batching_rules.MOST_BATCH_ROWS for size in sizes)
        and len(sizes) <= batching_rules.MOST_BATCH_SIZES
        and (not sizes or rows is None or sizes[-1] == rows)
    )


def _split_is_right(text: str, labels: Mapping[str, int], selection: VersionSelection) -> bool:
    parts = [part.partition("=") for part in text.split()]
    targets = [_target(target) for target, _, _ in parts]
    weights = [_number(weight) for _, _, weight in parts]
    return (
        1 <= len(parts) <= _MOST_TARGETS
        and len(set(targets)) == len(targets)
        and all(_may_be_target(target, labels, selection) for target in targets)
        and all(0 <= weight <= _MOST_WEIGHT for weight in weights)
        and sum(weights) > 0
    )


def _shadow_is_right(text: str, labels: Mapping[str, int], selection: VersionSelection) -> bool:
    parts = text.split()
    if len(parts) not in {1, 2}:
        return False
    target, equals, share = parts[0].partition("=")
    return (
        bool(equals)
        and _may_be_target(_target(target), labels, selection)
        and 0 < _number(share) <= 1
        and all(map(_TOPIC.fullmatch, parts[1:]))
        and not {".", ".."} & set(parts[1:])
    )


def _target(text: str) -> int | str:
    if not _DIGITS.fullmatch(text):
        return text
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= len(str(_HIGHEST_VERSION)) else _HIGHEST_VERSION + 1


def _may_be_target(target: int | str, labels: Mapping[str, int], selection: VersionSelection) -> bool:
    if isinstance(target, str):
        return target in labels
    if isinstance(selection, SpecificVersions):
        return target in selection.versions
    return target <= _HIGHEST_VERSION


def _number(text: str) -> float:
    """What a weight says; what says nothing is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan
