"""Which version answers a kind of request, or why none does.

Decided once a block, not once a record: everything that routing looks at is part of the kind.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from lifecycle import errors as lifecycle_errors
from lifecycle import signature as signatures
from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_handle import ServableHandle
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.signature import Signature
from schemas.errors import Code
from schemas.request_kind import RequestKind
from worker import model_choice
from worker.control_record import LONGEST_NAME
from worker.lazy_demand import LazyDemand
from worker.model_table import DesiredModel, ModelTable, Sleep
from worker.told_reasons import told
from worker.traffic_shares import ShadowShare, TrafficShares

MAX_CHECKED_KINDS = 4096

REFUSALS: Mapping[type[model_choice.Choice], Code] = {
    model_choice.NotConfigured: Code.NOT_FOUND,
    model_choice.UnknownVersion: Code.NOT_FOUND,
    model_choice.UnknownLabel: Code.INVALID_ARGUMENT,
    model_choice.Misconfigured: Code.UNAVAILABLE,
}
"""The code for each choice that is no version."""


@dataclasses.dataclass(frozen=True, slots=True)
class Routed:
    """A version answers; the handle is the caller's to release. *shadow*: which requests are tried on another one."""

    handle: ServableHandle
    signature: Signature
    shadow: ShadowShare | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """No version ever will, for this request as it is. *model* is empty where the name is not one of ours."""

    code: Code
    message: str
    model: str = ""
    version: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Hold:
    """A version is on its way; ask again. *message* says what is waited for."""

    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Divided:
    """Several versions answer, each its share. *shadow*: as in `Routed`."""

    shares: TrafficShares
    shadow: ShadowShare | None = None


Outcome = Routed | Refused | Hold | Divided


class Manager(Protocol):
    """What routing asks of `lifecycle.aspired_versions_manager`."""

    def handle(self, name: str, version: int | None = None) -> ServableHandle:
        """A handle on a version, or on the latest available one; raises ServableNotFound."""
        ...

    def states(self) -> tuple[VersionStatus, ...]:
        """Every managed version."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """The signature that a kind fits, among a version's; good for those signatures only."""

    signatures: Mapping[str, Signature]
    signature: Signature


