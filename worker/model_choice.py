"""Which version of a model a request means, by the control topic alone.

Pure: whether that version can be had is the manager's to say. The outcomes are named so that the router can
map each to its reply.
"""

from dataclasses import dataclass

from worker.model_table import DesiredModel


@dataclass(frozen=True)
class Found:
    """The model is desired. *version* is what the request means; None: the latest that is available."""

    version: int | None


@dataclass(frozen=True)
class NotConfigured:
    """The model is not on the control topic: NOT_FOUND."""

    message: str


@dataclass(frozen=True)
class UnknownVersion:
    """The version is not desired: NOT_FOUND, unless it is still available, not being unloaded yet."""

    version: int
    message: str


@dataclass(frozen=True)
class UnknownLabel:
    """The model has no such label: INVALID_ARGUMENT, as in TensorFlow Serving."""

    message: str


@dataclass(frozen=True)
class Misconfigured:
    """No record of the model could be read, so nothing is known of its versions and labels: UNAVAILABLE."""

    message: str


Choice = Found | NotConfigured | UnknownVersion | UnknownLabel | Misconfigured


def choose(name: str, model: DesiredModel | None, version: int | None, label: str | None) -> Choice:
    """What a request for *name* means; at most one of *version* and *label* is given."""
    if model is None:
        return NotConfigured(f"model {name!r} is not on the control topic")
    if model.config is None:
        return Misconfigured(f"model {name!r}: {model.problem}")
    if label is not None:
        labelled = model.labels.get(label)
        if labelled is None:
            known = ", ".join(sorted(model.labels)) or "none"
            return UnknownLabel(f"model {name!r} has no label {label!r}; its labels: {known}")
        return _desired(
            name, model, labelled, f"label {label!r} of model {name!r} points to version {labelled}"
        )
    if version is not None:
        return _desired(name, model, version, f"version {version} of model {name!r} was asked for")
    return Found(None)


def _desired(name: str, model: DesiredModel, version: int, asked: str) -> Choice:
    if version in model.versions:
        return Found(version)
    desired = ", ".join(map(str, model.versions)) or "none"
    return UnknownVersion(version, f"{asked}; the versions of {name!r} are: {desired}")
