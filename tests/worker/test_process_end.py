"""How the process ends when threads of it are left."""

import subprocess
import sys
import textwrap

import pytest

from tests.kit.worker import ROOT

PRELUDE = """
    import atexit, logging, sys, threading
    from worker import process_end

    atexit.register(print, "the interpreter has ended", flush=True)
    logging.basicConfig(stream=sys.stderr)
"""
IN_TENSORFLOW = """
    import tensorflow as tf

    running = threading.Semaphore(0)

    def work():
        while True:
            with tf.Graph().as_default() as graph:
                product = tf.zeros([100, 100]) @ tf.zeros([100, 100])
                with tf.compat.v1.Session(graph=graph) as session:
                    for _ in range(20):
                        session.run(product)
            running.release()

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    for _ in range(8):
        running.acquire()
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program that ends as headrace does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_other_threads_the_interpreter_ends() -> None:
    """As any Python program."""
    done = run("process_end.end(75)")
    assert (done.returncode, done.stdout) == (75, "the interpreter has ended\n")


def test_a_thread_that_is_no_daemon_is_waited_for() -> None:
    """As the interpreter does, and then ends it as usual."""
    program = """
        def work():
            go.wait()
            print("done", flush=True)

        go = threading.Event()
        threading.Thread(target=work).start()
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        threading.Timer(0.1, go.set).start()
        process_end.end(3)
    """
    done = run(program)
    assert (done.returncode, done.stdout) == (3, "done\nthe interpreter has ended\n")


def test_a_thread_that_hangs_keeps_neither_the_process_nor_its_last_words() -> None:
    """The process ends with its status, and what was written or logged is there."""
    program = """
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        sys.stdout.write("said")
        logging.warning("logged")
        process_end.end(4)
    """
    done = run(program)
    assert (done.returncode, done.stdout) == (4, "said")
    assert "logged" in done.stderr


@pytest.mark.parametrize("stream", ["None", "open('/dev/full', 'w')"])
def test_output_that_nobody_takes_changes_no_status(stream: str) -> None:
    """A closed or full standard output is no failure of the command."""
    program = f"""
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        sys.stdout = {stream}
        print("said")
        process_end.end(5)
    """
    assert run(program).returncode == 5


def test_threads_inside_tensorflow_do_not_abort_the_process() -> None:
    """Ended by the interpreter, this process is aborted in one of three runs, with status 134."""
    done = run(IN_TENSORFLOW + "    process_end.end(0)\n")
    assert done.returncode == 0, done.stderr
    assert "FATAL" not in done.stderr