class Router:
    """Finds the version for a kind of request; used by the poll thread.

    Args:
        table: the desired models.
        manager: gives handles, and tells of versions that it has none of.
        models_of: the patterns of the models that each binding serves.
        demand: is told which lazy models are asked for.
    """

    def __init__(
        self, table: ModelTable, manager: Manager, models_of: Mapping[str, Sequence[str]], demand: LazyDemand
    ) -> None:
        self._table = table
        self._manager = manager
        self._models_of = models_of
        self._demand = demand
        self._served: dict[tuple[str, str], bool] = {}
        self._checked: OrderedDict[tuple[ServableId, RequestKind], Checked] = OrderedDict()

    def route(self, kind: RequestKind, binding: str) -> Outcome:
        """What becomes of requests of this kind that came by that binding."""
        if not self._serves(binding, kind.model):
            return Refused(Code.NOT_FOUND, f"model {kind.model!r} is not served by the topic of this request")
        model = self._table.lookup(kind.model)
        if model is not None and model.sleep is not None:
            return self._route_lazy(kind, model, model.sleep)
        return self._route(kind, model)

    def _route_lazy(self, kind: RequestKind, model: DesiredModel, sleep: Sleep) -> Outcome:
        """Note that the model is asked for. Until all of it is there only a version that is named may answer.

        What means another version then, the latest or that of a label or of a split, would go to one by chance.
        """
        choice = model_choice.choose(kind.model, model, kind.version, kind.label)
        if not isinstance(choice, model_choice.Found):
            return self._route(kind, model)
        outcome: Outcome
        if sleep is Sleep.AWAKE or kind.version is not None:
            outcome = self._route(kind, model)
        else:
            outcome = self._absent(model, choice.version)
        if isinstance(outcome, Hold):
            self._demand.want(model.name)
        else:
            self._demand.use(model.name)
        return outcome

    def _route(self, kind: RequestKind, model: DesiredModel | None) -> Outcome:
        shadow = None
        if model is not None and kind.version is None and kind.label is None:
            shadow = model.shadow
            if model.shares is not None:
                return Divided(model.shares, shadow)
        choice = model_choice.choose(kind.model, model, kind.version, kind.label)
        if isinstance(choice, model_choice.Found | model_choice.UnknownVersion):
            # A version that is not desired any more may still be there, until its unload begins.
            handle = self._handle(kind.model, choice.version)
            if handle is None and kind.label is not None:
                handle = self._former(model, kind.label)
            if handle is not None:
                return self._check(kind, handle, shadow)
            if isinstance(choice, model_choice.Found):
                assert model is not None, "an unknown model has no version to find"
                return self._absent(model, choice.version)
        known = kind.model if model is not None else ""
        message = choice.message
        if isinstance(choice, model_choice.Misconfigured):
            message = told(message)
        return Refused(REFUSALS[type(choice)], message, known)

    def known_name(self, model: str) -> str:
        """The name, when it is a model of the control topic; else nothing, so that no requester makes up labels."""
        return model if self._table.lookup(model) is not None else ""

    def _serves(self, binding: str, model: str) -> bool:
        """Whether a binding's patterns have room for a model; the answers are kept, as there are few."""
        served = self._served.get((binding, model))
        if served is None:
            served = any(fnmatchcase(model, pattern) for pattern in self._models_of[binding])
            if len(self._served) >= MAX_CHECKED_KINDS:
                self._served.clear()
            if len(model) <= LONGEST_NAME:  # no model has a longer name, and requesters make them up
                self._served[binding, model] = served
        return served

    def _handle(self, name: str, version: int | None) -> ServableHandle | None:
        try:
            return self._manager.handle(name, version)
        except lifecycle_errors.ServableNotFound:
            return None

    def _former(self, model: DesiredModel | None, label: str) -> ServableHandle | None:
        """The version that a label meant before, as long as the one that it points to is not available."""
        if model is None:
            return None
        for version in model.former.get(label, ()):
            handle = self._handle(model.name, version)
            if handle is not None:
                return handle
        return None

    def _absent(self, model: DesiredModel, version: int | None) -> Refused | Hold:
        """Why no version can be had now: one is on its way, or all that are meant have failed."""
        wanted = model.versions if version is None else (version,)
        reasons = []
        for each in wanted:
            failure = model.failures.get(each)
            if failure is None:
                failure = self._failure(ServableId(model.name, each))
            if failure is None:
                return Hold(f"version {each} of model {model.name!r} is still loading")
            reasons.append(f"version {each} failed: {_told(model, failure)}")
        reason = "; ".join(reasons) or _told(model, model.problem or "no version of it was found")
        return Refused(Code.UNAVAILABLE, f"model {model.name!r} is not available: {reason}", model.name)

    def _failure(self, servable_id: ServableId) -> str | None:
        """Why a version has failed; None when it is on its way. What is not aspired has been told to go."""
        for status in self._manager.states():
            ended = status.state is ServableState.END and status.aspired
            if status.id == servable_id and ended and status.error is not None:
                return str(status.error)
        return None

    def _check(
        self, kind: RequestKind, handle: ServableHandle, shadow: ShadowShare | None
    ) -> Routed | Refused:
        """Check a kind against the version's signature, once for each pair of them where it fits."""
        key = handle.id, kind
        known = handle.servable.signatures
        checked = self._checked.get(key)
        if checked is None or checked.signatures is not known:
            result = _compare(kind, handle.id, known)
            if isinstance(
                result, Refused
            ):  # not kept: its names are the requester's, and as long as they like
                handle.release()
                return result
            checked = self._checked[key] = Checked(known, result)
            if len(self._checked) > MAX_CHECKED_KINDS:
                self._checked.popitem(last=False)
        return Routed(handle, checked.signature, shadow)


def wrong_rows(kind: RequestKind, signature: Signature, rows: int | None) -> str | None:
    """What is wrong with the rows of requests that otherwise fit a signature; None when nothing is."""
    if signature.batchable:
        return None if rows is not None else "the inputs differ in dimension 0, which is the number of rows"
    try:
        signatures.check_inputs(signature, _given(kind, rows))
    except lifecycle_errors.InvalidInput as error:
        return str(error)
    return None


def _told(model: DesiredModel, reason: str) -> str:
    """A reason of the operator's, as the requester may know it."""
    return told(reason, "" if model.config is None else model.config.base_path)


def _compare(
    kind: RequestKind, servable_id: ServableId, known: Mapping[str, Signature]
) -> Signature | Refused:
    """Everything but the number of rows, in which requests of one kind differ."""
    try:
        signature = signatures.find_signature(known, kind.signature)
        signatures.check_inputs(signature, _given(kind, None))
        signatures.check_outputs(signature, kind.outputs)
    except lifecycle_errors.InvalidInput as error:
        message = f"model {servable_id}: {error}"
        return Refused(Code.INVALID_ARGUMENT, message, servable_id.name, servable_id.version)
    return signature


def _given(kind: RequestKind, rows: int | None) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """Each input's dtype and whole shape, with that number of rows; None leaves it open."""
    return {
        layout.name: (
            layout.dtype.name,
            (rows, *layout.inner_shape) if kind.batchable else layout.inner_shape,
        )
        for layout in kind.inputs
    }
