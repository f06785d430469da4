"""`--command-config FILE`: the properties file that Kafka's own tools take, in this client's words.

Kafka's tools are Java, librdkafka is C: most names agree, those of SASL and TLS do not. What is translated
here is what people write into such files to reach a cluster; other names pass as they are.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from worker.kafka.errors import InvalidProperty

_RENAMED: Mapping[str, str] = {
    "sasl.mechanism": "sasl.mechanisms",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.key": "ssl.key.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "request.timeout.ms": "socket.timeout.ms",
}
_MEANINGLESS = re.compile(
    r"default\.api\.timeout\.ms|interceptor\.classes|metric\.reporters|metrics\..*|(key|value)\.(de)?serializer"
    r"|security\.providers|ssl\.(provider|protocol|enabled\.protocols|secure\.random\.implementation)"
    r"|ssl\.(keymanager|trustmanager)\.algorithm|ssl\.engine\.factory\.class|sasl\.login\.class"
    r"|sasl\.(client|login)\.callback\.handler\.class|auto\.include\.jmx\.reporter"
)
_OAUTH_HANDLER = re.compile(r"(.*\.)?(OAuthBearerLoginCallbackHandler|OAuthBearerJwt\w*|\w*JwtRetriever)")
_JAAS_OPTION = re.compile(r"(\w+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|([^\s;]+))")
_JAAS_NAMES: Mapping[str, Mapping[str, str]] = {
    "PlainLoginModule": {"username": "sasl.username", "password": "sasl.password"},
    "ScramLoginModule": {"username": "sasl.username", "password": "sasl.password"},
    "OAuthBearerLoginModule": {
        "clientId": "sasl.oauthbearer.client.id",
        "clientSecret": "sasl.oauthbearer.client.secret",
        "scope": "sasl.oauthbearer.scope",
    },
    "Krb5LoginModule": {"principal": "sasl.kerberos.principal", "keyTab": "sasl.kerberos.keytab"},
}
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_command_config(path: Path) -> dict[str, str]:
    """The properties of the file, under librdkafka's names.

    Raises:
        InvalidProperty: the file cannot be read, or a property in it cannot be followed by this client.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InvalidProperty(f"the client properties in {path} cannot be read: {reason}") from error
    return from_java(parse(text))


def parse(text: str) -> dict[str, str]:
    """The names and values of a `.properties` file: comments, continued lines and escapes as in Java."""
    properties = {}
    for line in _logical_lines(text):
        match = re.match(r"((?:\\.|[^\\\s=:])*)(?:\s*[=:]\s*|\s+|$)(.*)", line, re.DOTALL)
        if match is not None:
            properties[_unescape(match[1])] = _unescape(match[2])
    return properties


def from_java(java: Mapping[str, str]) -> dict[str, str]:
    """The same properties under librdkafka's names.

    Raises:
        InvalidProperty: a property has no meaning for this client, or needs another form.
    """
    found = dict(java)
    result: dict[str, str] = {}
    if (jaas := found.pop("sasl.jaas.config", "").strip()) or found.get(
        "sasl.oauthbearer.token.endpoint.url"
    ):
        result |= _from_jaas(jaas)
    if "sasl.oauthbearer.token.endpoint.url" in found:
        result["sasl.oauthbearer.method"] = "oidc"
    result |= _truststore(found) | _keystore(found)
    if "ssl.endpoint.identification.algorithm" in found:
        # Java switches the check of the host name off by an empty value.
        result["ssl.endpoint.identification.algorithm"] = (
            found.pop("ssl.endpoint.identification.algorithm").strip().lower() or "none"
        )
    for name, value in found.items():
        if _MEANINGLESS.fullmatch(name):
            if name.endswith("callback.handler.class") and _OAUTH_HANDLER.fullmatch(value):
                continue  # librdkafka has the same built in
            raise InvalidProperty(
                f"the property {name!r} is for Java clients only; take it out", resource=name
            )
        result[_RENAMED.get(name, name)] = value
    return result


def _logical_lines(text: str) -> Iterator[str]:
    pending = ""
    for raw in text.splitlines():
        line = raw.lstrip()
        if not pending and (not line or line[0] in "#!"):
            continue
        pending += line
        if (len(pending) - len(pending.rstrip("\\"))) % 2:
            pending = pending[:-1]
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def _unescape(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return _ESCAPES.get(match[2], match[2])

    return re.sub(r"\\(?:u([0-9A-Fa-f]{4})|(.))", character, text, flags=re.DOTALL)


def _from_jaas(text: str) -> dict[str, str]:
    if not text:
        return {}
    words = text.split()
    module = words[0].rpartition(".")[2]
    names = _JAAS_NAMES.get(module)
    if names is None:
        known = ", ".join(_JAAS_NAMES)
        raise InvalidProperty(
            f"sasl.jaas.config names the login module {module!r}; this client knows {known}",
            resource="sasl.jaas.config",
        )
    result = {}
    for option in _JAAS_OPTION.finditer(text):
        value = next(group for group in option.groups()[1:] if group is not None)
        if option[1] in names:
            result[names[option[1]]] = re.sub(r"\\(.)", r"\1", value)
    return result


def _truststore(found: dict[str, str]) -> dict[str, str]:
    location = found.pop("ssl.truststore.location", None)
    kind = found.pop("ssl.truststore.type", None)
    found.pop(
        "ssl.truststore.password", None
    )  # certificates of authorities are no secret, PEM has no password
    if location is None:
        return {}
    if (kind or _kind_of(location)).upper() != "PEM":
        raise InvalidProperty(
            "ssl.truststore.location must be a PEM file here; `keytool -exportcert -rfc` writes one",
            resource="ssl.truststore.location",
        )
    return {"ssl.ca.location": location}


def _keystore(found: dict[str, str]) -> dict[str, str]:
    location = found.pop("ssl.keystore.location", None)
    kind = found.pop("ssl.keystore.type", None)
    password = found.pop("ssl.keystore.password", None)
    if location is None:
        return {}
    kind = (kind or _kind_of(location)).upper()
    if kind == "PEM":
        return {"ssl.key.location": location, "ssl.certificate.location": location}
    if kind == "PKCS12":
        return {"ssl.keystore.location": location} | ({"ssl.keystore.password": password} if password else {})
    raise InvalidProperty(
        f"ssl.keystore.location is a {kind} file; this client takes PEM and PKCS12 "
        "(`keytool -importkeystore -deststoretype PKCS12` converts it)",
        resource="ssl.keystore.location",
    )


def _kind_of(location: str) -> str:
    suffix = Path(location).suffix.lower()
    return {".pem": "PEM", ".crt": "PEM", ".p12": "PKCS12", ".pfx": "PKCS12"}.get(suffix, "JKS")
