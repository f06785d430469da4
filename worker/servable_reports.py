"""What a worker says on the status topic about each version, and about models that have none.

Every event of the manager is sent on. Besides, what should be known is compared with what was said whenever
something has changed: that brings the reason of a try that will be repeated, problems of whole models, and
takes away what is gone.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from lifecycle import errors
from lifecycle.managed_servable import VersionStatus
from lifecycle.resources import ResourceAllocation
from lifecycle.servable_handle import ServableHandle
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableEvent
from lifecycle.signature import Signature
from lifecycle.signature import TensorSpec as LoadedSpec
from schemas import queue_report
from schemas.dead_letter import cut
from schemas.errors import Code
from schemas.queue_report import QueueReport
from schemas.servable_status import (
    ASLEEP,
    LOAD_SECONDS,
    MEMORY_BYTES,
    QUEUES,
    REQUESTS_ANSWERED,
    REQUESTS_FAILED,
    ServableState,
    ServableStatus,
)
from schemas.signature_spec import SignatureSpec, TensorSpec
from worker.metrics_requests import Requests
from worker.model_table import DesiredModel, ModelTable, Sleep
from worker.status_topic import WHOLE_MODEL, StatusTopic, servable_key

Key = tuple[str, int]
MESSAGE_BYTES = 4096
ARRIVING = "its files are still changing; it is loaded once nothing in it has changed for a while"
LAZY = "lazy: it is loaded when it is first asked for"


class Manager(Protocol):
    """What is asked of `lifecycle.aspired_versions_manager.AspiredVersionsManager`."""

    def states(self) -> tuple[VersionStatus, ...]:
        """Every managed version."""
        ...

    def handle(self, name: str, version: int | None = None) -> ServableHandle:
        """A handle on an available version; raises ServableNotFound."""
        ...

    def resources_of(self, servable_id: ServableId) -> ResourceAllocation:
        """The memory that is set aside for a version."""
        ...


def health(error: BaseException | None) -> tuple[int, str]:
    """The code and the sentence of a version's health, cut where a loader has said so much that no status takes it."""
    if error is None:
        return int(Code.OK), ""
    if isinstance(error, errors.LoadTimedOut):
        code = Code.DEADLINE_EXCEEDED
    elif isinstance(error, errors.LoadCancelled):
        code = Code.CANCELLED
    elif isinstance(error, errors.ResourceExhausted):
        code = Code.RESOURCE_EXHAUSTED
    elif isinstance(error, errors.PermanentLoadFailure):
        code = Code.FAILED_PRECONDITION
    else:
        code = Code.UNAVAILABLE
    return int(code), cut(str(error), MESSAGE_BYTES).decode()


def signature_specs(signature: Signature) -> SignatureSpec:
    """A loaded signature as the wire has it."""

    def spec(loaded: LoadedSpec) -> TensorSpec:
        return TensorSpec(loaded.name, loaded.dtype, loaded.shape)

    return SignatureSpec(
        signature.name,
        signature.method_name,
        tuple(map(spec, signature.inputs.values())),
        tuple(map(spec, signature.outputs.values())),
    )


