"""An OAuth token server for tests: gives whoever knows the secret a token, unsigned, as a broker in tests takes it."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKEN_SECONDS = 600


class TokenServer:
    """Answers the client-credentials grant on the loopback interface; the client's id becomes the token's subject.

    Attributes:
        secret: what clients must know.
        tokens: every token that was given.
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.tokens: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, document = outer._answer(self.headers.get("Authorization", ""))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's signature
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="tokens", daemon=True)

    @property
    def url(self) -> str:
        """Where tokens are asked for."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def _answer(self, authorization: str) -> tuple[int, dict[str, object]]:
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        client, _, secret = given.partition(":")
        if secret != self.secret:
            return 401, {"error": "invalid_client", "error_description": f"wrong secret {secret}"}
        now = int(time.time())
        claims = {"sub": client, "scope": "kafka", "iat": now, "exp": now + TOKEN_SECONDS}
        token = f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."
        self.tokens.append(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
