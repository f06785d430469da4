"""How many requests each version has answered, out of what the metrics count of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import Code
from worker.metrics_counter import BlockCounter

Key = tuple[str, int]
"""A model's name, and a version."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Of one version, since the worker began: how many replies the broker has, and how many of these are errors."""

    answered: int = 0
    failed: int = 0


def requests_of_versions(counter: BlockCounter) -> Mapping[Key, Requests]:
    """What `worker.metrics.Metrics.requests` counts, by version: a look at each of its children, for once in a while.

    Batch threads count on meanwhile, so that a reply more or less may be in it. Requests that no version was chosen for
    count for none.
    """
    found: dict[Key, Requests] = {}
    for (model, version, _signature, code), count in counter.values().items():
        if isinstance(model, str) and isinstance(version, int):
            before = found.get((model, version), Requests())
            well = count if code == Code.OK.name else 0
            found[model, version] = Requests(before.answered + well, before.failed + count - well)
    return found
