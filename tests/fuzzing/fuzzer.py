"""Polls of requests, genuine and not, for decoders that live long enough to learn, forget and confuse layouts.

Everything comes from one seed: the same seed gives the same polls. Three decoders get each poll: two with the limits
and the cache of a worker, for as long as the fuzzer runs, one of which takes every poll for a large one; and one after
another with few layouts or tight limits, whose layouts are forgotten while they are in use.
"""

import functools
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas import alike_lengths
from schemas.request_columns import DecodedData, RequestColumns
from schemas.request_decoder import Rejected, RequestDecoder
from schemas.wire_limits import DEFAULT_LIMITS, WireLimits
from tests.fuzzing.agreement import Decoder, Reference, Refusal, Values, Verdict, difference
from tests.fuzzing.families import ID_BYTES, Family, another_member, first_member, new_family, sibling
from tests.fuzzing.mutations import mutated
from tests.fuzzing.pieces import Pieces, joined, of_request
from tests.fuzzing.reduction import reduced
from tests.fuzzing.reply_agreement import ReplyFuzzer

MakeDecoder = Callable[[WireLimits, int], Decoder]
WORKERS_LAYOUTS = 4096
SMALL_CACHES = (1, 2, 3, 8, 32)
TIGHT_LIMITS = WireLimits(
    record_bytes=120,
    tensors=2,
    rows=2,
    dims=3,
    output_names=1,
    parameters=1,
    parameter_bytes=1,
    string_bytes=16,
    items=6,
    record_items=9,
)
FAMILIES = 48
BATCHES_OF_A_SMALL_DECODER = 100
HISTORY = 400
"""Batches that are kept to find a short way to a difference."""
BATCH_SIZES = (0, 1, 1, 2, 3, 8, 20, 60)
FEW_RECORDS = 3
"""Of one length: what a decoder does with a large poll is done with so small ones too."""


def request_decoder(limits: WireLimits, max_layouts: int) -> Decoder:
    """The decoder that a worker has; with an odd number of layouts it looks at small polls as at large ones."""
    many_alike = FEW_RECORDS if max_layouts % 2 else alike_lengths.MANY
    return RequestDecoder(limits=limits, max_layouts=max_layouts, many_alike=many_alike)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the values of one poll are made.

    Attributes:
        damaged: the share of values that are damaged.
        id_bytes: the length of all ids, None for any: values of one length may be compared at once.
        same_length: whether damaged values keep their length.
    """

    damaged: float
    id_bytes: int | None
    same_length: bool


class Watched:
    """A decoder that counts what it has read by a layout that it had learnt."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.by_layout = 0
        self.kinds: set[int] = set()

    def decode(self, values: Values, /) -> tuple[list[RequestColumns], list[Rejected]]:
        """What the decoder says."""
        blocks, rejected = self._decoder.decode(values)
        for block in blocks:
            if not isinstance(block.data, DecodedData):
                self.by_layout += len(block)
                self.kinds.add(hash(block.kind))
        return blocks, rejected


@dataclass(slots=True)
class Rig:
    """A decoder with its limits and the size of its cache, and what it was given of late."""

    limits: WireLimits
    max_layouts: int
    decoder: Watched
    history: deque[Values] = field(default_factory=lambda: deque(maxlen=HISTORY))


@dataclass(slots=True)
class Counts:
    """What has been compared so far: batches, values, what the general decoder said of these, and replies."""

    batches: int = 0
    inputs: int = 0
    accepted: int = 0
    rejected: int = 0
    replies: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """What a decoder, or the encoder of replies, does not agree about with the general one.

    Attributes:
        message: about what.
        limits: the decoder's limits.
        max_layouts: the size of its cache.
        batches: what to give to a new decoder to see it; empty where a new one does not show it, or where it is about
            replies.
    """

    message: str
    limits: WireLimits = DEFAULT_LIMITS
    max_layouts: int = WORKERS_LAYOUTS
    batches: tuple[Values, ...] = ()

    def lines(self) -> list[str]:
        """How to see it again, for a person."""
        if not self.batches:
            return []
        head = f"or a new decoder with {self.max_layouts} layouts and {self.limits}, given, a line a batch:"
        return [head, *(" ".join(_shown(value) for value in values) for values in self.batches)]


