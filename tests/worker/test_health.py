"""The pages for machines that watch a worker, asked over a real socket."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
from prometheus_client import CollectorRegistry, Counter

from tests.kit.waiting import PATIENCE_SECONDS
from worker.health import HealthServer, stalled


class Worker:
    """What the pages ask: reasons that a test sets."""

    def __init__(self) -> None:
        self.dead: Sequence[str] = ()
        self.unready: Sequence[str] = ()
        self.registry = CollectorRegistry()
        Counter("things", "Things.", registry=self.registry).inc(3)

    def server(self) -> HealthServer:
        """The pages on any free port."""
        return HealthServer(("127.0.0.1", 0), self.registry, lambda: self.dead, lambda: self.unready)


@pytest.fixture
def worker() -> Worker:
    """A worker that is well."""
    return Worker()


@pytest.fixture
def port(worker: Worker) -> Iterator[int]:
    """The port of its pages."""
    with worker.server() as server:
        yield server.port


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    """Status, content type and body of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read()
    finally:
        connection.close()


def test_metrics_are_shown_in_prometheus_text(port: int) -> None:
    """A scraper finds them without further configuration."""
    status, content_type, body = get(port, "/metrics")

    assert status == 200
    assert content_type.startswith("text/plain")
    assert b"things_total 3.0" in body


def test_metrics_are_shown_as_open_metrics_when_asked(port: int) -> None:
    """The format follows what the scraper accepts."""
    _, content_type, body = get(port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize(("path", "name"), [("/livez", "live"), ("/readyz", "ready")])
def test_a_worker_that_is_well_says_so(port: int, path: str, name: str) -> None:
    """Probes look at the status, people at the body."""
    status, content_type, body = get(port, path)

    assert (status, content_type, json.loads(body)) == (
        200,
        "application/json",
        {name: True, "reasons": []},
    )


def test_readiness_says_what_is_waited_for(worker: Worker, port: int) -> None:
    """Each reason is in the body, and liveness is another matter."""
    worker.unready = ["digits/2 is loading"]

    status, _, body = get(port, "/readyz")
    assert (status, json.loads(body)) == (503, {"ready": False, "reasons": ["digits/2 is loading"]})
    assert get(port, "/livez")[0] == 200


def test_liveness_fails_when_the_loop_hangs(worker: Worker, port: int) -> None:
    """Past the limit, and not before."""
    age = 60.0
    check = stalled(lambda: age, 60.0)
    worker.dead = check()
    assert get(port, "/livez")[0] == 200

    age = 61.0
    worker.dead = check()
    status, _, body = get(port, "/livez")
    assert status == 503
    assert "61 s ago" in json.loads(body)["reasons"][0]


@pytest.mark.parametrize("path", ["/", "/metrics/", "/livez/../metrics", "/debug"])
def test_there_is_no_other_page(port: int, path: str) -> None:
    """Nothing else is served, and the answer says what is."""
    status, _, body = get(port, path)

    assert status == 404
    assert b"/readyz" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(port: int, method: str) -> None:
    """The pages only read."""
    assert get(port, "/metrics", method)[0] == 501


def test_head_is_answered_without_a_body(port: int) -> None:
    """As HTTP has it."""
    assert get(port, "/livez", "HEAD")[::2] == (200, b"")


def test_a_page_that_cannot_be_made_keeps_its_reason_for_the_log(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    """No stack trace goes to whoever asks."""

    def fail() -> Sequence[str]:
        raise RuntimeError("inner detail")

    with HealthServer(("127.0.0.1", 0), worker.registry, fail, fail) as server:
        status, _, body = get(server.port, "/livez")

    assert status == 500
    assert b"inner detail" not in body
    assert "inner detail" in caplog.text


def test_closing_leaves_no_thread_and_frees_the_port(worker: Worker) -> None:
    """Also when it is closed twice, or was never started."""
    before = threading.active_count()
    server = worker.server()
    server.start()
    port = server.port
    assert get(port, "/livez")[0] == 200
    server.close()
    server.close()

    assert threading.active_count() == before
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    worker.server().close()


def test_connections_that_say_nothing_do_not_keep_probes_out(port: int) -> None:
    """A probe is answered beside idle connections; past the bound, new ones are turned away, not queued."""
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(15)]
    try:
        assert get(port, "/livez")[0] == 200
    finally:
        for connection in idle:
            connection.close()
