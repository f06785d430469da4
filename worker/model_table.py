"""What is desired: each model's latest valid control record, and what came of it on this worker.

Written by the control thread. Readers on any thread see an immutable table that is replaced as a whole by one
assignment, so a request is routed without a lock and never sees half a change.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from schemas.model_config import LAZY, ModelConfig, PastConfig
from schemas.version_selection import SpecificVersions
from worker import control_record
from worker.control_record import InvalidControlRecord, Known
from worker.operator_rules import OperatorRules
from worker.traffic_shares import ShadowShare, TrafficShares

_MOST_REJECTED = 100  # a flood of garbage keys must not grow the table


class Sleep(Enum):
    """How far a lazy model is from being loaded."""

    ASLEEP = "asleep"
    """None of its versions is wanted: nobody has asked for it, or it had to make room."""
    WAKING = "waking"
    """It was asked for, and not each of its versions is available yet, or has failed."""
    AWAKE = "awake"
    """It is served as any other model."""


@dataclass(frozen=True)
class DesiredModel:
    """One model as the control topic wants it.

    Attributes:
        name: its name.
        config: its latest valid config; None when no record of it could be read.
        offset: the control offset of the latest record, valid or not.
        config_offset: the control offset of `config`; -1 for none.
        versions: the desired versions, highest first. For `latest` and `all`: those that were found here.
        arriving: versions that are desired once their files are all there, highest first.
        failures: why a desired version cannot even be tried (its directory is missing), by version.
        problem: why the latest record is not, or not fully, what is served; None when all is well.
        record_valid: whether the latest record is `config`.
        former: the versions that a label meant before, newest first; it goes on meaning them until the one that it
            points to is available.
        shares: how requests that name neither version nor label are divided; None: all go to the latest.
        shadow: which of these another version is tried on; None: there is none.
        sleep: of a lazy model, whether it is loaded; None: it is not lazy.
    """

    name: str
    config: ModelConfig | None
    offset: int
    config_offset: int = -1
    versions: tuple[int, ...] = ()
    arriving: tuple[int, ...] = ()
    failures: Mapping[int, str] = field(default_factory=dict)
    problem: str | None = None
    record_valid: bool = True
    former: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    shares: TrafficShares | None = None
    shadow: ShadowShare | None = None
    sleep: Sleep | None = None

    @property
    def labels(self) -> Mapping[str, int]:
        """The version of each label."""
        return {} if self.config is None else self.config.labels


@dataclass(frozen=True)
class RejectedRecord:
    """A record whose key names no model, or one too many, so that its problem has no model to stand with."""

    offset: int
    reason: str


class Change(Enum):
    """What a record has done to the table."""

    SET = "set"
    REMOVED = "removed"
    INVALID = "invalid"
    """The record cannot be applied: what was desired stays desired."""
    REJECTED = "rejected"
    """The record's key names no model, or one too many."""
    NOTHING = "nothing"
    """A removal of what was not there."""