class ServableReports:
    """Belongs to the control thread, but for `heard`.

    Args:
        worker: this worker's id.
        table: the desired models.
        manager: tells of the managed versions.
        follows: the control offset that a version was last aspired by; None for one that never was.
        out: the status topic.
        wall: wall clock in seconds.
        requests: counts the requests of each version.
        queues: tells of the batch queues of each version what has not been told yet; called once for each `count`.
    """

    def __init__(  # noqa: PLR0913 - what it tells of, and where
        self,
        worker: str,
        table: ModelTable,
        manager: Manager,
        follows: Callable[[str, int], int | None],
        out: StatusTopic,
        wall: Callable[[], float] = time.time,
        *,
        requests: Callable[[], Mapping[Key, Requests]] = dict,
        queues: Callable[[], Mapping[Key, Iterable[QueueReport]]] = dict,
    ) -> None:
        self._worker = worker
        self._table = table
        self._manager = manager
        self._follows = follows
        self._out = out
        self._wall = wall
        self._requests = requests
        self._queues = queues
        self._events: deque[ServableEvent] = deque()  # append and popleft are atomic
        self._said: dict[Key, ServableStatus] = {}

    def heard(self, event: ServableEvent) -> None:
        """A subscriber of the manager's bus: any thread."""
        self._events.append(event)

    def forward(self) -> bool:
        """Send on what was heard; whether there was anything."""
        any_heard = bool(self._events)
        while self._events:
            event = self._events.popleft()
            code, message = health(event.error)
            self._say(
                self._status(
                    event.id, ServableState[event.state.name], code, message, round(event.time * 1000)
                ),
                aspired=True,
            )
        return any_heard

    def compare(self) -> bool:
        """Say what has not been said yet, and take away what is gone; whether something is about to go."""
        known: set[Key] = set()
        for version in self._manager.states():
            code, message = health(version.error)
            message = message or cut(version.waiting or "", MESSAGE_BYTES).decode()
            state = ServableState[version.state.name]
            known.add((version.id.name, version.id.version))
            self._say(
                self._status(version.id, state, code, message, round(version.since * 1000)),
                aspired=version.aspired,
            )
        for model in self._table.models.values():
            for key, status in self._unmanaged(model, known):
                known.add(key)
                self._say(status, aspired=True)
        for key in self._said.keys() - known:
            self._out.withdraw(servable_key(self._worker, *key))
            del self._said[key]
        # The manager forgets a version that has ended well only some steps later, and tells nobody.
        return any(s.state is ServableState.END and s.code == Code.OK for s in self._said.values())

    def count(self) -> None:
        """Say of each available version what it has answered and what its queues did, where that has changed.

        Call it rarely.
        """
        counted, queues = self._requests(), self._queues()
        for key, status in self._said.items():
            if status.state is not ServableState.AVAILABLE:
                continue
            said = {}
            if (requests := counted.get(key)) is not None:
                said[REQUESTS_ANSWERED] = b"%d" % requests.answered
                said[REQUESTS_FAILED] = b"%d" % requests.failed
            if key in queues:
                said[QUEUES] = queue_report.encode(queues[key])
            if said.items() <= status.parameters.items():
                continue
            self._said[key] = replace(status, parameters={**status.parameters, **said})
            self._out.publish(self._said[key])

    def repeat(self) -> None:
        """Say everything again: something was lost, or the topic may have dropped what is old."""
        for status in self._said.values():
            self._out.publish(status)

    def withdraw(self) -> None:
        """Take everything away: this worker is leaving."""
        self._events.clear()
        for key in self._said:
            self._out.withdraw(servable_key(self._worker, *key))
        self._said.clear()

    def _say(self, status: ServableStatus, *, aspired: bool) -> None:
        key = status.model, status.version
        before = self._said.get(key)
        if before is not None:
            if not aspired or status.control_offset < 0:  # on its way out: it follows what it followed
                status = replace(status, control_offset=before.control_offset)
            if status.state == before.state:
                # Two clocks look at one change; and what a version takes and gives stays.
                available = status.state is ServableState.AVAILABLE
                parameters = before.parameters if available else status.parameters
                status = replace(
                    status, time=before.time, signatures=before.signatures, parameters=parameters
                )
                if status == before:
                    return
            elif (before.state, status.state) == (ServableState.LOADING, ServableState.AVAILABLE):
                took = b"%.3f" % ((status.time - before.time) / 1000)
                status = replace(status, parameters={LOAD_SECONDS: took, **self._memory(status)})
        if status.state is ServableState.AVAILABLE and not status.signatures:
            status = replace(status, signatures=self._signatures(status.model, status.version))
        self._said[key] = status
        self._out.publish(status)

    def _memory(self, status: ServableStatus) -> dict[str, bytes]:
        memory = self._manager.resources_of(ServableId(status.model, status.version)).memory
        said = " ".join(f"{device}={size}" for device, size in memory.items())
        return {MEMORY_BYTES: said.encode()} if said else {}

    def _status(
        self, servable_id: ServableId, state: ServableState, code: int, message: str, time_ms: int
    ) -> ServableStatus:
        offset = self._follows(servable_id.name, servable_id.version)
        return ServableStatus(
            self._worker,
            servable_id.name,
            servable_id.version,
            state,
            code,
            message,
            control_offset=-1 if offset is None else offset,
            time=time_ms,
        )

    def _unmanaged(self, model: DesiredModel, known: set[Key]) -> Iterator[tuple[Key, ServableStatus]]:
        """What is to be said about desired versions that no manager knows, and about the model as a whole."""
        now_ms = round(self._wall() * 1000)
        where = "" if model.config is None else f" (base path {model.config.base_path})"
        said = {v: (Code.NOT_FOUND, reason + where) for v, reason in model.failures.items()}
        said |= dict.fromkeys(model.arriving, (Code.OK, ARRIVING))
        sleeping = () if model.sleep is not Sleep.ASLEEP else set(model.versions) - said.keys()
        said |= dict.fromkeys(sleeping, (Code.OK, LAZY))
        for version in (*model.versions, *model.arriving):
            if (model.name, version) in known:
                continue
            code, message = said.get(version, (Code.OK, ""))
            yield (
                (model.name, version),
                ServableStatus(
                    self._worker,
                    model.name,
                    version,
                    ServableState.END if code else ServableState.START,
                    int(code),
                    message,
                    control_offset=model.config_offset,
                    time=now_ms,
                    parameters={ASLEEP: b"true"} if version in sleeping else {},
                ),
            )
        if model.problem is not None and not (model.record_valid and model.failures):
            yield (
                (model.name, WHOLE_MODEL),
                ServableStatus(
                    self._worker,
                    model.name,
                    WHOLE_MODEL,
                    ServableState.END,
                    int(Code.NOT_FOUND if model.record_valid else Code.INVALID_ARGUMENT),
                    model.problem + where if model.record_valid else model.problem,
                    control_offset=model.offset,
                    time=now_ms,
                ),
            )

    def _signatures(self, model: str, version: int) -> tuple[SignatureSpec, ...]:
        try:
            with self._manager.handle(model, version) as handle:
                return tuple(map(signature_specs, handle.servable.signatures.values()))
        except errors.ServableNotFound:
            return ()
