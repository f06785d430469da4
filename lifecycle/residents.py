"""Which versions are in memory, and which of them makes room for another: the decisions of `caching_manager`.

It holds no lock, reads no clock and knows no loader: its owner asks what may be done, does it, and tells the result.
"""

from collections.abc import Callable

from lifecycle.servable_id import ServableId


class Residents:
    """At most so many versions, those included that are on their way in or out. Not thread-safe.

    A version's way: `ask`, `enter` once it may, `settle` when it is loaded, `use` each time it is used; then `evict`
    gives its id, and it is in memory until `leave`. It may ask for its next life before the last one is out.

    1. Who asks first enters first.
    2. Nothing is evicted that is in use, nor while there is room for all who have asked.
    3. What was used longest ago is evicted first.

    Attributes:
        most: how many; None is without limit.
    """

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._asking: dict[ServableId, None] = {}  # dictionaries for their order: what came last is last
        self._entering: set[ServableId] = set()
        self._settled: dict[ServableId, None] = {}
        self._leaving: set[ServableId] = set()

    def ask(self, servable_id: ServableId) -> None:
        """Stand in line for room. Requires: it is not in memory, or on its way out."""
        self._asking[servable_id] = None

    def withdraw(self, servable_id: ServableId) -> None:
        """Ask no more; nothing happens to one that does not."""
        self._asking.pop(servable_id, None)

    def enter(self, servable_id: ServableId) -> bool:
        """Go in, if it is this one's turn, there is room, and its own last life is out. Requires: it has asked."""
        first = next(iter(self._asking))
        if first != servable_id or servable_id in self._leaving or self._lacking(1) > 0:
            return False
        del self._asking[servable_id]
        self._entering.add(servable_id)
        return True

    def settle(self, servable_id: ServableId) -> None:
        """It is loaded, and was used just now. Requires: it has entered."""
        self._entering.remove(servable_id)
        self._settled[servable_id] = None

    def use(self, servable_id: ServableId) -> bool:
        """It is used now; False when it is not settled."""
        if servable_id not in self._settled:
            return False
        del self._settled[servable_id]
        self._settled[servable_id] = None
        return True

    def evict(self, in_use: Callable[[ServableId], bool]) -> ServableId | None:
        """The next one that has to leave for those who ask; None when enough leave already, or all are in use."""
        if self._lacking(len(self._asking)) <= len(self._leaving):
            return None
        return self.evict_one(in_use)

    def evict_one(self, in_use: Callable[[ServableId], bool]) -> ServableId | None:
        """The one that leaves first when room is wanted for something else than one more; None when all are in use."""
        chosen = next((each for each in self._settled if not in_use(each)), None)
        if chosen is not None:
            del self._settled[chosen]
            self._leaving.add(chosen)
        return chosen

    def leave(self, servable_id: ServableId) -> None:
        """It is out of memory; nothing happens to one that was not in it."""
        self._settled.pop(servable_id, None)
        self._entering.discard(servable_id)
        self._leaving.discard(servable_id)

    def _lacking(self, more: int) -> int:
        """How many have to be out before so many more can be in."""
        if self.most is None:
            return 0
        return len(self._entering) + len(self._settled) + len(self._leaving) + more - self.most
