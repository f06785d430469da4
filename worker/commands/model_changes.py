"""From a model's present config to the one that a command wants."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from schemas.model_config import ModelConfig, PastConfig
from worker.commands.failure import CommandFailedError

Change = Callable[[ModelConfig | None], ModelConfig]
"""From the present config (None: there is none that is valid) to the wanted one."""


def with_labels(name: str, labels: Mapping[str, int], without: Collection[str], comment: str) -> Change:
    """These labels besides, or moved; those in *without* gone; the others as they are.

    The change raises `CommandFailedError` where there is no config, or no such label to take away.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = present(name, before)
        if missing := sorted(set(without) - config.labels.keys()):
            has = ", ".join(sorted(config.labels)) or "none"
            raise CommandFailedError(
                f"model {name!r} has no label {', '.join(map(repr, missing))}; its labels: {has}"
            )
        kept = {label: version for label, version in config.labels.items() if label not in without}
        return replace(config, labels=kept | dict(labels), comment=comment)

    return change


def as_before(name: str, revision: int | None, comment: str) -> Change:
    """As it was in the config before the present one, or in *revision*; by default the comment says so.

    The change raises `CommandFailedError` where there is no config, or it does not know that revision.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        config = present(name, before)
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
