"""Sends requests to the versions that answer them: all of a kind to one, or divided by the model's traffic split."""

from collections.abc import Sequence

import numpy as np

from schemas.errors import Code
from schemas.request_kind import RequestKind
from worker.answering import Enqueuing
from worker.delivery import Answer
from worker.publisher import Publisher
from worker.request_block import Part
from worker.router import Divided, Hold, Outcome, Refused, Routed, Router
from worker.shadowing import Shadowing
from worker.traffic_shares import TrafficShares


class Routing:
    """Puts requests into queues, or refuses them; owned by the poll thread."""

    def __init__(
        self, router: Router, enqueuing: Enqueuing, publisher: Publisher, shadowing: Shadowing
    ) -> None:
        self._router = router
        self._enqueuing = enqueuing
        self._publisher = publisher
        self._shadowing = shadowing

    def send(self, kind: RequestKind, parts: Sequence[Part]) -> Hold | None:
        """Send requests of one kind and binding on their way; what all of them have to wait for, if they have to."""
        binding = parts[0].records.binding
        outcome = self._router.route(kind, binding)
        if isinstance(outcome, Divided):
            return self._divide(outcome, kind, parts, binding)
        return self._go(kind, parts, outcome)

    def _divide(self, asked: Divided, kind: RequestKind, parts: Sequence[Part], binding: str) -> Hold | None:
        """A variant whose version cannot be had leaves its requests to the others; with none there they wait."""
        shares = asked.shares
        kinds = shares.kinds(kind)
        outcomes = [self._router.route(each, binding) for each in kinds]
        there = [n for n, outcome in enumerate(outcomes) if not _absent(outcome)]
        if not there:
            waits = (outcome for outcome in outcomes if isinstance(outcome, Hold))
            return self._go(kinds[0], parts, next(waits, outcomes[0]))
        divided: list[list[Part]] = [[] for _ in kinds]
        for part in parts:
            for n, some in _divided(part, shares, there):
                divided[n].append(some)
        for n in there:
            outcome = outcomes[n]
            if divided[n]:
                self._go(kinds[n], divided[n], outcome)
                if asked.shadow is not None and isinstance(outcome, Routed):
                    self._shadowing.take(kind, divided[n], asked.shadow, outcome.handle.id)
            elif isinstance(outcome, Routed):
                outcome.handle.release()
        return None

    def _go(self, kind: RequestKind, parts: Sequence[Part], outcome: Outcome) -> Hold | None:
        match outcome:
            case Routed():
                self._enqueuing.enqueue(kind, parts, outcome)
                if outcome.shadow is not None:
                    self._shadowing.take(kind, parts, outcome.shadow, outcome.handle.id)
            case Refused(code, message, model, version):
                for part in parts:
                    self._publisher.refusal(part, message, Answer(model, version, "", code))
            case Hold():
                return outcome
            case Divided():
                raise AssertionError(f"a version or a label means one version: {kind}")
        return None


def _divided(part: Part, shares: TrafficShares, there: Sequence[int]) -> list[tuple[int, Part]]:
    """The requests of each variant, in their order."""
    if len(there) == 1:
        return [(there[0], part)]
    chosen = shares.assign(part.sticky_keys(), there)
    found = []
    for n in there:
        positions = np.flatnonzero(chosen == n).tolist()
        if positions:
            found.append((n, part if len(positions) == len(part) else part.pick(positions)))
    return found


def _absent(outcome: Outcome) -> bool:
    """Whether there is no version to answer; a version that refuses its requests is one."""
    return isinstance(outcome, Hold) or (
        isinstance(outcome, Refused) and outcome.code in (Code.UNAVAILABLE, Code.NOT_FOUND)
    )
