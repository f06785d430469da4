"""Processes that take part: each pinned to a core, quiet unless it fails, and ended whatever happens."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import cores

END_SECONDS = 60.0
_TAIL_BYTES = 4000


class Started:
    """A running process, and what it has written."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        """Its process id, for `measuring.cpu_seconds`."""
        return self._process.pid

    def check(self) -> None:
        """See that it still runs.

        Raises:
            ChildProcessError: it has ended; with the end of what it wrote.
        """
        if (status := self._process.poll()) is not None:
            raise ChildProcessError(f"process {self.pid} ended with status {status}{self.last_words()}")

    def finish(self) -> None:
        """Wait for its end, which it comes to by itself.

        Raises:
            ChildProcessError: its exit status says that it failed.
        """
        if status := self._process.wait():
            raise ChildProcessError(f"process {self.pid} ended with status {status}{self.last_words()}")

    def end(self) -> None:
        """Ask it to end (SIGTERM) and wait; by force when it takes too long. Nothing, when it has ended.

        Raises:
            ChildProcessError: it had to be forced, or its exit status says that something went wrong at its end.
        """
        self._process.terminate()
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ChildProcessError(
                f"process {self.pid} did not end within {END_SECONDS:g} s{self.last_words()}"
            ) from None
        if status:
            raise ChildProcessError(f"process {self.pid} ended with status {status}{self.last_words()}")

    def kill(self) -> None:
        """End it by force, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """The end of what it has written so far, to go on in an error's text."""
        written = self._output.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()
        return f"; it wrote:\n{written}" if written else "; it wrote nothing"


def finish(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a program that prepares something to its end, off the measured core; *environment* is added to this one's.

    Raises:
        ChildProcessError: it failed; with the end of what it wrote.
    """
    with started(command, environment, core=cores.OTHER_CORE) as process:
        process.finish()


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, core: int = cores.WORKER_CORE
) -> Iterator[Started]:
    """A process on that core, in this one's environment with *environment* added; it is ended at the block's end.

    What it writes, TensorFlow's greetings among it, goes to a file that is shown only when it fails.

    Raises:
        ChildProcessError: the block went well, and the end of the process did not.
        TimeoutError: the block's own, with the end of what the process wrote as a note.
    """
    # Should this process be killed, the other goes with it, where the system offers that.
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with tempfile.NamedTemporaryFile(prefix="headrace-bench-", suffix=".log") as output:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})  # inherited, so that none of its threads was ever elsewhere
        try:
            process = subprocess.Popen(
                [*guard, *command],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, before)
        running = Started(process, Path(output.name))
        try:
            yield running
            running.end()
        except TimeoutError as error:  # why it kept its block waiting is in what it wrote
            error.add_note(f"process {running.pid}{running.last_words()}")
            raise
        finally:
            running.kill()
