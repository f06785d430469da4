"""How a process of ours ends: with its own exit status, whatever its threads are still doing."""

import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn


def end(status: int) -> NoReturn:
    """End this process with that status.

    A worker that has to end may leave daemon threads inside a library: in a load that hangs, in an unload that takes
    long. The interpreter, as it ends, kills a thread that comes back from there (up to Python 3.13), and TensorFlow
    answers that by aborting the process: status 134 and a core dump after everything has gone well. So where only such
    threads are left, the interpreter is not asked to end; what `atexit` was given does not run then.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not others or not all(thread.daemon for thread in others):
        sys.exit(status)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
                stream.flush()
    os._exit(status)
