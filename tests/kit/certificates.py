"""Certificates for one test run, made by `openssl`: an authority, a server, clients."""

import shutil
import subprocess
from pathlib import Path

from tests.kit.maven_jars import JavaUnavailable

KEY_PASSWORD = "a-key-pass-phrase"  # of every client's key
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Certificates:
    """An authority of its own in *folder*, and what it signs; all of it good for two days.

    Attributes:
        authority: the authority's certificate, PEM.
    """

    def __init__(self, folder: Path) -> None:
        """Make the authority.

        Raises:
            JavaUnavailable: there is no `openssl`.
        """
        openssl = shutil.which("openssl")
        if openssl is None:
            raise JavaUnavailable("no `openssl` on the PATH to make certificates with")
        self._openssl = openssl
        self._folder = folder
        self.authority = folder / "authority.pem"
        self._run(
            *("req", "-x509", *_KEY, "-nodes", "-days", "2", "-subj", "/CN=headrace tests"),
            *("-keyout", "authority.key", "-out", "authority.pem"),
        )

    def server(self) -> Path:
        """Key and certificate of a server on the loopback interface, in one PEM file."""
        (self._folder / "server.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        self._signed("server", "localhost", "-extfile", "server.ext")
        store = self._folder / "server.pem"
        store.write_text(
            (self._folder / "server.key").read_text() + (self._folder / "server.crt").read_text()
        )
        return store

    def client(self, name: str) -> tuple[Path, Path]:
        """Certificate and key (under `KEY_PASSWORD`) of a client whose common name is *name*."""
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        if not certificate.exists():
            self._signed(name, name, password=KEY_PASSWORD)
        return certificate, key

    def _signed(self, file: str, common_name: str, *options: str, password: str | None = None) -> None:
        secrecy = ("-nodes",) if password is None else ("-passout", f"pass:{password}")
        self._run(
            *("req", *_KEY, *secrecy, "-subj", f"/CN={common_name}"),
            *("-keyout", f"{file}.key", "-out", f"{file}.csr"),
        )
        self._run(
            *("x509", "-req", "-in", f"{file}.csr", "-CA", "authority.pem", "-CAkey", "authority.key"),
            *("-CAcreateserial", "-days", "2", "-out", f"{file}.crt", *options),
        )

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [self._openssl, *arguments], cwd=self._folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"openssl {' '.join(arguments)} failed:\n{done.stderr}"
