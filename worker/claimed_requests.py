"""Requests whose data lies elsewhere: counted when they are read, fetched when there is room; then they go on.

They wait beside the flow, like those that wait for a model. What they claim counts in the budget from the poll to the
commit, so reading pauses for it. One poll may claim more than the whole budget all the same; so no more is fetched at a
time than the records leave of their binding's part, in the order in which they came, and at least one request's.
"""

import itertools
import logging
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from schemas.claim import Claim
from schemas.errors import Code
from schemas.request_columns import DecodedData, RequestColumns
from worker.answering import Answering
from worker.budget import Budget
from worker.claim_fetch import Fetch, Retries, size_of
from worker.claim_roots import ClaimError, Roots
from worker.claim_threads import HANGS, ClaimObserver, ClaimThreads
from worker.log import Occasionally
from worker.polled_records import PolledRecords
from worker.request_block import Part

if TYPE_CHECKING:
    from schemas.tensor import Tensor

log = logging.getLogger(__name__)

SETTING = "claims.roots"
LOOK_SECONDS = 0.05
"""Between two looks at whether those that wait are still wanted, of which there may be a whole budget's."""
MOST_BEGUN = 256
"""Fetches that threads may have before them: they are looked at each time the poll loop comes round."""


class FetchedData(DecodedData):
    """Inputs that were fetched; as long as this lives, so does their data."""

    __slots__ = ("__weakref__",)


class _Waiting:
    """One request and the data that it waits for."""

    __slots__ = ("begun", "fetch", "part")

    def __init__(self, part: Part, fetch: Fetch) -> None:
        self.part = part
        self.fetch = fetch
        self.begun = False


