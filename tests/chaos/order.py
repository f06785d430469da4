"""Whether replies came in the order of their requests, by the coordinates that they carry."""

from collections.abc import Iterable

from schemas import headers
from tests.kit.verifier import Reply


def out_of_order(replies: Iterable[Reply]) -> list[str]:
    """Requests whose first reply came behind that to a later request of their partition, in the same partition.

    What is repeated does not count: after a crash the replies since the last commit come once more, in order.
    """
    furthest: dict[tuple[int, int], int] = {}
    seen: set[str] = set()
    found = []
    for reply in sorted(replies, key=lambda each: (each.partition, each.offset)):
        if reply.value.id in seen:
            continue
        seen.add(reply.value.id)
        asked = headers.parse_request_coordinates(dict(reply.headers)[headers.REQUEST])
        pair = (asked.partition, reply.partition)
        if asked.offset < furthest.get(pair, -1):
            found.append(
                f"{reply.value.id} (request {asked.partition}/{asked.offset}) came behind {furthest[pair]}"
            )
        else:
            furthest[pair] = asked.offset
    return found