class ModelTable:
    """The desired models by name.

    `apply`, `found`, `set_sleep` belong to the control thread; `lookup`, `models`, `rejected` to anybody.
    """

    def __init__(
        self,
        loaders: Collection[str] | None = None,
        policies: Collection[str] | None = None,
        rules: OperatorRules | None = None,
    ) -> None:
        """Make an empty table.

        Args:
            loaders: the names of loaders that may be used here; None does not check them.
            policies: likewise of policies.
            rules: what else the operator allows; by default everything.
        """
        self.rules = rules or OperatorRules()
        self._known = Known(loaders, policies, self.rules)
        self._models: MappingProxyType[str, DesiredModel] = MappingProxyType({})
        self._rejected: tuple[RejectedRecord, ...] = ()

    @property
    def models(self) -> Mapping[str, DesiredModel]:
        """Every desired model, as of now; the mapping never changes."""
        return self._models

    @property
    def rejected(self) -> tuple[RejectedRecord, ...]:
        """The latest records whose keys name no model, or one too many, newest last."""
        return self._rejected

    def lookup(self, name: str) -> DesiredModel | None:
        """The desired model of that name; None: it is not on the control topic."""
        return self._models.get(name)

    def asleep(self, name: str) -> bool:
        """Whether it is a lazy model of which no version is to be loaded now."""
        model = self._models.get(name)
        return model is not None and model.sleep is Sleep.ASLEEP

    def config_of(self, name: str) -> ModelConfig | None:
        """The config that is in force for a model; None: there is none."""
        model = self._models.get(name)
        return None if model is None else model.config

    def apply(self, key: bytes | None, value: bytes | None, offset: int) -> tuple[Change, str]:
        """Take in one control record; the change and the model's name, or the reason for a rejection.

        Raises nothing: a bad record is kept as a problem.
        """
        try:
            name = control_record.model_name(key)
        except InvalidControlRecord as error:
            return self._reject(offset, str(error))
        before = self._models.get(name)
        if value is None:
            self._put(name, None)
            return (Change.NOTHING if before is None else Change.REMOVED), name
        one_more = None if before else self.rules.problem_of_one_more(name, len(self._models))
        if one_more is not None:
            return self._reject(offset, one_more)
        try:
            config = control_record.read_config(value, self._known)
        except InvalidControlRecord as error:
            kept = before or DesiredModel(name, None, offset)
            problem = f"control record {offset} is not valid: {error}"
            self._put(name, replace(kept, offset=offset, problem=problem, record_valid=False))
            return Change.INVALID, name
        if isinstance(config.versions, SpecificVersions):
            versions = tuple(sorted(config.versions.versions, reverse=True))
        else:
            versions = before.versions if before else ()  # until the base path has been looked at
        model = DesiredModel(
            name,
            config,
            offset,
            offset,
            versions,
            former=_former(config, before.config if before else None),
            shares=TrafficShares.of(name, config),
            shadow=ShadowShare.of(name, config),
            sleep=((before and before.sleep) or Sleep.ASLEEP) if config.loading == LAZY else None,
        )
        self._put(name, model)
        return Change.SET, name

    def found(
        self,
        name: str,
        versions: tuple[int, ...],
        failures: Mapping[int, str],
        problem: str | None,
        arriving: tuple[int, ...] = (),
    ) -> None:
        """What looking under the base path has brought; the problem of an invalid record stays before it."""
        model = self._models[name]
        self._put(
            name,
            replace(
                model,
                versions=tuple(sorted(versions, reverse=True)),
                arriving=tuple(sorted(arriving, reverse=True)),
                failures=MappingProxyType(dict(failures)),
                problem=problem if model.record_valid else model.problem,
            ),
        )

    def set_sleep(self, name: str, sleep: Sleep) -> None:
        """A lazy model falls asleep, is woken, or is awake."""
        self._put(name, replace(self._models[name], sleep=sleep))

    def _reject(self, offset: int, reason: str) -> tuple[Change, str]:
        self._rejected = (*self._rejected, RejectedRecord(offset, reason))[-_MOST_REJECTED:]
        return Change.REJECTED, reason

    def _put(self, name: str, model: DesiredModel | None) -> None:
        models = (
            self._models.copy()
        )  # of a proxy, `dict` would ask for each key: ten times as long, for each record
        if model is None:
            models.pop(name, None)
        else:
            models[name] = model
        self._models = MappingProxyType(models)


def _former(config: ModelConfig, before: ModelConfig | None) -> Mapping[str, tuple[int, ...]]:
    """What each label meant in the configs before, as far back as it was set without a break.

    The record's own history says it, so a worker that starts later knows it, too; of a record without one, as other
    programs may write it, the config that it replaces.
    """
    past: tuple[PastConfig, ...] = config.history
    if not past and before is not None:
        past = before.following()
    return {label: found for label in config.labels if (found := _meant(label, config, past))}


def _meant(label: str, config: ModelConfig, past: Iterable[PastConfig]) -> tuple[int, ...]:
    versions = [config.labels[label]]
    for each in past:
        version = each.labels.get(label)
        if version is None:
            break
        if version not in versions:
            versions.append(version)
    return tuple(versions[1:])
