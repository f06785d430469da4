"""A store for tests that is reached over the network: a folder, served as Hadoop serves files over HTTP.

Its one client that needs no library beside fsspec's own speaks `webhdfs://`. It can be away, and come back at the same
place.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/webhdfs/v1"


class WebHdfs:
    """Serves a folder, to be read, on the loopback interface.

    Attributes:
        asked: the path of each request.
        opened: the paths of which bytes were asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.opened: list[str] = []
        self._port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def root(self) -> str:
        """The folder's place."""
        return f"webhdfs://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve, at the same place each time."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                options = {name: values[0] for name, values in parse_qs(asked.query).items()}
                status, body = outer._answer(unquote(asked.path.removeprefix(PREFIX)), options)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's signature
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="webhdfs", daemon=True).start()

    def stop(self) -> None:
        """Be away."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def _answer(self, path: str, options: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(path)
        place = self.folder / path.strip("/")
        try:
            match options["op"]:
                case "LISTSTATUS":
                    found = [_status(each, each.name) for each in sorted(place.iterdir())]
                    return 200, json.dumps({"FileStatuses": {"FileStatus": found}}).encode()
                case "GETFILESTATUS":
                    return 200, json.dumps({"FileStatus": _status(place, "")}).encode()
                case "OPEN":
                    self.opened.append(path)
                    begin, length = int(options["offset"]), int(options["length"])
                    return 200, place.read_bytes()[begin : begin + length]
                case _:
                    return 400, b""
        except OSError as error:
            told = {"exception": "FileNotFoundException", "message": str(error)}
            return 404, json.dumps({"RemoteException": told}).encode()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _status(path: Path, name: str) -> dict[str, object]:
    facts = path.stat()
    return {
        "pathSuffix": name,
        "type": "DIRECTORY" if path.is_dir() else "FILE",
        "length": 0 if path.is_dir() else facts.st_size,
        "modificationTime": facts.st_mtime_ns // 1_000_000,
    }
