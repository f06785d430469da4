"""Control records: configs as commands write them, the same damaged, and configs that no worker should believe."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from schemas import codec
from schemas.model_config import (
    FROZEN,
    LOADING,
    POLICY,
    SHADOW,
    SPLIT,
    BatchingOptions,
    ModelConfig,
    PastConfig,
)
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState, ServableStatus
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from tests.fuzzing.mutations import mutated_record
from tests.fuzzing.pieces import Pieces, joined, of_record
from tests.fuzzing.records import Record

MODELS = (b"m", b"n", b"resnet-50_v1.5", b"0", b"_", b"a.b-c", b"M", b"x" * 128)
BAD_KEYS = (
    None,
    b"",
    b"\xff",
    b"m\0",
    b"m\n",
    b" m",
    b"a/b",
    b"../m",
    b".m",
    b"-m",
    "modèle".encode(),
    "🙂".encode(),
    b"x" * 129,
    b"x" * 60_000,
    "\N{SNOWMAN}".encode() * 40_000,
    "\U000e0001".encode() * 128,
)
GOOD_PATHS = ("/a", "/a", "/b", "/empty", "/nowhere")
ODD_PATHS = (
    "",
    " ",
    "relative",
    "./a",
    "/a\0b",
    "/" + "x" * 300,
    "/" + "x" * 4_095,
    "/" + "x" * 4_096,
    "/" + "\N{SNOWMAN}" * 4_095,
    "/" * 4_096,
    "/a" * 30_000,
    "/../../../root",
    "/dev/null",
    "/dev/full/1",
    "//a",
    "/a/",
    "/a\n/b\r",
    "/é/🙂/\u202e",
    "s3://bucket/models",
    "file:///a",
)
ODD_LOADERS = ("", "-o", "cobol", "numpy\n", "x" * 129, "x" * 60_000, "../x", "é")
ODD_LABELS: tuple[dict[str, int], ...] = (
    {"": 1},
    {"x" * 200: 1},
    {"x" * 60_000: 1},
    {"é": 1},
    {"stable": 99},
    {"stable": -1},
    {"stable": 2**63 - 1},
    {"a b": 1, "c\n": 2, "d\0": 3},
)
USUAL_PARAMETERS: tuple[dict[str, bytes], ...] = (
    {},
    {},
    {POLICY: b"resource_preserving"},
    {POLICY: b"availability_preserving", FROZEN: b"latest:1"},
    {LOADING: b"lazy"},
)
ODD_TEXTS = (
    b"",
    b"eager",
    b"newest",
    b"\xff\xfe",
    b"a b",
    b"x" * 60_000,
    b"\0",
    b"latest:",
    b"resource_preserving",
)
ODD_SPLITS = (
    b"",
    b" ",
    b"stable",
    b"stable=",
    b"=1",
    b"1=1",
    b"1=1 01=1",
    b"stable=1 stable=1",
    b"1=0",
    b"1=-1",
    b"1=nan",
    b"1=inf",
    b"1=1e9",
    b"1=1e10",
    b"1=1=1",
    b"1=5e-324 2=1e9",
    b"nowhere=1",
    b"99=1",
    b"9223372036854775807=1",
    b"9223372036854775808=1",
    b"9" * 60_000 + b"=1",
    "\N{ARABIC-INDIC DIGIT ONE}=1".encode(),
    "1=\N{ARABIC-INDIC DIGIT ONE}".encode(),
    b"\xff=1",
    b"x" * 60_000 + b"=1",
    b"1=" + b"1" * 60_000,
    b" ".join(b"%d=1" % number for number in range(1, 101)),
    b" ".join(b"%d=1" % number for number in range(1, 102)),
    b"1=1 " * 15_000,
)
ODD_SHADOWS = (
    b"",
    b" ",
    b"stable",
    b"stable=",
    b"=0.1",
    b"1=0.1",
    b"01=0.1",
    b"1=0",
    b"1=-0.1",
    b"1=nan",
    b"1=inf",
    b"1=1",
    b"1=1.0000000000000002",
    b"1=5e-324",
    b"1=10%",
    b"1=0.1 topic",
    b"1=0.1 topic more",
    b"1=0.1 2=0.1",
    b"1=0.1 .",
    b"1=0.1 ..",
    b"1=0.1 ...",
    b"1=0.1 a/b",
    b"1=0.1 " + b"x" * 249,
    b"1=0.1 " + b"x" * 250,
    b"1=0.1 " + b"x" * 60_000,
    "1=0.1 \N{SNOWMAN}".encode(),
    b"1=0.1 \xff",
    b"nowhere=0.1",
    b"99=0.1",
    b"9223372036854775807=1",
    b"9223372036854775808=1",
    b"9" * 60_000 + b"=0.1",
    "\N{ARABIC-INDIC DIGIT ONE}=0.1".encode(),
    b"x" * 60_000 + b"=0.1",
    b"1=0." + b"1" * 60_000,
    b"1=0.1\0",
    b"1=0.1 " * 10_000,
)
ODD_LONGS = (0, -1, -(2**63), 2**31, 2**32, 253_402_300_800_000, 2**63 - 1)
ODD_DOUBLES = (0.0, -0.0, -1.0, 1e-308, 1e9, 1e300, float("inf"), float("-inf"), float("nan"))
ODD_SIZES = ((), (0,), (4, 2), (1, 1), (1, 2**62), (8,), (2**63 - 1,), tuple(range(1, 20_001)))
MANY = (1_000, 1_001, 20_000)


class ControlSource:
    """Makes polls from one source of chance."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._known: list[Pieces] = [of_record(self._usual(), None) for _ in range(40)]

    def poll(self) -> list[Record]:
        """A few records, one after the other."""
        return [self._record() for _ in range(self._rng.choice((1, 2, 5, 20, 100, 400)))]

    def _record(self) -> Record:
        rng = self._rng
        key: bytes | None = rng.choice(MODELS)
        match rng.randrange(20):
            case 0:
                return Record(None, key if rng.random() < 0.7 else self._bad_key())
            case 1 | 2:
                return Record(codec.encode(self._usual()), self._bad_key())
            case 3:
                return Record(self._no_config(), key)
            case 4 | 5:
                return Record(codec.encode(self._odd()), key)
            case 6 | 7 | 8 | 9 | 10 | 11 | 12:
                return Record(self._damaged(), key)
            case _:
                return Record(codec.encode(self._usual()), key)

    def _bad_key(self) -> bytes | None:
        rng = self._rng
        return (
            rng.choice(BAD_KEYS)
            if rng.random() < 0.8
            else b"\x80" + rng.randbytes(rng.choice((1, 300, 20_000)))
        )

    def _usual(self) -> ModelConfig:
        """What a command writes."""
        rng = self._rng
        versions = rng.choice(
            (
                SpecificVersions((1,)),
                SpecificVersions((2, 1)),
                SpecificVersions((3, 77)),
                LatestVersions(2),
                AllVersions(),
            )
        )
        named = versions.versions if isinstance(versions, SpecificVersions) else (1, 2)
        labels = {"stable": rng.choice(named)} if rng.random() < 0.5 else {}
        config = ModelConfig(
            rng.choice(GOOD_PATHS),
            rng.choice(("fake", "fake", "failing")),
            versions,
            labels,
            BatchingOptions(32, 0.01, (8, 32), 4) if rng.random() < 0.3 else None,
            rng.randrange(1, 1_000),
            "somebody@somewhere",
            1_700_000_000_000,
            rng.choice(("", "a try", "é\n")),
            parameters=_some_traffic((*labels, *named), rng)
            if rng.random() < 0.3
            else rng.choice(USUAL_PARAMETERS),
        )
        for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 10))):
            config = replace(config, history=config.following())
        return config

    def _odd(self) -> ModelConfig:
        """One or two facts of a usual config are not usual: many of them are wrong, some are not."""
        config = self._usual()
        for change in self._rng.choices(CHANGES, k=self._rng.choice((1, 1, 2))):
            config = replace(config, **change(self._rng))
        return config

    def _no_config(self) -> bytes:
        rng = self._rng
        return rng.choice(
            (
                b"",
                b"\xc3\x01",
                b"\0\0\0\0\1" + rng.randbytes(30),
                b'{"base_path": "/a"}',
                rng.randbytes(rng.choice((9, 10, 11, 300))),
                codec.encode(PredictRequest("m")),
                codec.encode(ServableStatus("w", "m", 1, ServableState.END)),
            )
        )

    def _damaged(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.1:
            config = self._usual() if rng.random() < 0.8 else self._odd()
            pieces = of_record(config, rng.getrandbits(32) if rng.random() < 0.3 else None)
            if len(pieces) < 2_000:
                self._known[rng.randrange(len(self._known))] = pieces
            return joined(pieces)  # as another Avro library may write it
        return mutated_record(rng, rng.choice(self._known), rng.choice(self._known))


def _many(rng: random.Random) -> int:
    """So many entries; seldom so many that they cost a worker more than all other records together."""
    return rng.choice(MANY) if rng.random() < 0.03 else rng.choice((2, 20))


def _some_split(targets: Sequence[str | int], rng: random.Random) -> dict[str, bytes]:
    """Of some of these targets, the last of which has a weight."""
    chosen = rng.sample(targets, rng.randrange(len(targets)) + 1)
    weights = [*(rng.choice((0, 5, 0.1, 1e9)) for _ in chosen[1:]), 95]
    return {SPLIT: " ".join(map("{}={}".format, chosen, weights)).encode()}


def _some_traffic(targets: Sequence[str | int], rng: random.Random) -> dict[str, bytes]:
    """A split, a shadow, or both."""
    topic = rng.choice(("", "", " headrace.shadow", " s"))
    shadow = {SHADOW: f"{rng.choice(targets)}={rng.choice((1, 0.1, 0.005))}{topic}".encode()}
    match rng.randrange(3):
        case 0:
            return shadow
        case 1:
            return shadow | _some_split(targets, rng)
        case _:
            return _some_split(targets, rng)


def _some_versions(rng: random.Random) -> VersionSelection:
    match rng.randrange(4):
        case 0:
            return LatestVersions(rng.choice(ODD_LONGS))
        case 1:
            return SpecificVersions(tuple(range(1, 1 + _many(rng))))
        case 2:
            return SpecificVersions(tuple(rng.choice(ODD_LONGS) for _ in range(rng.choice((0, 1, 2, 5)))))
        case _:
            return SpecificVersions((1,) * _many(rng))


def _some_labels(rng: random.Random) -> dict[str, int]:
    if rng.random() < 0.7:
        return rng.choice(ODD_LABELS)
    stem = rng.choice(("label", "l b l", "x" * 100))
    return {f"{stem}{number}": rng.choice((1, number)) for number in range(_many(rng))}


def _some_batching(rng: random.Random) -> BatchingOptions:
    long = rng.choice((None, *ODD_LONGS))
    sizes = rng.choice((None, *ODD_SIZES))
    return BatchingOptions(long, rng.choice((None, *ODD_DOUBLES)), sizes, rng.choice((None, *ODD_LONGS)))


def _some_history(rng: random.Random) -> tuple[PastConfig, ...]:
    past = PastConfig(
        rng.choice(ODD_PATHS),
        labels=rng.choice(ODD_LABELS) if rng.random() < 0.3 else {},
        parameters=rng.choice(({}, {}, {SPLIT: rng.choice(ODD_SPLITS)}, {SHADOW: rng.choice(ODD_SHADOWS)})),
    )
    return (replace(past, time=rng.choice(ODD_LONGS)),) * rng.choice((1, 10, 300))


CHANGES: tuple[Callable[[random.Random], dict[str, Any]], ...] = (
    lambda rng: {"base_path": rng.choice(ODD_PATHS)},
    lambda rng: {"loader": rng.choice(ODD_LOADERS)},
    lambda rng: {"versions": _some_versions(rng)},
    lambda rng: {"labels": _some_labels(rng)},
    lambda rng: {"batching": _some_batching(rng)},
    lambda rng: {"history": _some_history(rng)},
    lambda rng: {"revision": rng.choice(ODD_LONGS), "time": rng.choice(ODD_LONGS)},
    lambda rng: {"author": "\N{SNOWMAN}" * 20_000, "comment": rng.choice(("x" * 60_000, "\0", "\u202e"))},
    lambda rng: {"parameters": {rng.choice((POLICY, FROZEN, LOADING)): rng.choice(ODD_TEXTS)}},
    lambda rng: {"parameters": {SPLIT: rng.choice(ODD_SPLITS)}},
    lambda rng: {"parameters": {SHADOW: rng.choice(ODD_SHADOWS)}},
    lambda rng: {"parameters": {f"k{n}": rng.randbytes(60_000) for n in range(3)}},
)
