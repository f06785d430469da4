"""Promises of `batching.batcher` where processes are forked and where they end: nothing hangs."""

import subprocess
import sys

from tests.docs.pages import ROOT
from tests.kit.waiting import PATIENCE_SECONDS

FORK = """
import os
import threading
import numpy as np
from batching import errors
from batching.batcher import Batcher

entered, release = threading.Event(), threading.Event()

def slow(x):
    entered.set()
    release.wait()
    return x

with Batcher(slow) as batcher:
    running = batcher.submit(np.ones(1))
    entered.wait()
    waiting = batcher.submit(np.ones(1))
    child = os.fork()
    if not child:
        try:
            batcher.submit(np.ones(1))
        except errors.QueueClosed as error:
            print(error, flush=True)
        batcher.close()
        with Batcher(lambda x: x + 1) as own:
            print(own(np.ones(1)), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    release.set()
    print(running.result(), waiting.result())
"""

EXIT = """
import threading
import numpy as np
from batching.batcher import Batcher

entered = threading.Event()

def endless(x):
    entered.set()
    threading.Event().wait()

batcher = Batcher(endless)
batcher.submit(np.ones(1))
entered.wait()
batcher.submit(np.ones(1))
print("over")
"""


def printed(program: str) -> list[str]:
    """What a Python process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_forked_process_is_told_to_make_its_own() -> None:
    """There the batcher is closed, says why, and closing it waits for nothing; the parent goes on."""
    told, own, parents = printed(FORK)

    assert told.endswith("this process was forked, and batch threads do not come along: make one here")
    assert own == "[2.]"
    assert parents == "[1.] [1.]"


def test_a_batcher_that_was_not_closed_keeps_no_process_alive() -> None:
    """Neither a function that does not return nor a task that waits."""
    assert printed(EXIT) == ["over"]
