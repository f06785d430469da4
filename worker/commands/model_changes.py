"""From a model's present config to the one that a command wants."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from schemas.model_config import FROZEN, SHADOW, SPLIT, ModelConfig, PastConfig
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit, target_of
from schemas.version_selection import SpecificVersions
from worker.commands.failure import CommandFailedError
from worker.commands.version_texts import versions_of, versions_text

Change = Callable[[ModelConfig | None], ModelConfig]
"""From the present config (None: there is none that is valid) to the wanted one."""


def with_labels(name: str, labels: Mapping[str, int], without: Collection[str], comment: str) -> Change:
    """These labels besides, or moved; those in *without* gone; the others as they are.

    The change raises `CommandFailedError` where there is no config, or no such label to take away.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = changeable(name, before)
        if missing := sorted(set(without) - config.labels.keys()):
            has = ", ".join(sorted(config.labels)) or "none"
            raise CommandFailedError(
                f"model {name!r} has no label {', '.join(map(repr, missing))}; its labels: {has}"
            )
        kept = {label: version for label, version in config.labels.items() if label not in without}
        return replace(config, labels=kept | dict(labels), comment=comment)

    return change


def with_split(name: str, parameter: Mapping[str, bytes], comment: str) -> Change:
    """Requests divided as this parameter says (empty: not at all).

    The change raises `CommandFailedError` where there is no config.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        return _with_parameter(changeable(name, before), SPLIT, parameter, comment)

    return change


def with_shadow(name: str, parameter: Mapping[str, bytes], comment: str) -> Change:
    """A version tried as this parameter says (empty: none).

    The change raises `CommandFailedError` where there is no config, and where that version would answer all of the
    requests that it is to be tried on.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = _with_parameter(changeable(name, before), SHADOW, parameter, comment)
        if config.shadow is not None:
            target = TrafficShadow.parse(config.shadow).target
            version = config.labels.get(target) if isinstance(target, str) else target
            if version is not None and _answering(config) == {version}:
                raise CommandFailedError(
                    f"version {version} of model {name!r} answers the requests that it is to be tried on; give them to "
                    f"another one first: headrace models promote {name} VERSION|LABEL"
                )
        return config

    return change


def _with_parameter(
    config: ModelConfig, name: str, parameter: Mapping[str, bytes], comment: str
) -> ModelConfig:
    """The config with this in place of what it says under that name."""
    kept = {key: value for key, value in config.parameters.items() if key != name}
    return replace(config, comment=comment, parameters=kept | dict(parameter))


def _answering(config: ModelConfig) -> set[int | None]:
    """The versions that answer requests which name none, all being there; None among them for one that is not known."""
    if config.split is not None:
        variants = TrafficSplit.parse(config.split).variants
        targets = [variant.target for variant in variants if variant.weight]
        return {config.labels.get(each) if isinstance(each, str) else each for each in targets}
    versions = config.versions
    return {max(versions.versions)} if isinstance(versions, SpecificVersions) else {None}


def promoted(name: str, target: str, comment: str) -> Change:
    """All requests that name neither version nor label to what *target*, a version or a label, means.

    Where a split divides them among labels, the other label with the largest weight moves there and gets them all.
    The change raises `CommandFailedError` where there is no config, or no such version or label.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = changeable(name, before)
        version = _meant(name, config, target_of(target))
        labels, now = dict(config.labels), target
        if config.split is not None:
            others = [
                variant
                for variant in TrafficSplit.parse(config.split).variants
                if isinstance(variant.target, str) and variant.target != target
            ]
            if others:
                now = str(max(others, key=lambda variant: variant.weight).target)
                labels[now] = version
        split = str(TrafficSplit.of([(now, 100.0)])).encode()
        said = comment or f"promoted {target}"
        parameters = {**config.parameters, SPLIT: split}
        return replace(config, labels=labels, comment=said, parameters=parameters)

    return change


def _meant(name: str, config: ModelConfig, target: int | str) -> int:
    """The version that a target means."""
    if isinstance(target, str):
        if target in config.labels:
            return config.labels[target]
        has = ", ".join(sorted(config.labels)) or "none"
        raise CommandFailedError(f"model {name!r} has no label {target!r}; its labels: {has}")
    if isinstance(config.versions, SpecificVersions) and target not in config.versions.versions:
        raise CommandFailedError(
            f"model {name!r} has no version {target}; its versions: {versions_text(config.versions)}"
        )
    return target


def as_before(name: str, revision: int | None, comment: str) -> Change:
    """As it was in the config before the present one, or in *revision*; by default the comment says so.

    The change raises `CommandFailedError` where there is no config, or it does not know that revision.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = changeable(name, before)
        past = _past(name, config, revision)
        return ModelConfig(
            past.base_path,
            past.loader,
            past.versions,
            past.labels,
            past.batching,
            comment=comment or f"back to revision {past.revision}",
            parameters=past.parameters,
        )

    return change


