"""The process of a baseline: `python -m benchmarks.baseline NAME JOB`."""

import json
import sys
from collections.abc import Callable, Mapping

from benchmarks.contender import Job

ECHO, HAND_LOOP = "echo", "hand loop"
SAME_SIZE = "replies of the same size"


def _echo(job: Job) -> None:
    from benchmarks import echo

    echo.run(job)


def _hand_loop(job: Job) -> None:
    from benchmarks import hand_loop

    hand_loop.run(job)


def _same_size(job: Job) -> None:
    from benchmarks import same_size

    same_size.run(job)


BASELINES: Mapping[str, Callable[[Job], None]] = {
    ECHO: _echo,
    HAND_LOOP: _hand_loop,
    SAME_SIZE: _same_size,
}

if __name__ == "__main__":
    BASELINES[sys.argv[1]](Job(**json.loads(sys.argv[2])))
