"""The process of a baseline: `python -m benchmarks.baseline NAME JOB`."""

import json
import sys
from collections.abc import Callable, Mapping

from benchmarks import echo, hand_loop
from benchmarks.contender import Job

BASELINES: Mapping[str, Callable[[Job], None]] = {"echo": echo.run, "hand loop": hand_loop.run}

if __name__ == "__main__":
    BASELINES[sys.argv[1]](Job(**json.loads(sys.argv[2])))
