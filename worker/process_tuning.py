"""Settings of the interpreter that a worker's tail latency depends on.

Measured (docs/design.md): with the default switch interval of 5 ms a model that loads in a thread stalls requests for
up to 129 ms, with 0.5 ms for 7; a full garbage collection takes 132 ms after TensorFlow has been imported, and nothing
once what is there has been frozen.
"""

import gc
import sys

SWITCH_INTERVAL_SECONDS = 0.0005
YOUNG, MIDDLE, OLD = 500_000, 20, 1000
"""The requests of a whole budget are some hundred thousand objects. None of them is part of a cycle, so a collection
among them finds nothing; with a threshold above their number there is none while their number does not grow."""
YOUNG_WHEN_IDLE = 5_000


def share_the_interpreter() -> None:
    """Let threads take turns ten times as often as by default; called before any is started."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)


def keep_collections_small() -> None:
    """Leave what has been loaded out of every collection to come, and collect rarely; called before serving."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def collect_while_idle() -> None:
    """Collect what is young while no request waits; called by the poll thread when it has nothing to do."""
    young, middle, _ = gc.get_count()
    if young >= YOUNG_WHEN_IDLE:
        gc.collect(1 if middle >= MIDDLE else 0)
