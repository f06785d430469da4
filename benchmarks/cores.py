"""Which core does what, so that what is measured never shares its core with what measures it."""

import os

WORKER_CORE = 0
"""What is measured runs here: headrace, and each baseline."""
OTHER_CORE = 1
"""Everything else runs here: the broker, the load, and the process that looks at them."""


def stay_beside() -> None:
    """Keep this thread, and every process and thread that it starts from now on, off the measured core."""
    os.sched_setaffinity(0, {OTHER_CORE})
