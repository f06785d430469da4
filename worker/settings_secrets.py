"""Which properties of the Kafka client are secrets. Their values are never shown, wherever settings are.

A URL may carry a user and a password before its host, and a token among its parameters: these are never shown either.
And what others say (the client library, a token server) is shown without any secret that this process was given.
"""

import re

MASK = "********"

_WORDS = ("pass", "secret", "key", "token", "jaas", "credential", "pem", "kinit.cmd")
_THEMES = ("sasl.", "ssl.", "https.")
"""Of these only what is known to be harmless is shown: a secret's name may be misspelt."""
_HARMLESS = frozenset(
    {
        "sasl.kerberos.keytab",
        "sasl.kerberos.min.time.before.relogin",
        "sasl.kerberos.principal",
        "sasl.kerberos.service.name",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.scope",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.username",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.cipher.suites",
        "ssl.crl.location",
        "ssl.curves.list",
        "ssl.endpoint.identification.algorithm",
        "ssl.key.location",
        "ssl.keystore.location",
        "ssl.sigalgs.list",
        "https.ca.location",
    }
)
_IN_URL = re.compile(r"(?<=://)[^\s/?#\"']+(?=@)|(?<=[?&])([^\s=&#\"']+=)[^\s&#\"']+")
_SHORTEST = 6  # what is shorter stands in any text by chance
_given: set[str] = set()


def is_secret(name: str) -> bool:
    """Whether a property's value must not be shown; too many rather than too few."""
    lowered = name.lower()
    if lowered in _HARMLESS:
        return False
    return lowered.startswith(_THEMES) or any(word in lowered for word in _WORDS)


def mask(name: str, value: object) -> object:
    """The value to show for a property."""
    if is_secret(name):
        return MASK
    return without_secrets(value) if isinstance(value, str) else value


def keep_out(name: str, value: str) -> None:
    """Remember the value of a property, if it is a secret, for `without_secrets`; as long as the process lives."""
    if is_secret(name) and len(value) >= _SHORTEST:
        _given.add(value)


def without_secrets(text: str) -> str:
    """What somebody else said, without secrets that were given, without users, passwords and parameters in URLs."""
    for secret in sorted(_given, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if "://" not in text:
        return text
    return _IN_URL.sub(lambda found: (found[1] or "") + MASK, text)
