"""Where versions come from, and what a manager can be told on the way from some to others; pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_state import ServableState


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from, and goes to; one that comes from elsewhere, or goes there, needs another loader."""

    loader: str
    path: str
    devices: tuple[str, ...] = ()


def sayable(
    wanted: Mapping[int, Source],
    sent: Mapping[int, Source],
    lives: Mapping[int, Source],
    status: Mapping[int, VersionStatus],
) -> Mapping[int, Source] | None:
    """What the manager can be told on the way to *wanted*, after *sent*; None: nothing for now.

    A life of a version keeps its loader (*lives* says where that is from). So a version that is to come from
    elsewhere must go first, and is aspired anew once it is gone. As long as another can serve meanwhile, one
    does: versions are replaced in turns, and only the last available one that nothing can stand in for is
    away for as long as its replacement loads.
    """
    alive = {v for v, s in status.items() if s.state is not ServableState.END}
    aspired = {v for v in alive if status[v].aspired}
    stale = {v for v, source in wanted.items() if v in alive and lives.get(v) != source}
    if (stale & aspired) - sent.keys():
        return None  # the manager has yet to see that they are not aspired
    ready = {v: source for v, source in wanted.items() if v not in stale}
    available = {v for v, s in status.items() if s.state is ServableState.AVAILABLE}
    if not stale or not available or available & aspired & ready.keys():
        return ready
    stand_ins = available & aspired & sent.keys()
    if not stand_ins:
        # What serves is kept for want of a successor: wait how the one under way ends.
        return None if aspired else ready
    if not ready and stand_ins <= stale and len(stand_ins) == 1:
        return {}
    stand_in = max(stand_ins - stale or stand_ins)
    return {**ready, stand_in: sent[stand_in]}
