"""What a config may say of who answers requests that name neither version nor label: its `split` and its `shadow`."""

from collections.abc import Iterator

from schemas.model_config import ModelConfig
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit
from schemas.version_selection import HIGHEST_VERSION, SpecificVersions


def split_problems(config: ModelConfig) -> Iterator[str]:
    """Why requests cannot be divided so."""
    if config.split is None:
        return
    try:
        split = TrafficSplit.parse(config.split)
    except ValueError as error:
        yield f"split: {error}"
        return
    for variant in split.variants:
        yield from _target_problems("split", variant.target, config)


def shadow_problems(config: ModelConfig) -> Iterator[str]:
    """Why no version can be tried so."""
    if config.shadow is None:
        return
    try:
        shadow = TrafficShadow.parse(config.shadow)
    except ValueError as error:
        yield f"shadow: {error}"
        return
    yield from _target_problems("shadow", shadow.target, config)


def _target_problems(what: str, target: int | str, config: ModelConfig) -> Iterator[str]:
    if isinstance(target, str):
        if target not in config.labels:
            has = ", ".join(sorted(config.labels)) or "none"
            yield f"{what} names {target!r}, which is no label of the model; its labels: {has}"
    elif isinstance(config.versions, SpecificVersions) and target not in config.versions.versions:
        yield f"{what} names version {target}, which is not among the versions listed"
    elif target > HIGHEST_VERSION:
        yield f"{what} names version {str(target)[:32]}; expected at most {HIGHEST_VERSION}"
