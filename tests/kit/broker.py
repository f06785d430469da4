"""A real Kafka broker for tests, benchmarks and people: one node, KRaft, loopback, a temporary folder.

`python -m tests.kit.broker` (`make kafka`) runs one in the foreground until Ctrl-C.
"""

import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tests.kit.maven_jars import JAVA_FOR_KAFKA, KAFKA, JavaUnavailable, require_java
from tests.kit.waiting import PATIENCE_SECONDS
from worker.stop_flag import StopFlag

_CLUSTER_ID = (
    "aGVhZHJhY2UtdGVzdC1rZg"  # any 16 bytes in base64; a broker's data folder belongs to one cluster
)
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx768m")
"""Up in 2.0 s instead of 2.8; slower at full load, where nothing in the tests is."""
FULL_SPEED = ("-XX:+UseG1GC", "-Xms1g", "-Xmx1g")
"""For benchmarks."""


_FIRST_PORT = 15_000
_given: set[int] = set()


class Broker(Protocol):
    """What a test may rely on, whoever runs the broker."""

    @property
    def bootstrap_servers(self) -> str:
        """Where to reach it, as `host:port`."""
        ...


class ForeignBroker:
    """A broker that is there already (TEST_BOOTSTRAP_SERVERS)."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers


class BrokerFailed(Exception):
    """The broker process ended, or did not answer in time; the message has the end of its log."""


def free_port() -> int:
    """A loopback port that nobody listens on at the moment, and that no connection is given by the system.

    A port that the system deals out to outgoing connections may be taken by one of them while a broker restarts,
    even by a client's that tries to reach this very port, and is then connected to itself.
    """
    for _ in range(1000):
        port = random.randrange(_FIRST_PORT, _first_dealt_port())
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port
    raise OSError(f"no free port from {_FIRST_PORT} to {_first_dealt_port()}")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _first_dealt_port() -> int:
    """The first port that the system gives to connections; Linux says which, others begin higher."""
    told = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(told.read_text(encoding="ascii").split()[0]) if told.exists() else 32_768
    return first if first > _FIRST_PORT + 1000 else 65_536


class KafkaBroker:
    """A broker process of our own: started, stopped, killed and frozen by its process id and no other way.

    Its folder is removed by `close`, data included; between `stop` and `start` the data stay.
    """

    def __init__(
        self,
        port: int | None = None,
        jvm_options: Sequence[str] = QUICK_START,
        config: Mapping[str, str] | None = None,
        start_timeout_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """*config* adds to the broker's properties, or replaces them.

        Raises:
            JavaUnavailable: no Java, or Kafka is not here and cannot be fetched.
        """
        self._java = require_java(KAFKA.title, JAVA_FOR_KAFKA)
        self._classpath = f"{KAFKA.folder()}/*"
        self._jvm_options = tuple(jvm_options)
        self._start_timeout_seconds = start_timeout_seconds
        self._port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="headrace-kafka-"))
        properties = {**_properties(self._port, free_port(), self.folder / "data"), **(config or {})}
        self._format_options = () if "controller.quorum.voters" in properties else ("--standalone",)
        text = "".join(f"{name}={value}\n" for name, value in properties.items())
        (self.folder / "server.properties").write_text(text, encoding="utf-8")

    @property
    def bootstrap_servers(self) -> str:
        """Where to reach it."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The broker's process id; it must be running."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it (on the data that are there, if any) and wait until it answers.

        Raises:
            BrokerFailed: it ended or did not answer.
        """
        self.launch()
        self.wait_until_it_answers()

    def format(self) -> None:
        """Make its data folder, unless it is there.

        Raises:
            BrokerFailed: that went wrong.
        """
        if (self.folder / "data" / "meta.properties").exists():
            return
        command = [self._java, *QUICK_START, "-cp", self._classpath, "kafka.tools.StorageTool", "format"]
        command += ["-t", _CLUSTER_ID, "-c", str(self.folder / "server.properties"), *self._format_options]
        run = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if run.returncode != 0:
            raise BrokerFailed(f"Kafka's data folder could not be made:\n{(run.stdout + run.stderr)[-4000:]}")

    def launch(self) -> None:
        """Start it, and wait for nothing: one of several answers when most of them are there.

        Raises:
            BrokerFailed: its folder could not be made.
        """
        assert self._process is None
        self.format()
        # Should this process be killed, the broker goes with it, where the system offers that.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command = [*guard, self._java, *self._jvm_options, "-cp", self._classpath]
        command += ["kafka.Kafka", str(self.folder / "server.properties")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_it_answers(self) -> None:
        """Wait until it does; one that does not is killed.

        Raises:
            BrokerFailed: it ended or did not answer.
        """
        end = time.monotonic() + self._start_timeout_seconds
        try:
            while time.monotonic() < end:
                if self._listens() and self._answers():
                    return
                self.check(0.05)
        except BaseException:
            self.kill()
            raise
        self.kill()
        raise BrokerFailed(
            f"no answer within {self._start_timeout_seconds:g} s; its log ends:\n{self.log_tail()}"
        )

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """End it in order; by force when it takes longer than that."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wait_for_its_end(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until it has ended by itself; its exit status."""
        assert self._process is not None
        status = self._process.wait(timeout_seconds)
        self._process = None
        return status

    def restart(self) -> None:
        """Stop it and start it again, on the same port and data."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it stand still: connections stay open, nothing answers. It has stopped when this returns."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def fill_disk(self) -> None:
        """Let every write to a file fail, as on a full disk; a broker that is started again has room.

        The limit is on the size of files, which a process of one's own may be given without more rights.
        """
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, most))

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self, wait_seconds: float = 0.0) -> None:
        """Watch it for that long.

        Raises:
            BrokerFailed: it has ended by itself.
        """
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(wait_seconds)
            raise BrokerFailed(f"the broker ended with {code}; its log ends:\n{self.log_tail()}")

    def has_logged(self, *texts: str) -> bool:
        """Whether its log has a line with all of these."""
        with self._log.open(errors="replace") as lines:
            return any(all(text in line for text in texts) for line in lines)

    def log_tail(self, lines: int = 30) -> str:
        """The end of its log."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _log(self) -> Path:
        return self.folder / "broker.log"

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 1.0).close()
        except OSError:
            return False
        return True

    def _answers(self) -> bool:
        from worker.kafka import client_config, errors
        from worker.kafka.admin import Admin

        config = client_config.admin_config(client_config.connection(self.bootstrap_servers))
        try:
            return bool(Admin({**config, "log_level": "0"}, timeout_seconds=10.0).brokers())
        except errors.KafkaProblem:
            return False