def frozen_at(name: str, versions: Mapping[str, Collection[int]], comment: str) -> Change:
    """The versions that are served pinned, and no change by commands until it is unfrozen.

    *versions* are those that each live worker has available, or would load of a lazy model; they are asked for only
    where the config leaves open which versions it means. The change raises `CommandFailedError` where there is no
    config, where it is frozen already, or where workers do not agree on what they serve.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = changeable(name, before)
        pinned = config.versions
        if not isinstance(pinned, SpecificVersions):
            pinned = SpecificVersions(_agreed(name, versions))
        was = versions_text(config.versions).encode()
        return replace(
            config, versions=pinned, comment=comment, parameters={**config.parameters, FROZEN: was}
        )

    return change


def unfrozen(name: str, comment: str) -> Change:
    """The versions as they were asked for before it was frozen.

    The change raises `CommandFailedError` where there is no config, or it is not frozen.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = present(name, before)
        if config.frozen is None:
            raise CommandFailedError(f"model {name!r} is not frozen")
        try:
            versions = versions_of(config.frozen)
        except ValueError:  # another program has written it; those that are served stay then
            versions = config.versions
        kept = {key: value for key, value in config.parameters.items() if key != FROZEN}
        return replace(config, versions=versions, comment=comment, parameters=kept)

    return change


def changeable(name: str, config: ModelConfig | None) -> ModelConfig:
    """The config, where there is a valid one that is not frozen. Raises `CommandFailedError` otherwise."""
    check_not_frozen(name, config)
    return present(name, config)


def check_not_frozen(name: str, config: ModelConfig | None) -> None:
    """Raise `CommandFailedError` where the config is frozen."""
    if config is not None and config.frozen is not None:
        why = f": {config.comment}" if config.comment else ""
        raise CommandFailedError(
            f"model {name!r} is frozen by {config.author or 'somebody'} (revision {config.revision}{why}); first: "
            f"headrace models unfreeze {name}"
        )


def _agreed(name: str, versions: Mapping[str, Collection[int]]) -> tuple[int, ...]:
    """The versions that all workers serve."""
    served = {worker: tuple(sorted(each, reverse=True)) for worker, each in sorted(versions.items())}
    if len(set(served.values())) == 1 and all(served.values()):
        return next(iter(served.values()))
    said = "; ".join(f"{worker} has {', '.join(map(str, each)) or 'none'}" for worker, each in served.items())
    raise CommandFailedError(
        f"which versions of model {name!r} to keep cannot be told: {said or 'no worker is live'}. Wait until all have "
        f"the same (headrace models wait {name}), or name them with: headrace models set {name} --versions"
    )


def is_same(before: ModelConfig, after: ModelConfig) -> bool:
    """Whether two configs ask for the same, whoever wrote them when, and why."""
    return _unsigned(before) == _unsigned(after)


def _unsigned(config: ModelConfig) -> PastConfig:
    return replace(config.as_past(), revision=0, author="", time=0, comment="")


def present(name: str, config: ModelConfig | None) -> ModelConfig:
    """The config, where there is a valid one. Raises `CommandFailedError` otherwise."""
    if config is None:
        raise CommandFailedError(
            f"model {name!r} has no valid record on the control topic; set it with: headrace models set {name} "
            "--base-path DIR"
        )
    return config


def _past(name: str, config: ModelConfig, revision: int | None) -> PastConfig:
    known = {past.revision: past for past in config.history}
    if not known:
        raise CommandFailedError(f"model {name!r} has no earlier config: this one is its first")
    if revision is None:
        return config.history[0]
    if revision in known:
        return known[revision]
    raise CommandFailedError(
        f"model {name!r} has no earlier revision {revision}; its history has "
        f"{', '.join(map(str, sorted(known, reverse=True)))}"
    )
