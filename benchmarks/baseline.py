"""The process of a baseline: `python -m benchmarks.baseline NAME JOB`."""

import json
import sys
from collections.abc import Callable, Mapping

from benchmarks.contender import Job

ECHO, HAND_LOOP, HAND_LOOP_IN_BURSTS = "echo", "hand loop", "hand loop, sending in bursts"


def _echo(job: Job) -> None:
    from benchmarks import echo

    echo.run(job)


def _hand_loop(job: Job) -> None:
    from benchmarks import hand_loop

    hand_loop.run(job)


def _hand_loop_in_bursts(job: Job) -> None:
    from benchmarks import hand_loop

    hand_loop.run_in_bursts(job)


BASELINES: Mapping[str, Callable[[Job], None]] = {
    ECHO: _echo,
    HAND_LOOP: _hand_loop,
    HAND_LOOP_IN_BURSTS: _hand_loop_in_bursts,
}

if __name__ == "__main__":
    BASELINES[sys.argv[1]](Job(**json.loads(sys.argv[2])))
