"""`headrace worker` with its stages timed: `python -m benchmarks.profiled_worker FILE`.

At SIGUSR1 it writes what each thread has used in each stage so far to FILE, as JSON.
"""

import json
import signal
import sys
from pathlib import Path

from benchmarks.stage_clock import StageClock
from benchmarks.stages import STAGES
from worker import huge_pages


def main() -> int:
    """Wrap the stages, then run the worker's own command line."""
    huge_pages.start_anew()
    file = Path(sys.argv[1])
    clock = StageClock()
    for stage, targets in STAGES.items():
        for target in targets:
            clock.wrap(target, stage)
    cost = clock.nanoseconds_a_call()

    def write(_signal: int, _frame: object) -> None:
        fresh = file.with_suffix(".part")
        fresh.write_text(
            json.dumps({"threads": clock.snapshot(), "nanoseconds_a_call": cost}), encoding="utf-8"
        )
        fresh.replace(file)

    signal.signal(signal.SIGUSR1, write)
    from worker.commands.cli import run

    sys.argv = ["headrace", "worker"]
    return run()


if __name__ == "__main__":
    sys.exit(main())
