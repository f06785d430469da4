"""Look-ups a second of a core in a table of ten million keys that lies in files, and how long it takes to load.

Only the table: what Kafka, requests and replies cost is measured elsewhere.
"""

import gc
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import lookup_peers, measuring
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.turns import in_turn, listed
from lifecycle import fingerprints, lookup_table_writer
from lifecycle.lookup_table_loader import LookupTableLoader, LookupTableServable
from lifecycle.string_columns import tensor_of
from lifecycle.warmup import WarmedLoader

NAME = "lookup_table"
TITLE = "A lookup table of ten million keys, rows of 16 floats"

KEYS, WIDTH = 10_000_000, 16
LOOKUPS = 1 << 21
"""Of one run."""
FOUND_SHARE = 0.9
"""Of the keys that are asked for, so many are there."""
BLOCKS = (64, 1024, 8192)
LARGEST = BLOCKS[-1]
VERSIONS = (1, 2)
FLOOR, MOST_SECONDS = 1_000_000, 1.0
"""Look-ups a second of a core that are asked for, in blocks of 1,024 and more; seconds of a load."""

COLUMNS = (
    Column("ns", "CPU ns a look-up", ",.0f"),
    Column("lookups_per_second", "look-ups/s a core", ",.0f"),
    Column("spread", "spread", ".0%"),
)

NOTES = (
    "One thread, keys at random, nine of ten in the table; every contender gives the rows, and which keys were found.",
    "headrace's files are in the page cache, as they are after some use; the others hold everything in memory.",
    "Loading: both versions one after the other, with nothing of their files in the page cache, warm-up included.",
    "CPU time of the process.",
)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of keys: its name, and how key n is written; those from the number of keys on are in no table."""

    name: str
    keys: Callable[[Array], Array]


def integer_keys(numbers: Array) -> Array:
    """Scattered over all int64."""
    return fingerprints.of_integers(numbers).view(np.int64)


def string_keys(numbers: Array) -> Array:
    """Sixteen bytes each, new objects."""
    return tensor_of([b"user-%011d" % number for number in numbers.tolist()])


KINDS = (Kind("int64", integer_keys), Kind("string", string_keys))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contender."""

    lookups: int
    cpu_seconds: float

    @property
    def ns(self) -> float:
        """Of CPU for a look-up."""
        return self.cpu_seconds / self.lookups * 1e9


def run(options: Options) -> Outcome:
    """Each kind of keys by itself: its tables are made, loaded and asked beside the others."""
    count = max(1000, round(KEYS * options.scale))
    lookups = max(LARGEST, round(LOOKUPS * min(1.0, options.scale)))
    lines: list[Line] = []
    targets: list[Target] = []
    runs: list[Mapping[str, Any]] = []
    made_seconds = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
            start = time.perf_counter()
            vectors = make_versions(Path(folder), kind, count)
            made_seconds[kind.name] = (time.perf_counter() - start) / len(VERSIONS)
            print(
                f"{kind.name}: a version of {count:,} keys made in {made_seconds[kind.name]:.1f} s",
                flush=True,
            )
            loads = [load_seconds(Path(folder)) for _ in range(options.rounds)]
            print(f"{kind.name}: loaded in {', '.join(f'{each:.3f}' for each in loads)} s", flush=True)
            asked = Asked(kind, count, lookups)
            results = in_turn(
                contenders(Path(folder), asked, vectors),
                options.rounds,
                lambda run: f"{run.ns:,.0f} ns CPU a look-up",
            )
        lines += [Line(name, summary(of_one)) for name, of_one in results.items()]
        runs += listed(results, lambda run: {"lookups": run.lookups, "cpu_seconds": run.cpu_seconds})
        runs += [{"contender": f"{kind.name}, load", "seconds": each} for each in loads]
        targets += targets_of(kind, lines, loads)
        vectors = np.empty(0)
        gc.collect()
    settings = {"rounds": options.rounds, "scale": options.scale, "keys": count, "made_seconds": made_seconds}
    return Outcome(COLUMNS, lines, targets, runs, settings, NOTES)


def make_versions(base_path: Path, kind: Kind, count: int) -> Array:
    """Two versions with the same keys; the vectors of the first, by the keys' numbers. The second has twice them."""
    keys = kind.keys(np.arange(count))
    vectors = np.random.default_rng(1).standard_normal((count, WIDTH), dtype=np.float32)
    for version in VERSIONS:
        rows = {"vector": vectors * np.float32(version)}
        lookup_table_writer.write(base_path / str(version), keys, rows)
    return vectors


def load_seconds(base_path: Path) -> float:
    """How long the slower of the versions took to be ready, while the other one is loaded as well."""
    forget_files(base_path)
    loaders = [
        WarmedLoader(LookupTableLoader(base_path / str(version)), (1, LARGEST)) for version in VERSIONS
    ]
    seconds = []
    for loader in loaders:
        start = time.perf_counter()
        loader.load()
        seconds.append(time.perf_counter() - start)
    for loader in loaders:
        loader.unload()
    return max(seconds)


