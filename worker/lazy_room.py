"""Which lazy models go so that others have room; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifecycle.resources import Device, ResourceAllocation
from lifecycle.servable_id import ServableId


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lazy model that may go.

    Attributes:
        name: which.
        in_use: whether a request is with it, so that its memory does not come at once.
        asked_at: when it was last asked for.
        memory: what is set aside for it.
        place: where its own first load stands in the line of those that wait for room; None: none waits.
    """

    name: str
    in_use: bool
    asked_at: float
    memory: ResourceAllocation
    place: int | None = None


def least_recent(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that go first first: what is not in use, then what was asked for longest ago."""
    return sorted(candidates, key=lambda each: (each.in_use, each.asked_at))


def leaving_for(
    line: Sequence[tuple[ServableId, ResourceAllocation]],
    free: Mapping[Device, int],
    candidates: Sequence[Candidate],
) -> dict[str, ServableId]:
    """The models to unload so that loads have room, and for which load each goes.

    A load for which there is no room even so has nothing unloaded for it. Of models whose loads wait themselves, one
    goes only for those that stand before it: so the first in the line gets what it needs, and two that do not fit
    beside each other take turns.

    Args:
        line: the loads that wait, in the order of asking, and what each needs.
        free: of each device with a limit, the bytes that are free or about to be.
        candidates: the models that may go now.
    """
    found: dict[str, ServableId] = {}
    left = dict(free)
    for place, (servable_id, needs) in enumerate(line):
        if servable_id.name in found:
            continue  # its load ends with it
        short = {device: needs.of(device) - size for device, size in left.items() if needs.of(device) > size}
        chosen: list[Candidate] = []
        for each in least_recent(candidates):
            if all(size <= 0 for size in short.values()):
                break
            behind = each.place is None or each.place > place
            if each.name == servable_id.name or each.name in found or not behind:
                continue
            if any(each.memory.of(device) for device, size in short.items() if size > 0):
                chosen.append(each)
                short = {device: size - each.memory.of(device) for device, size in short.items()}
        if any(size > 0 for size in short.values()):
            continue
        for each in chosen:
            found[each.name] = servable_id
            left = {device: size + each.memory.of(device) for device, size in left.items()}
        left = {device: size - needs.of(device) for device, size in left.items()}
    return found