def listeners(port: int, controller_port: int, **more: tuple[int, int]) -> dict[str, str]:
    """The properties that say where a broker listens.

    *more* are further listeners of brokers and clients by name: the port, and the port that is advertised.
    """
    own = {"PLAINTEXT": (port, port), **more, "CONTROLLER": (controller_port, controller_port)}
    return {
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join(f"{name}://127.0.0.1:{at}" for name, (at, _) in own.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{told}" for name, (_, told) in own.items()),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in own),
    }


def _properties(port: int, controller_port: int, data: Path) -> dict[str, str]:
    inner = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        **listeners(port, controller_port),
        "log.dirs": str(data),
        # Nothing may rely on topics that make themselves.
        "auto.create.topics.enable": "false",
        **{f"{topic}.replication.factor": "1" for topic in inner},
        **{f"{topic}.num.partitions": "4" for topic in inner},
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.share.enable": "true",
        # A first member is served at once, and a killed one is missed after seconds where a test says so.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "100",
        "group.consumer.heartbeat.interval.ms": "300",
        "group.share.min.heartbeat.interval.ms": "100",
        "group.share.heartbeat.interval.ms": "300",
        "group.share.min.record.lock.duration.ms": "1000",
        # Small machine, small heap.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "log.cleaner.backoff.ms": "1000",
    }


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run a broker in the foreground until Ctrl-C or SIGTERM; 0 when it was stopped so."""
    ended = StopFlag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    port = 9092
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            port = free_port()
            _say("port 9092 is taken, another one is used")
    _say("starting Apache Kafka (the first time it is fetched) …")
    try:
        broker = KafkaBroker(port, FULL_SPEED)
    except JavaUnavailable as error:
        _say(f"cannot run a broker here: {error}")
        return 1
    try:
        broker.start()
        _say(f"Apache Kafka answers at {broker.bootstrap_servers}; Ctrl-C stops it and removes its data.")
        _say(f"To go on: headrace topics create --bootstrap-server {broker.bootstrap_servers}")
        while not ended.wait(1.0):
            broker.check()
    except BrokerFailed as error:
        _say(str(error))
        return 1
    finally:
        broker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
