"""The fuzzer: a short run of it finds nothing in the decoder that there is, and what is wrong in a worse one."""

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from schemas.errors import InvalidStructure
from schemas.request_columns import RequestColumns
from schemas.request_decoder import Rejected, RequestDecoder
from schemas.wire_limits import WireLimits
from tests.fuzzing.agreement import Decoder, Reference, Values, difference
from tests.fuzzing.fuzzer import Difference, Fuzzer
from tests.fuzzing.reduction import reduced
from tests.fuzzing.reply_agreement import ReplyFuzzer, by_column

BATCHES = 1000
Decoded = tuple[list[RequestColumns], list[Rejected]]


def first_difference(fuzzer: Fuzzer, batches: int) -> Difference | None:
    """What differs first within so many batches."""
    return next(filter(None, (fuzzer.step() for _ in range(batches))), None)


def test_columns_and_the_general_codec_agree() -> None:
    """A thousand polls, genuine and not, are read by layouts as they are without; `make fuzz` goes on for longer."""
    fuzzer = Fuzzer(seed=1)

    assert first_difference(fuzzer, BATCHES) is None
    assert fuzzer.counts.inputs > 10 * BATCHES
    # It is no test of layouts unless they are used, and not of their limits unless much is refused.
    assert fuzzer.by_layout > fuzzer.counts.inputs // 4
    assert fuzzer.kinds > 100
    assert fuzzer.counts.rejected > fuzzer.counts.inputs // 10


def test_a_seed_says_all() -> None:
    """Two fuzzers with one seed give their decoders the same polls."""
    polls: list[list[Values]] = [[], []]

    class Noting:
        def __init__(self, limits: WireLimits, max_layouts: int, seen: list[Values]) -> None:
            self._decoder = RequestDecoder(limits=limits, max_layouts=max_layouts)
            self._seen = seen

        def decode(self, values: Values, /) -> Decoded:
            self._seen.append(values)
            return self._decoder.decode(values)

    for seen in polls:
        first_difference(Fuzzer(7, lambda limits, most, seen=seen: Noting(limits, most, seen)), 30)  # type: ignore[misc]

    assert len(polls[0]) == 90
    assert polls[0] == polls[1]


class Faulty:
    """A decoder that is right but for one thing, done to what the right one has said."""

    def __init__(
        self, limits: WireLimits, max_layouts: int, fault: Callable[[Values, Decoded], Decoded]
    ) -> None:
        self._decoder = RequestDecoder(limits=limits, max_layouts=max_layouts)
        self._fault = fault

    def decode(self, values: Values, /) -> Decoded:
        """What the right one says, with the fault."""
        return self._fault(values, self._decoder.decode(values))


def takes_ids_that_are_no_text(values: Values, decoded: Decoded) -> Decoded:
    """An id of a record whose layout is known is taken whatever its bytes are."""
    blocks, rejected = decoded
    for one in rejected:
        value = values[one.index]
        for at, block in enumerate(blocks):
            good = values[block.indices[0]]
            if (
                isinstance(one.error, InvalidStructure)
                and value is not None
                and good is not None
                and len(value) == len(good)
                and value[:60] == good[:60]
                and "PredictRequest.id: the text" in str(one.error)
            ):
                blocks[at] = RequestColumns(
                    block.kind,
                    block.rows_each,
                    [*block.indices, one.index],
                    [*block.ids, value[-1 - len(block.ids[0]) : -1]],
                    None,
                    block.data,
                )
                return blocks, [other for other in rejected if other is not one]
    return decoded


def exchanges_ids(_: Values, decoded: Decoded) -> Decoded:
    """In long blocks the first request has the second one's id."""
    blocks, rejected = decoded
    return [replace(b, ids=[*b.ids[1::-1], *b.ids[2:]]) if len(b) > 8 else b for b in blocks], rejected


def takes_trailing_bytes(values: Values, decoded: Decoded) -> Decoded:
    """What follows a record is nothing to it."""
    blocks, rejected = decoded
    return blocks, [one for one in rejected if "more follow" not in str(one.error)]


def forgets_one(_: Values, decoded: Decoded) -> Decoded:
    """The last of a long block is lost."""
    blocks, rejected = decoded
    return [b.take(0, len(b) - 1) if len(b) > 20 else b for b in blocks], rejected


def mixes_up_data(_: Values, decoded: Decoded) -> Decoded:
    """Blocks of the same shape have each other's data."""
    blocks, rejected = decoded
    for at, (one, two) in enumerate(itertools.pairwise(blocks)):
        if one.kind.inputs == two.kind.inputs and one.rows_each == two.rows_each and len(one) == len(two):
            blocks[at : at + 2] = replace(one, data=two.data), replace(two, data=one.data)
            break
    return blocks, rejected


def answers_nobody(_: Values, decoded: Decoded) -> Decoded:
    """Whoever sent a request that is refused is not known."""
    blocks, rejected = decoded
    return blocks, [replace(one, request_id=None) for one in rejected]


def raises(values: Values, decoded: Decoded) -> Decoded:
    """A value of very few bytes is more than it can bear."""
    if any(value is not None and len(value) < 10 for value in values):
        raise IndexError("index out of range")
    return decoded


FAULTS = (
    takes_ids_that_are_no_text,
    exchanges_ids,
    takes_trailing_bytes,
    forgets_one,
    mixes_up_data,
    answers_nobody,
    raises,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_decoder_is_found_out(fault: Callable[[Values, Decoded], Decoded]) -> None:
    """A decoder with a fault differs soon, and what the fuzzer says of it shows it again on a new decoder."""
    found = first_difference(Fuzzer(1, lambda limits, most: Faulty(limits, most, fault)), BATCHES)

    assert found is not None
    assert found.message
    assert differs(Faulty(found.limits, found.max_layouts, fault), found.limits, found.batches)
    assert not differs(
        RequestDecoder(limits=found.limits, max_layouts=found.max_layouts), found.limits, found.batches
    )


def test_a_faulty_encoder_is_found_out() -> None:
    """An encoder of replies that gives two requests each other's replies differs soon; the right one does not."""

    def exchanged(
        model: str,
        version: int | None,
        outputs: Mapping[str, npt.NDArray[np.generic]],
        rows: Sequence[int] | None,
        ids: Sequence[bytes],
    ) -> list[bytes]:
        replies = by_column(model, version, outputs, rows, ids)
        return [*replies[1::-1], *replies[2:]]

    faulty, right = ReplyFuzzer(random.Random(1), exchanged), ReplyFuzzer(random.Random(1))

    assert any(faulty.difference() for _ in range(50))
    assert not any(right.difference() for _ in range(50))


def differs(decoder: Decoder, limits: WireLimits, batches: Iterable[Values]) -> bool:
    """Whether a decoder differs on the way to these batches' end."""
    reference = Reference(limits)
    return any(difference(decoder, values, list(map(reference.read, values))) for values in batches)


def test_a_way_is_reduced_to_what_it_takes() -> None:
    """Of many batches those are left, with those values, that it takes to differ."""
    batches: list[Values] = [[b"%d" % (10 * batch + n) for n in range(10)] for batch in range(40)]

    left = reduced(batches, lambda given: any(b"77" in b for b in given) and any(b"301" in b for b in given))

    assert left == [[b"77"], [b"301"]]
