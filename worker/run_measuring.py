"""How long a loaded version runs batches of each size, on this machine and alone; for `headrace tune`."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy.typing as npt

from batching.tuning import FirstRun, SizeCost
from lifecycle import errors, recorded_requests, warmup
from lifecycle.recorded_requests import RecordedRequest
from lifecycle.servable import Servable
from lifecycle.signature import Signature, TensorSpec, find_signature

Arrays = Mapping[str, npt.NDArray[Any]]

LEAST_RUNS, MOST_RUNS = 10, 2000
"""Of one size: the median needs some, whatever they take; more than 2,000 say no more of the slowest in a hundred."""
RUNS_AGAIN = 3
"""After the first run of a size, those that tell what it costs from then on."""
MOST_FIRST_SIZES = 5


class CannotMeasure(Exception):
    """A version cannot be measured. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class BatchSource:
    """Gives the inputs of batches for one signature.

    Attributes:
        batch: the inputs of a batch with so many rows.
        row_bytes: data of one row, but for strings, which are not counted.
        what: where the values are from, for people.
        guessed: what had to be guessed of them, in words; the costs hold for that.
        made_up: whether the values are no request's.
    """

    batch: Callable[[int], Arrays]
    row_bytes: float
    what: str
    guessed: tuple[str, ...] = ()
    made_up: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """How far to go.

    Attributes:
        sizes: the numbers of rows to measure, increasing.
        max_seconds: a batch that takes longer is the end: neither it nor larger ones are measured.
        size_seconds: how long each size is run, about.
    """

    sizes: Sequence[int]
    max_seconds: float = 1.0
    size_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found.

    Attributes:
        costs: of each size, at least one.
        first_runs: of some sizes between these.
        ended: why larger sizes of those that were wanted are not among them; None: all are.
    """

    costs: tuple[SizeCost, ...]
    first_runs: tuple[FirstRun, ...]
    ended: str | None


def sizes_up_to(most: int, *more: int) -> tuple[int, ...]:
    """1, 2, 4 and so on, *most* itself, and *more* of those that are not larger; increasing."""
    doubled = {1 << power for power in range(most.bit_length())}
    return tuple(sorted({most, *doubled, *(each for each in more if each < most)}))


def batch_source(
    servable: Servable, signature_name: str, recorded: Iterable[RecordedRequest], where: str
) -> BatchSource:
    """The recorded request of that signature with the most rows, repeated as a batch is padded; made-up inputs without.

    Args:
        servable: what is measured.
        signature_name: one of its signatures.
        recorded: requests, of any signatures.
        where: what they are called in messages.

    Raises:
        CannotMeasure: batching does not matter for the signature, or its inputs cannot be made up.
        InvalidInput: there is no such signature, or a recorded request does not fit its own.
        LoadFailed: what reading *recorded* raises.
    """
    signature = find_signature(servable.signatures, signature_name)
    if not signature.batchable:
        raise CannotMeasure(
            f"signature {signature_name!r} cannot be batched, since dimension 0 is not open in all of its inputs and "
            "outputs: its requests are run one by one, whatever the options"
        )
    bound = [recorded_requests.bind(each, servable) for each in recorded if each.signature == signature_name]
    rows = [each.rows or 0 for each in bound]
    if any(rows):
        best = bound[rows.index(max(rows))]
        data = sum(array.nbytes for array in best.inputs.values() if not array.dtype.hasobject)
        return BatchSource(best.with_rows, data / max(rows), f"{best.place}, repeated")
    return _made_up(signature, where)


def _made_up(signature: Signature, where: str) -> BatchSource:
    row = warmup.synthetic_batch(signature, 1)
    if row is None:
        lacking = [f"{name!r} {spec}" for name, spec in signature.inputs.items() if not _can_be_made_up(spec)]
        raise CannotMeasure(
            f"the inputs of signature {signature.name!r} cannot be made up, for it leaves open what "
            f"{', '.join(lacking)} takes, and {where} has no request for it; give some by --requests FILE"
        )

    def batch(rows: int) -> Arrays:
        made = warmup.synthetic_batch(signature, rows)
        assert made is not None
        return made

    guessed = tuple(words for spec in signature.inputs.values() if (words := _guessed(spec)) is not None)
    data = sum(array.nbytes for array in row.values() if not array.dtype.hasobject)
    return BatchSource(batch, data, "made up by the signature", guessed, made_up=True)


def _can_be_made_up(spec: TensorSpec) -> bool:
    alone = Signature("", "", {spec.name: spec}, {})
    return warmup.synthetic_batch(alone, 1) is not None


def _guessed(spec: TensorSpec) -> str | None:
    if spec.dtype == "DT_STRING":
        return f"input {spec.name!r} {spec} is empty strings"
    if None in (spec.shape or ())[1:]:
        return f"input {spec.name!r} {spec} has size 1 where a size other than the rows is open"
    return None


def within_bytes(sizes: Sequence[int], row_bytes: float, most_bytes: int) -> Sequence[int]:
    """The sizes whose data a batch of the worker may have; the smallest in any case."""
    return [each for each in sizes if each * row_bytes <= most_bytes] or sizes[:1]


def measure(
    run: Callable[[Arrays], object],
    source: BatchSource,
    effort: Effort,
    told: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Run batches of each size, smallest first, then first runs of some sizes between them.

    Args:
        run: runs one batch to its end.
        source: of their inputs.
        effort: how far to go.
        told: hears what was found of each size, a line each; also of those that were not measured.
        clock: in seconds.

    Raises:
        CannotMeasure: not even the smallest size could be measured, or a run failed other than for want of memory.
    """
    timed = _Timed(run, source, clock)
    costs: list[SizeCost] = []
    ended = None
    with _uncollected():
        for rows in effort.sizes:
            found = _cost(timed, rows, effort)
            if isinstance(found, str):
                ended = found
                break
            costs.append(found)
            told(f"{_rows(rows)}: {found.seconds * 1000:,.3g} ms, {found.rows_per_second:,.0f} rows/s")
        if not costs:
            raise CannotMeasure(
                f"no size could be measured: {ended}; allow longer runs by --max-seconds, or measure where there is "
                "room"
            )
        firsts = tuple(_first_runs(timed, _between([each.rows for each in costs])))
    told("first runs of sizes that were not run before")
    return Measured(tuple(costs), firsts, ended)


