"""What a config may say of who answers requests that name neither version nor label: its `split` and its `shadow`."""

from collections.abc import Callable, Iterator

from schemas.model_config import ModelConfig
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit
from schemas.version_selection import HIGHEST_VERSION, SpecificVersions


def problems(config: ModelConfig) -> Iterator[str]:
    """Why requests cannot be divided so, and why no version can be tried so."""
    yield from _problems("split", config.split, TrafficSplit.parse, config)
    yield from _problems("shadow", config.shadow, TrafficShadow.parse, config)


def _problems(
    what: str, text: str | None, parse: Callable[[str], TrafficSplit | TrafficShadow], config: ModelConfig
) -> Iterator[str]:
    if text is None:
        return
    try:
        targets = parse(text).targets
    except ValueError as error:
        yield f"{what}: {error}"
        return
    for target in targets:
        yield from _target_problems(what, target, config)


def _target_problems(what: str, target: int | str, config: ModelConfig) -> Iterator[str]:
    if isinstance(target, str):
        if target not in config.labels:
            has = ", ".join(sorted(config.labels)) or "none"
            yield f"{what} names {target!r}, which is no label of the model; its labels: {has}"
    elif isinstance(config.versions, SpecificVersions) and target not in config.versions.versions:
        yield f"{what} names version {target}, which is not among the versions listed"
    elif target > HIGHEST_VERSION:
        yield f"{what} names version {str(target)[:32]}; expected at most {HIGHEST_VERSION}"