def forget_files(folder: Path) -> None:
    """Have the kernel drop what it has of these files in memory, as after a reboot."""
    for path in folder.rglob("*.npy"):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


class Asked:
    """The keys of each run: random numbers, and of those too large ones that are in no table."""

    def __init__(self, kind: Kind, count: int, lookups: int) -> None:
        self.kind = kind
        self.count = count
        self.lookups = lookups
        self._random = np.random.default_rng(2)

    def blocks(self, rows: int) -> tuple[list[Array], list[Array]]:
        """As many blocks as a run has: the numbers, and the keys, made anew so that no hash of theirs is known."""
        numbers = self._random.integers(0, round(self.count / FOUND_SHARE), self.lookups // rows * rows)
        cuts = range(0, len(numbers), rows)
        return [numbers[at : at + rows] for at in cuts], [
            self.kind.keys(numbers[at : at + rows]) for at in cuts
        ]


def contenders(base_path: Path, asked: Asked, vectors: Array) -> dict[str, Callable[[], Run]]:
    """By name what runs once; each has answered a block rightly before."""
    servables = [loaded(base_path / str(version)) for version in VERSIONS]
    tables = [_of_servable(servable) for servable in servables]
    keys = asked.kind.keys(np.arange(asked.count))
    name = asked.kind.name
    found: dict[str, Callable[[], Run]] = {}
    for rows in BLOCKS:
        found[line_name(name, "headrace", rows)] = _runner(asked, rows, tables[:1])
    found[line_name(name, "headrace, two versions in turn", LARGEST)] = _runner(asked, LARGEST, tables)
    peers = {
        "dict": lookup_peers.in_dict(keys, vectors),
        "np.searchsorted": lookup_peers.in_sorted_keys(keys, vectors),
    }
    for peer, table in peers.items():
        found[line_name(name, peer, LARGEST)] = _runner(asked, LARGEST, [table])
    for table, factor in ((tables[0], 1), (tables[1], 2), *((peer, 1) for peer in peers.values())):
        check(asked, table, vectors * np.float32(factor))
    return found


def line_name(kind: str, contender: str, rows: int) -> str:
    """As a line of the table."""
    return f"{kind} keys: {contender}, blocks of {rows:,}"


def loaded(directory: Path) -> LookupTableServable:
    """A version, with its files read once so that the kernel has them in memory."""
    for path in directory.glob("*.npy"):
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
    loader = LookupTableLoader(directory)
    loader.load()
    return loader.servable


def _of_servable(servable: LookupTableServable) -> lookup_peers.Lookup:
    def look_up(asked: Array) -> tuple[Array, Array]:
        answer = servable.run("serving_default", {"keys": asked}, ())
        return answer["vector"], answer["found"]

    return look_up


def check(asked: Asked, table: lookup_peers.Lookup, vectors: Array) -> None:
    """Compare the answer to a block with what it must be."""
    numbers, keys = (blocks[0] for blocks in asked.blocks(min(LARGEST, asked.lookups)))
    rows, found = table(keys)
    expected = np.where(numbers[:, None] < asked.count, vectors[np.minimum(numbers, asked.count - 1)], 0)
    if not (np.array_equal(rows, expected) and np.array_equal(found, numbers < asked.count)):
        raise AssertionError(f"a table of {asked.kind.name} keys answers wrongly")


def _runner(asked: Asked, rows: int, tables: Sequence[lookup_peers.Lookup]) -> Callable[[], Run]:
    def once() -> Run:
        _, blocks = asked.blocks(rows)
        turns: Iterator[lookup_peers.Lookup] = itertools.cycle(tables)
        gc.collect()
        start = time.process_time()
        for block, look_up in zip(blocks, turns, strict=False):
            look_up(block)
        return Run(len(blocks) * rows, time.process_time() - start)

    return once


def summary(runs: Sequence[Run]) -> dict[str, float]:
    """Medians over the runs of a contender."""
    ns = [run.ns for run in runs]
    middle = statistics.median(ns)
    return {"ns": middle, "lookups_per_second": 1e9 / middle, "spread": measuring.spread(ns)}


def targets_of(kind: Kind, lines: Sequence[Line], loads: Sequence[float]) -> list[Target]:
    """What is asked of a kind of keys."""
    rates = {line.name: line.values["lookups_per_second"] for line in lines}
    rate_targets = [
        Target(
            f"{kind.name} keys in blocks of {rows:,}: look-ups/s a core",
            rates[line_name(kind.name, "headrace", rows)],
            FLOOR,
            at_most=False,
        )
        for rows in BLOCKS[1:]
    ]
    return [
        *rate_targets,
        Target(f"{kind.name} keys: seconds until loaded", statistics.median(loads), MOST_SECONDS),
    ]