class _Timed:
    """Times single runs."""

    def __init__(
        self, run: Callable[[Arrays], object], source: BatchSource, clock: Callable[[], float]
    ) -> None:
        self._run = run
        self._source = source
        self._clock = clock

    def batch(self, rows: int) -> Arrays:
        return self._source.batch(rows)

    def now(self) -> float:
        return self._clock()

    def seconds(self, batch: Arrays, rows: int) -> float:
        """Run it once. Raises `OutOfMemory`, `MemoryError`, and `CannotMeasure` for any other failure."""
        start = self._clock()
        try:
            self._run(batch)
        except (errors.OutOfMemory, MemoryError):
            raise
        except errors.InvalidInput as error:
            raise CannotMeasure(
                f"the model refuses a batch of {_rows(rows)}, {self._source.what}: {error}; give requests that it "
                "takes by --requests FILE"
            ) from error
        except Exception as error:
            raise CannotMeasure(
                f"the model fails for a batch of {_rows(rows)}, {self._source.what}: {type(error).__name__}: {error}"
            ) from error
        return self._clock() - start


def _cost(timed: _Timed, rows: int, effort: Effort) -> SizeCost | str:
    """What batches of a size cost, or why that is not measured."""
    try:
        batch = timed.batch(rows)
        timed.seconds(batch, rows)  # compiles, allocates: no later run does
        start = timed.now()
        samples = [timed.seconds(batch, rows)]
        if samples[0] > effort.max_seconds:
            return f"a batch of {_rows(rows)} takes {samples[0]:.3g} s, longer than {effort.max_seconds:g} s"
        while len(samples) < LEAST_RUNS or (
            timed.now() - start < effort.size_seconds and len(samples) < MOST_RUNS
        ):
            samples.append(timed.seconds(batch, rows))
    except (errors.OutOfMemory, MemoryError):
        return f"there is no memory for a batch of {_rows(rows)}"
    return SizeCost(rows, statistics.median(samples), percentile(samples, 99))


def percentile(samples: Sequence[float], percent: int) -> float:
    """The least of the samples that so many of a hundred do not exceed."""
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def _first_runs(timed: _Timed, sizes: Iterable[int]) -> Iterator[FirstRun]:
    for rows in sizes:
        try:
            batch = timed.batch(rows)
            first = timed.seconds(batch, rows)
            again = [timed.seconds(batch, rows) for _ in range(RUNS_AGAIN)]
        except (errors.OutOfMemory, MemoryError):
            continue
        yield FirstRun(rows, first, statistics.median(again))


def _between(sizes: Sequence[int]) -> Sequence[int]:
    """Some sizes that lie between those that were run, the largest last."""
    middles = [(lower + upper) // 2 for lower, upper in pairwise(sizes) if upper - lower > 1]
    step = max(1, math.ceil(len(middles) / MOST_FIRST_SIZES))
    return middles[::-1][::step][::-1]


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which a worker's runs hardly ever meet either (`worker.process_tuning`)."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
