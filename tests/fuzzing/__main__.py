"""`make fuzz`: hostile records for a decoder, a request path or a control side, until the time is over or one is wrong.

`--what agreement` looks whether columnar decode and encode say what the general ones say; `requests`, `headers` and
`control` send hostile records through a worker and look at what comes of each.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tests.fuzzing import record_fuzzer
from tests.fuzzing.fuzzer import Fuzzer
from tests.fuzzing.growth import LogLines, Snapshot, too_large

PROGRESS_SECONDS = 10.0
USUAL_MINUTES = 10.0


class Found(Protocol):
    """Something wrong."""

    @property
    def message(self) -> str:
        """What."""
        ...

    def lines(self) -> Sequence[str]:
        """How to see it again without the fuzzer."""
        ...


class Fuzz(Protocol):
    """A fuzzer."""

    @property
    def batches(self) -> int:
        """Steps so far."""
        ...

    @property
    def records(self) -> int:
        """Records so far."""
        ...

    def step(self) -> Found | None:
        """Try a few more; what is wrong."""
        ...

    def progress(self) -> str:
        """How far it is."""
        ...

    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """How large what is kept is, and how large it may be."""
        ...


WHAT: Mapping[str, Callable[[int], Fuzz]] = {
    "agreement": Fuzzer,
    "requests": record_fuzzer.request_fuzzer,
    "headers": record_fuzzer.header_fuzzer,
    "control": record_fuzzer.control_fuzzer,
}


def main() -> int:
    """Run one fuzzer; 0 when nothing was wrong, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--what", choices=WHAT, default="agreement", help="what to fuzz (default: agreement)")
    parser.add_argument(
        "--minutes", type=float, help=f"how long (default: {USUAL_MINUTES:g}, without --records)"
    )
    parser.add_argument("--records", type=int, help="end after so many records")
    parser.add_argument("--seed", type=int, help="what the inputs are made from (default: chance)")
    parser.add_argument("--batches", type=int, help="end after so many batches, whatever the time")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with LogLines() as log:
        wrong = _run(WHAT[options.what](seed), options, log, seed)
    print(wrong or "nothing wrong", flush=True)
    return 0 if wrong is None else 1


def _run(fuzzer: Fuzz, options: argparse.Namespace, log: LogLines, seed: int) -> str | None:
    """Run until the end; what was wrong."""
    most_seconds = None if options.minutes is None else options.minutes * 60
    if most_seconds is None and options.records is None:
        most_seconds = USUAL_MINUTES * 60
    start = told = time.monotonic()
    early: Snapshot | None = None
    share = 0.0
    while share < 1 and fuzzer.batches != options.batches:
        found = fuzzer.step()
        if found is not None:
            again = f"make fuzz WHAT={options.what} ARGS='--seed {seed} --batches {fuzzer.batches}'"
            return "\n".join([f"WRONG: {found.message}", f"again: {again}", *found.lines()])
        if log.problem() is not None:
            return f"WRONG: {log.problem()}; seed {seed}, batch {fuzzer.batches}"
        now = time.monotonic()
        share = max(
            (now - start) / most_seconds if most_seconds else 0.0,
            fuzzer.records / options.records if options.records else 0.0,
        )
        if early is None and share >= 0.1:
            early = Snapshot.take(fuzzer.records, fuzzer.sizes())
        if now - told >= PROGRESS_SECONDS:
            _tell(fuzzer, now - start)
            told = now
    _tell(fuzzer, time.monotonic() - start)
    late = Snapshot.take(fuzzer.records, fuzzer.sizes())
    print(
        *([] if early is None else [early]),
        late,
        f"{log.lines:,} lines of log, the longest of {log.longest:,}",
        sep="\n",
    )
    grown = too_large(late, early)
    return None if grown is None else f"WRONG: {grown}; seed {seed}"


def _tell(fuzzer: Fuzz, seconds: float) -> None:
    print(f"{seconds:5.0f} s: {fuzzer.progress()} ({fuzzer.records / seconds:,.0f}/s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
