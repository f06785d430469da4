"""MLServer as a contender: its settings, its command line, and the requests that it takes.

Its Kafka server takes the JSON of the V2 inference protocol, one request a record, and a header that names the model.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contender import Job
from benchmarks.dense_model import INPUTS
from benchmarks.load import MODEL
from worker.kafka.records import Headers

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".build" / "peers"
"""Where `make bench-peers` installs it: its dependencies and ours exclude each other."""
NOT_INSTALLED = f"MLServer is not in {ENVIRONMENT}; `make bench-peers` installs it there"
HEADERS: Headers = [("mlserver-model", MODEL.encode())]
PINNED = {"mlserver", "tensorflow"}
PORTS = ("http_port", "grpc_port", "metrics_port")


class NotInstalled(Exception):
    """There is no environment with MLServer; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What of its settings bears on speed.

    Attributes:
        max_batch_size: most requests of one batch; adaptive batching is on above 1.
        max_batch_seconds: how long a batch waits for more.
        parallel_workers: processes that run models; 0 runs them in the server's own process.
    """

    max_batch_size: int = 512
    max_batch_seconds: float = 0.01
    parallel_workers: int = 0


def command(job: Job, tuning: Tuning, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of a server for that job; its settings are written to *folder*.

    Raises:
        NotInstalled: it is not there.
    """
    program = ENVIRONMENT / "bin" / "mlserver"
    if not program.exists():
        raise NotInstalled(NOT_INSTALLED)
    model = folder / MODEL
    model.mkdir(parents=True, exist_ok=True)
    places = {"metrics_dir": str(folder / "metrics"), "environments_dir": str(folder / "environments")}
    _write(folder / "settings.json", {**server_settings(job, tuning), **places, **_free_ports()})
    _write(model / "model-settings.json", model_settings(job, tuning))
    return [str(program), "start", str(folder)], {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}


def server_settings(job: Job, tuning: Tuning) -> dict[str, Any]:
    """`settings.json`: its Kafka server is on, and it does not log each request."""
    return {
        "debug": False,
        "host": "127.0.0.1",
        "parallel_workers": tuning.parallel_workers,
        "kafka_enabled": True,
        "kafka_servers": job.bootstrap_servers,
        "kafka_topic_input": job.requests,
        "kafka_topic_output": job.replies,
        "logging_settings": {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}},
    }


def model_settings(job: Job, tuning: Tuning) -> dict[str, Any]:
    """`model-settings.json`."""
    return {
        "name": MODEL,
        "implementation": "benchmarks.mlserver_runtime.SavedModelRuntime",
        "parameters": {"uri": job.model},
        "max_batch_size": tuning.max_batch_size,
        "max_batch_time": tuning.max_batch_seconds,
    }


def releases() -> dict[str, str]:
    """The releases of MLServer and TensorFlow in its environment.

    Raises:
        NotInstalled: it is not there.
    """
    sites = [str(path) for path in ENVIRONMENT.glob("lib/*/site-packages")]
    found = {each.name: each.version for each in metadata.distributions(path=sites) if each.name in PINNED}
    if found.keys() != PINNED:
        raise NotInstalled(NOT_INSTALLED)
    return found


def requests(count: int) -> list[bytes]:
    """So many requests, each with a row and an id of its own; numbers as short as they can be written."""
    rows = np.random.default_rng(0).standard_normal((count, INPUTS), dtype=np.float32)
    return [_request(f"{number:012}", list(map(str, row))) for number, row in enumerate(rows)]


def _request(request_id: str, numbers: Sequence[str]) -> bytes:
    tensor = f'{{"name":"x","shape":[1,{INPUTS}],"datatype":"FP32","data":[{",".join(numbers)}]}}'
    return f'{{"id":"{request_id}","inputs":[{tensor}]}}'.encode()


def _free_ports() -> dict[str, int]:
    """Ports that nobody listens on, one for each of its servers."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return {name: each.getsockname()[1] for name, each in zip(PORTS, sockets, strict=True)}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
