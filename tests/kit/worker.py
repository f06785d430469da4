"""Worker processes as a person runs them: `python -m worker worker`, settings in the environment, a log of its own.

A process dies with the test run that started it, and `close` ends it whatever state it is in.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.settings import ENVIRONMENT_PREFIX, environment_name

ROOT = Path(__file__).parents[2]
HEADRACE = ("-m", "worker")
HTTP_SECONDS = 30.0
"""Far more than a busy worker takes; one that does not answer in it counts as one that is not there."""


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """This process's environment with these settings (by dotted name) and no other of headrace's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    path = os.pathsep.join(filter(None, (str(ROOT), own.get("PYTHONPATH"))))
    given = {_variable(dotted): _text(value) for dotted, value in settings.items()}
    return own | given | {"PYTHONPATH": path}


def run_command(
    arguments: Sequence[str],
    settings: Mapping[str, object],
    timeout_seconds: float = PATIENCE_SECONDS,
    *,
    program: Sequence[str] = HEADRACE,
) -> subprocess.CompletedProcess[str]:
    """Run `headrace ARGUMENTS` to its end, whatever its exit status."""
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env=environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=timeout_seconds,
    )


class RunningWorker:
    """One worker process; started by the constructor.

    Args:
        settings: by dotted name, as `headrace config` shows them. The log is JSON and the HTTP port any free one.
        log_file: what the process writes; kept after its end.
        program: what Python runs; another release, say.
    """

    def __init__(
        self, settings: Mapping[str, object], log_file: Path, program: Sequence[str] = HEADRACE
    ) -> None:
        self.log_file = log_file
        self._port: int | None = None
        own = {"http.port": 0, "log.format": "json", **settings}
        # Should this process be killed, the worker goes with it, where the system offers that.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, sys.executable, *program, "worker"],
                env=environment(own),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; minus the signal's number when one has ended it."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to end in order (SIGTERM)."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL), and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it stand still (SIGSTOP), as a machine that swaps does."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def wait(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end; its exit status.

        Raises:
            AssertionError: it goes on.
        """
        wait_until(
            lambda: self._process.poll() is not None,
            lambda: f"the end of the worker; its log ends:\n{self.log_tail()}",
            within_seconds=timeout_seconds,
        )
        return int(self._process.returncode)

    def stop(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """End it in order; its exit status."""
        self.terminate()
        return self.wait(timeout_seconds)

    def close(self) -> None:
        """End it by force, if it still runs."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
            self.kill()

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it has logged so far, line by line; those of one event when it is given.

        A line that is not JSON (an interpreter's last words) comes as an event of its own.
        """
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = [_entry(line) for line in lines]
        return [entry for entry in entries if event is None or entry["event"] == event]

    def log_tail(self, lines: int = 40) -> str:
        """The end of its log, as it stands in the file."""
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait_for_log(self, event: str, within_seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until it has logged this event; its first line of it."""
        return self._wait(lambda: self.log(event), f"the log line {event!r}", within_seconds)[0]  # type: ignore[no-any-return]

    def wait_until_ready(self, within_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `/readyz` says that it takes requests."""
        self._wait(lambda: not self.not_ready(), lambda: f"ready: {self.not_ready()}", within_seconds)

    def wait_until_assigned(self, partitions: int, within_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it is ready and the group has given it so many partitions."""
        self.wait_until_ready(within_seconds)
        self._wait(
            lambda: self.metric("headrace_assigned_partitions") == partitions,
            f"{partitions} assigned partitions",
            within_seconds,
        )

    def not_ready(self) -> list[str]:
        """Why it takes no requests, as `/readyz` says; empty when it does."""
        status, body = self.get("/readyz")
        if status == 0:
            return ["it does not answer yet"]
        return list(json.loads(body)["reasons"])

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 when there are none, or no answer."""
        return sum(
            value
            for has, value in self.metrics().get(name, ())
            if all(has.get(label) == wanted for label, wanted in labels.items())
        )

    def unanswered(self) -> float:
        """Requests that it has read and whose replies the broker has not acknowledged, at this moment."""
        samples = self.metrics()
        read, *out = (
            sum(value for _, value in samples.get(f"headrace_{name}_total", ()))
            for name in ("records_consumed", "requests", "dead_letters", "requests_left")
        )
        return read - sum(out)

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Every sample of `/metrics` by its name, with its labels; empty when there is no answer."""
        _, body = self.get("/metrics")
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(body):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return samples

    def get(self, path: str) -> tuple[int, str]:
        """A page of the worker: status and body; (0, "") when nobody answers."""
        if (port := self._find_port()) is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=HTTP_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def _find_port(self) -> int | None:
        if self._port is None:
            for entry in self.log("serving /metrics, /livez and /readyz"):
                self._port = int(entry["port"])
        return self._port

    def _wait(self, condition: Any, what: Any, within_seconds: float) -> Any:
        def told() -> str:
            return f"{what() if callable(what) else what}; the worker's log ends:\n{self.log_tail()}"

        def alive() -> Any:
            answer = condition()
            ended = self.exit_status
            assert answer or ended is None, f"the worker ended with {ended} before {told()}"
            return answer

        return wait_until(alive, told, within_seconds=within_seconds)


def _variable(dotted: str) -> str:
    """The variable of a setting; a property of the Kafka client has dots of its own."""
    group, properties, name = (*dotted.split(".", 2), "", "")[:3]
    if properties.endswith("properties") and name:
        return environment_name(f"{group}.{properties}.{name.replace('.', '_')}")
    return environment_name(dotted)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) and "event" in entry else {"event": line, "level": "raw"}
