"""A broker that lets in whom it knows, and allows what it was told to: TLS, SCRAM, tokens, access rights.

It has four doors: one in plain text for the tests themselves, who may do everything there; `SCRAM` (TLS, user and
password), `CERTIFICATE` (TLS on both sides) and `TOKEN` (an OAuth token, here without TLS and unsigned). A user has one
name behind each of the last three.
"""

import enum
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import confluent_kafka
from confluent_kafka import admin as client_admin

from tests.kit.broker import KafkaBroker, free_port
from tests.kit.certificates import KEY_PASSWORD, Certificates
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.kafka.rights import Resource, Right

PASSWORD = "a-scram-password"  # of every user
_KINDS = {
    Resource.TOPIC: client_admin.ResourceType.TOPIC,
    Resource.GROUP: client_admin.ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: client_admin.ResourceType.TRANSACTIONAL_ID,
}
_OAUTH = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"


class Door(enum.Enum):
    """How a client comes in."""

    SCRAM = "scram"
    CERTIFICATE = "certificate"
    TOKEN = "token"


class SecuredBroker:
    """A `Broker` (its `bootstrap_servers` are the tests' own door); made and ended with a `with` block.

    Attributes:
        certificates: the authority that it trusts.
    """

    def __init__(self) -> None:
        """Prepare it; raises JavaUnavailable."""
        self._scratch = tempfile.TemporaryDirectory(prefix="headrace-secured-")
        try:
            self.certificates = Certificates(Path(self._scratch.name))
            self._ports = {door: free_port() for door in Door}
            port, controller = free_port(), free_port()
            self._broker = KafkaBroker(port, config=self._config(port, controller))
        except BaseException:
            self._scratch.cleanup()
            raise
        self.bootstrap_servers = self._broker.bootstrap_servers
        self._users: set[str] = set()

    def _config(self, port: int, controller: int) -> dict[str, str]:
        doors = {door.name: f"127.0.0.1:{number}" for door, number in self._ports.items()}
        places = {"PLAINTEXT": f"127.0.0.1:{port}", "CONTROLLER": f"127.0.0.1:{controller}", **doors}
        listeners = ",".join(f"{name}://{place}" for name, place in places.items())
        return {
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.quorum.bootstrap.servers": places["CONTROLLER"],
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SCRAM:SASL_SSL,CERTIFICATE:SSL,TOKEN:SASL_PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.server()),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.authority),
            "listener.name.certificate.ssl.client.auth": "required",
            "listener.name.certificate.ssl.principal.mapping.rules": "RULE:^CN=(.*?)$/$1/,DEFAULT",
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram."
            "ScramLoginModule required;",
            "listener.name.token.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.token.oauthbearer.sasl.jaas.config": f'{_OAUTH} required unsecuredLoginStringClaim_sub="b";',
        }

    def add_users(self, *names: str) -> None:
        """Let them in by `SCRAM`; the other doors know everybody with a certificate or token."""
        mechanism = client_admin.ScramMechanism.SCRAM_SHA_512
        changes = [
            client_admin.UserScramCredentialUpsertion(
                name, client_admin.ScramCredentialInfo(mechanism, 4096), PASSWORD.encode()
            )
            for name in names
            if name not in self._users
        ]
        if changes:
            for future in self._admin.alter_user_scram_credentials(changes).values():
                future.result(PATIENCE_SECONDS)
            self._users.update(names)

    def settings(self, user: str, door: Door = Door.SCRAM) -> dict[str, object]:
        """Settings of headrace with which *user* comes in by that door, but for the token server's."""
        if door is Door.SCRAM:
            self.add_users(user)
            properties: dict[str, object] = {
                "security.protocol": "SASL_SSL",
                "sasl.mechanisms": "SCRAM-SHA-512",
                "sasl.username": user,
                "sasl.password": PASSWORD,
                "ssl.ca.location": str(self.certificates.authority),
            }
        elif door is Door.CERTIFICATE:
            certificate, key = self.certificates.client(user)
            properties = {
                "security.protocol": "SSL",
                "ssl.certificate.location": str(certificate),
                "ssl.key.location": str(key),
                "ssl.key.password": KEY_PASSWORD,
                "ssl.ca.location": str(self.certificates.authority),
            }
        else:
            properties = {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanisms": "OAUTHBEARER",
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.client.id": user,
            }
        address = f"127.0.0.1:{self._ports[door]}"
        return {"kafka.bootstrap_servers": address} | {
            f"kafka.properties.{name}": value for name, value in properties.items()
        }

    def give(self, user: str, rights: Iterable[Right]) -> None:
        """Give rights, and wait until they hold."""
        bindings = [_binding(user, right) for right in rights]
        if bindings:
            for future in self._admin.create_acls(bindings).values():
                future.result(PATIENCE_SECONDS)
        wait_until(lambda: self._there(bindings) == len(bindings), f"the rights of {user}")

    def take(self, user: str, rights: Iterable[Right]) -> None:
        """Take rights away, and wait until they are gone."""
        bindings = [_binding(user, right) for right in rights]
        filters = [_filter(binding) for binding in bindings]
        for future in self._admin.delete_acls(filters).values():
            future.result(PATIENCE_SECONDS)
        wait_until(lambda: self._there(bindings) == 0, f"the rights of {user} gone")

    def _there(self, bindings: Iterable[Any]) -> int:
        return sum(
            len(self._admin.describe_acls(_filter(binding)).result(PATIENCE_SECONDS)) for binding in bindings
        )

    def __enter__(self) -> Self:
        try:
            self._broker.__enter__()
        except BaseException:
            self._scratch.cleanup()
            raise
        self._admin = client_admin.AdminClient({"bootstrap.servers": self.bootstrap_servers})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broker.__exit__(kind, error, trace)
        self._scratch.cleanup()


def _binding(user: str, right: Right) -> Any:
    pattern = (
        confluent_kafka.admin.ResourcePatternType.PREFIXED
        if right.prefixed
        else confluent_kafka.admin.ResourcePatternType.LITERAL
    )
    return client_admin.AclBinding(
        _KINDS[right.resource],
        right.name,
        pattern,
        f"User:{user}",
        "*",
        client_admin.AclOperation[right.operation],
        client_admin.AclPermissionType.ALLOW,
    )


def _filter(binding: Any) -> Any:
    return client_admin.AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
