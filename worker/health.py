"""The pages for machines that watch a worker: `/metrics`, `/livez` and `/readyz`.

They only read. `/livez` fails when the worker should be restarted, `/readyz` when it does not take requests
(yet); both say why, as JSON. There is no access control: listen where only friends are.
"""

import json
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

log = logging.getLogger(__name__)

CONNECTION_SECONDS = 5.0
"""A connection that says nothing for so long is closed."""
MOST_CONNECTIONS = 16
"""Connections served at once; a few probes and scrapers need fewer, and each costs a thread."""

Reasons = Callable[[], Sequence[str]]
"""Says why something does not hold; nothing, when it does."""


def stalled(age_seconds: Callable[[], float], limit_seconds: float) -> Reasons:
    """Liveness of a loop: fails while its last turn is longer ago than the limit."""

    def reasons() -> Sequence[str]:
        age = age_seconds()
        return (
            (f"the last poll was {age:.0f} s ago, more than {limit_seconds:g} s",)
            if age > limit_seconds
            else ()
        )

    return reasons


class HealthServer:
    """Serves the pages from a thread of its own, from `start` to `close`; a context manager does both.

    *live* and *ready* are called on that server's threads, so they must be thread-safe and quick.
    """

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, live: Reasons, ready: Reasons
    ) -> None:
        """Bind the address, port 0 for any free one.

        Raises:
            OSError: the address is taken or not one of this machine.
        """
        pages = {
            "/metrics": lambda accept: _metrics(registry, accept),
            "/livez": lambda _: _verdict(live, "live"),
            "/readyz": lambda _: _verdict(ready, "ready"),
        }
        handler = type("Handler", (_Handler,), {"pages": pages})
        self._server = _Server(address, handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="health", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and wait for the answers under way; may be called before `start`, and twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Answer = tuple[HTTPStatus, str, bytes]


def _metrics(registry: CollectorRegistry, accept: str) -> Answer:
    encode, content_type = choose_encoder(accept)
    return HTTPStatus.OK, content_type, encode(registry)


def _verdict(reasons: Reasons, name: str) -> Answer:
    found = list(reasons())
    body = json.dumps({name: not found, "reasons": found}).encode() + b"\n"
    return HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK, "application/json", body


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for the answers under way, at most CONNECTION_SECONDS
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        log.debug("a connection broke", extra={"peer": client_address[0], "why": repr(sys.exception())})


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, Callable[[str], Answer]]]
    timeout: ClassVar[float | None] = CONNECTION_SECONDS
    server_version = "headrace"
    sys_version = ""

    def do_GET(self) -> None:
        self._show(with_body=True)

    def do_HEAD(self) -> None:
        self._show(with_body=False)

    def _show(self, *, with_body: bool) -> None:
        status, content_type, body = self._answer()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's signature
        log.debug(format, *args)

    def _answer(self) -> Answer:
        page = self.pages.get(self.path.partition("?")[0])
        if page is None:
            there = " ".join(self.pages)
            return (
                HTTPStatus.NOT_FOUND,
                "text/plain; charset=utf-8",
                f"no such page; there are {there}\n".encode(),
            )
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:
            log.exception("a page could not be made", extra={"page": self.path})
            return HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", b"see the worker's log\n"
