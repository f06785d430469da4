"""`make fuzz`: columnar decode and encode beside the general ones, until the time is over or they differ."""

import argparse
import secrets
import sys
import time

from tests.fuzzing.fuzzer import Difference, Fuzzer

PROGRESS_SECONDS = 10.0


def main() -> int:
    """Compare; 0 when nothing has differed, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument(
        "--seed", type=int, default=None, help="what the inputs are made from (default: chance)"
    )
    parser.add_argument(
        "--batches", type=int, default=None, help="end after so many batches, whatever the time"
    )
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    fuzzer = Fuzzer(seed)
    start = told = time.monotonic()
    while (now := time.monotonic()) - start < options.minutes * 60:
        if fuzzer.counts.batches == options.batches:
            break
        if now - told >= PROGRESS_SECONDS:
            _tell(fuzzer, now - start)
            told = now
        found = fuzzer.step()
        if found is not None:
            _report(found, seed, fuzzer.counts.batches)
            return 1
    _tell(fuzzer, time.monotonic() - start)
    print("no difference", flush=True)
    return 0


def _tell(fuzzer: Fuzzer, seconds: float) -> None:
    counts = fuzzer.counts
    print(
        f"{seconds:5.0f} s: {counts.inputs:,} inputs agreed ({counts.inputs / seconds:,.0f}/s), of them "
        f"{counts.rejected:,} rejected and {fuzzer.by_layout:,} read by layouts, of {fuzzer.kinds:,} kinds; "
        f"{counts.replies:,} blocks of replies",
        flush=True,
    )


def _report(found: Difference, seed: int, batches: int) -> None:
    """What differs, and how to see it again."""
    print(f"DIFFERENCE: {found.message}")
    print(f"again: make fuzz ARGS='--seed {seed} --batches {batches}'")
    if not found.batches:
        return
    print(f"or a new decoder with {found.max_layouts} layouts and {found.limits}, given, a line a batch:")
    for values in found.batches:
        print(" ".join("none" if value is None else value.hex() or "empty" for value in values))


if __name__ == "__main__":
    sys.exit(main())