class ClaimedRequests:
    """What waits for its data; owned by the poll thread.

    Args:
        roots: the places that are allowed.
        request_bytes: what one request may claim.
        seconds: the time of one fetch, for messages; *threads* keep it.
        budget: how much of a binding's part is left.
        answering: answers requests that cannot go on.
    """

    def __init__(  # noqa: PLR0913 - its seams, each by its name
        self,
        roots: Roots,
        threads: ClaimThreads,
        *,
        request_bytes: int,
        seconds: float,
        budget: Budget,
        observer: ClaimObserver,
        answering: Answering,
        clock: Callable[[], float],
        retries: Retries | None = None,
    ) -> None:
        self._roots = roots
        self._threads = threads
        self._request_bytes = request_bytes
        self._seconds = seconds
        self._budget = budget
        self._observer = observer
        self._answering = answering
        self._clock = clock
        self._retries = retries or Retries()
        self._occasionally = Occasionally(log, seconds=10.0, clock=clock)
        self._queued: dict[str, deque[_Waiting]] = {}
        self._begun: list[_Waiting] = []
        self._next_look = 0.0
        self._fetched: dict[str, int] = {}
        self._let_go: deque[tuple[str, int]] = deque()  # by whichever thread lets go of the data last

    def count(self, records: PolledRecords, columns: RequestColumns) -> None:
        """Count what a request with parameters claims, before anything else is done with its poll."""
        claims = columns.claims()
        if claims:
            (position,) = columns.indices
            # What will be refused takes nothing.
            records.claim(position, 0 if self._refusal(claims) else size_of(claims))

    def take(self, part: Part) -> bool:
        """Have the data of a request fetched, or refuse it; False: it needs none."""
        claims = part.columns.claims()
        if not claims:
            return False
        refusal = self._refusal(claims)
        if refusal is not None:
            self._fail(part, refusal)
            return True
        tensors = _tensors(part.columns)
        fetch = Fetch(tensors, claims, self._roots, retries=self._retries, clock=self._clock)
        self._queued.setdefault(part.records.binding, deque()).append(_Waiting(part, fetch))
        return True

    def step(self, now_ms: float) -> list[Part]:
        """Begin what there is room for, answer what has failed; the requests whose data is there."""
        while self._let_go:
            binding, size_bytes = self._let_go.popleft()
            self._fetched[binding] -= size_bytes
        self._threads.step()
        if not self:
            return []
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._begun = [each for each in self._begun if self._is_wanted(each, now_ms)]
            for binding, queued in self._queued.items():
                self._queued[binding] = deque(each for each in queued if self._is_wanted(each, now_ms))
        for binding, queued in self._queued.items():
            # In order, whatever their sizes: a large one would wait for ever for small ones.
            while (
                queued
                and len(self._begun) < MOST_BEGUN
                and self._has_room(binding, queued[0].fetch.size_bytes)
            ):
                self._begin(queued.popleft())
        ready: list[Part] = []
        begun, self._begun = self._begun, []
        for each in begun:
            if each.fetch.ended:
                ready += self._done(each)
            elif self._threads.is_late(each.fetch):
                self._late(each)
            else:
                self._begun.append(each)
        return ready

    @property
    def rows(self) -> int:
        """Rows that wait."""
        queued = itertools.chain.from_iterable(self._queued.values())
        return sum(each.part.rows for each in itertools.chain(self._begun, queued))

    def __len__(self) -> int:
        return len(self._begun) + sum(map(len, self._queued.values()))

    def _refusal(self, claims: Mapping[str, Claim]) -> ClaimError | None:
        try:
            for name, claim in claims.items():
                self._roots.of(name, claim.uri)
        except ClaimError as error:
            return error
        if size_of(claims) > self._request_bytes:
            return ClaimError(
                Code.RESOURCE_EXHAUSTED,
                f"the request claims {size_of(claims)} bytes of data, at most {self._request_bytes} are taken "
                "(claims.request_bytes)",
            )
        return None

    def _has_room(self, binding: str, size_bytes: int) -> bool:
        fetched = self._fetched.get(binding, 0)
        return not fetched or fetched + size_bytes <= self._budget.room_for_claimed(binding)

    def _begin(self, each: _Waiting) -> None:
        binding = each.part.records.binding
        self._fetched[binding] = self._fetched.get(binding, 0) + each.fetch.size_bytes
        each.begun = True
        self._begun.append(each)
        self._threads.begin(each.fetch)

    def _is_wanted(self, each: _Waiting, now_ms: float) -> bool:
        _, left = each.part.ours()
        live, _ = each.part.unexpired(now_ms)
        if live and not left:
            return True
        self._give_up(each)
        (self._answering.leave if left else self._answering.expire)(each.part)
        return False

    def _give_up(self, each: _Waiting) -> None:
        self._threads.give_up(each.fetch)
        if each.begun:
            self._let_go.append((each.part.records.binding, each.fetch.size_bytes))

    def _late(self, each: _Waiting) -> None:
        if each.fetch.started is None:
            why = "was not asked for, because too many fetches hang in a store that does not answer"
        else:
            why = f"was not there within {self._seconds:g} s (claims.seconds)"
        self._give_up(each)
        names = ", ".join(f"'{name}'" for name in each.part.columns.claims())
        self._fail(
            each.part, ClaimError(Code.UNAVAILABLE, f"tensor {names}: its data {why}; try again", HANGS)
        )

    def _done(self, each: _Waiting) -> list[Part]:
        fetch, records = each.fetch, each.part.records
        if fetch.failure is not None:
            self._let_go.append((records.binding, fetch.size_bytes))
            self._fail(each.part, fetch.failure)
            return []
        assert fetch.started is not None, "it has ended"
        self._observer.claim_done("fetch", self._clock() - fetch.started, fetch.size_bytes)
        data = FetchedData(fetch.tensors)
        weakref.finalize(data, self._let_go.append, (records.binding, fetch.size_bytes)).atexit = False
        return [Part(records, each.part.columns.with_data(data))]

    def _fail(self, part: Part, error: ClaimError) -> None:
        if error.problem:
            self._occasionally.warning(
                "claimed data cannot be fetched; look at the store, and at fsspec's configuration for it",
                key=error.code.name,
                code=error.code.name,
                problem=error.problem,
            )
        self._observer.claim_failed("fetch", error.code.name)
        self._answering.refuse(part, error.code, str(error))


def _tensors(columns: RequestColumns) -> "tuple[Tensor, ...]":
    """The tensors of a request that the general decoder took."""
    assert isinstance(columns.data, DecodedData), "a request with parameters is a block of its own"
    return columns.data.tensors
