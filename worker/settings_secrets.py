"""Which properties of the Kafka client are secrets. Their values are never shown, wherever settings are."""

MASK = "********"

_WORDS = (
    "password",
    "passphrase",
    "secret",
    "key",
    "token",
    "jaas",
    "credential",
    "pem",
    "oauthbearer.config",
)
_HARMLESS = frozenset({"sasl.oauthbearer.token.endpoint.url", "ssl.key.location", "ssl.keystore.location"})


def is_secret(name: str) -> bool:
    """Whether a property's value must not be shown; too many rather than too few."""
    lowered = name.lower()
    return lowered not in _HARMLESS and any(word in lowered for word in _WORDS)


def mask(name: str, value: object) -> object:
    """The value to show for a property."""
    return MASK if is_secret(name) else value