class Fuzzer:
    """Makes polls and compares, one batch a step."""

    def __init__(self, seed: int, make_decoder: MakeDecoder = request_decoder) -> None:
        self._rng = random.Random(seed)
        self._make = make_decoder
        self._families = [self._with_member(new_family(self._rng)) for _ in range(FAMILIES)]
        self._references: dict[WireLimits, Reference] = {}
        self._lasting = self._rig(DEFAULT_LIMITS, WORKERS_LAYOUTS)
        self._sorting = self._rig(DEFAULT_LIMITS, WORKERS_LAYOUTS + 1)
        self._small = self._small_rig()
        self._replies = ReplyFuzzer(self._rng)
        self.counts = Counts()

    @property
    def by_layout(self) -> int:
        """Values that the lasting decoder has read by a layout."""
        return self._lasting.decoder.by_layout

    @property
    def kinds(self) -> int:
        """Kinds of requests that the lasting decoder has read by a layout."""
        return len(self._lasting.decoder.kinds)

    @property
    def batches(self) -> int:
        """Batches compared so far."""
        return self.counts.batches

    @property
    def records(self) -> int:
        """Values compared so far."""
        return self.counts.inputs

    def progress(self) -> str:
        """How far it is, for a person."""
        counts = self.counts
        return (
            f"{counts.inputs:,} inputs agreed, of them {counts.rejected:,} rejected and {self.by_layout:,} read by "
            f"layouts, of {self.kinds:,} kinds; {counts.replies:,} blocks of replies"
        )

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Nothing: decoders are compared, not what they keep."""
        return {}

    def step(self) -> Difference | None:
        """Compare one batch, and the replies to another one; what differs."""
        self.counts.batches += 1
        if self.counts.batches % BATCHES_OF_A_SMALL_DECODER == 0:
            self._small = self._small_rig()
        values = self._batch()
        for rig in (self._lasting, self._sorting, self._small):
            verdicts = self._verdicts(rig.limits, values)
            rig.history.append(values)
            message = difference(rig.decoder, values, verdicts)
            if message is not None:
                return self._explained(message, rig)
            if rig is self._lasting:
                self._count(verdicts)
        self.counts.replies += 1
        message = self._replies.difference()
        return None if message is None else Difference(message)

    def _batch(self) -> Values:
        """Members of a few families, most of them genuine, some of them damaged."""
        rng = self._rng
        self._families[rng.randrange(FAMILIES)] = self._with_member(self._another_family())
        members = [member for _, member in rng.choices(self._families, k=rng.choice((1, 1, 2, 3, 12)))]
        manner = Manner(
            damaged=rng.choice((0.0, 0.02, 0.05, 0.3, 0.9)),
            id_bytes=rng.choice((None, rng.choice(ID_BYTES))),
            same_length=rng.random() < 0.5,
        )
        return [self._value(members, manner) for _ in range(rng.choice(BATCH_SIZES))]

    def _another_family(self) -> Family:
        if self._rng.random() < 0.4:
            return new_family(self._rng)
        return sibling(self._rng, self._rng.choice(self._families)[0])

    def _with_member(self, family: Family) -> tuple[Family, Pieces]:
        return family, of_request(first_member(self._rng, family), family.style)

    def _value(self, members: Sequence[Pieces], manner: Manner) -> bytes | None:
        rng = self._rng
        pieces = another_member(rng, rng.choice(members), manner.id_bytes)
        if rng.random() >= manner.damaged:
            return joined(pieces)
        if rng.random() < 0.01:
            return rng.choice((None, b""))
        return mutated(rng, pieces, rng.choice(members), same_length=manner.same_length)

    def _verdicts(self, limits: WireLimits, values: Values) -> list[Verdict]:
        if limits not in self._references:
            self._references[limits] = Reference(limits)
        return list(map(self._references[limits].read, values))

    def _count(self, verdicts: list[Verdict]) -> None:
        rejected = sum(isinstance(verdict, Refusal) for verdict in verdicts)
        self.counts.inputs += len(verdicts)
        self.counts.rejected += rejected
        self.counts.accepted += len(verdicts) - rejected

    def _rig(self, limits: WireLimits, max_layouts: int) -> Rig:
        return Rig(limits, max_layouts, Watched(self._make(limits, max_layouts)))

    def _small_rig(self) -> Rig:
        limits = self._rng.choice((DEFAULT_LIMITS, TIGHT_LIMITS))
        return self._rig(limits, self._rng.choice(SMALL_CACHES))

    def _explained(self, message: str, rig: Rig) -> Difference:
        """A difference with the shortest way to it that can be found."""
        read = functools.cache(Reference(rig.limits).read)

        def differs(batches: list[Values]) -> bool:
            decoder = self._make(rig.limits, rig.max_layouts)
            return any(difference(decoder, values, list(map(read, values))) for values in batches)

        batches: list[Values] = list(rig.history)
        short = reduced(batches, differs) if differs(batches) else []
        return Difference(message, rig.limits, rig.max_layouts, tuple(short))


def _shown(value: bytes | None) -> str:
    return "none" if value is None else value.hex() or "empty"
