"""How settings are shown: origins beside values, secrets never, and as a file that gives them again."""

import tomllib
from pathlib import Path

import pytest

from worker.settings_display import as_toml, plain, shown
from worker.settings_loading import load_settings
from worker.settings_secrets import is_secret

ENVIRON = {
    "HEADRACE_KAFKA__PROPERTIES": '{"security.protocol": "SSL", "sasl.password": "hidden", "linger.ms": 5}',
    "HEADRACE_BATCHING__ALLOWED_BATCH_ROWS": "[8, 1024]",
    "HEADRACE_BINDINGS": '[{"share": 0.5}, {"name": "b", "request_topics": ["b"], "share": 0.5}]',
}


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.jaas.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "SASL.PASSWORD",
        "sasl.passwort",
        "ssl.kye.pme",
    ],
)
def test_secrets_are_known_by_their_name(name: str) -> None:
    """Whatever sounds like a secret is one."""
    assert is_secret(name)


@pytest.mark.parametrize("name", ["security.protocol", "sasl.username", "ssl.ca.location", "linger.ms"])
def test_other_properties_are_shown(name: str) -> None:
    """What helps to find a mistake stays readable."""
    assert not is_secret(name)


def test_secrets_are_never_shown() -> None:
    """Neither in the table, nor as a tree, nor as a file."""
    loaded = load_settings(None, ENVIRON)

    assert "hidden" not in str(shown(loaded)) + str(plain(loaded)) + as_toml(loaded)


def test_each_value_is_shown_with_its_origin() -> None:
    """Each property of the client stands by itself, since each may come from somewhere else."""
    rows = {row.name: row for row in shown(load_settings({"http.port": 0}, ENVIRON))}

    assert rows["http.port"].value == 0
    assert rows["http.port"].origin.kind == "flag"
    assert rows["kafka.properties.sasl.password"].value == "********"
    assert rows["kafka.properties.linger.ms"].origin.place == "HEADRACE_KAFKA__PROPERTIES"
    assert rows["kafka.consumer_properties"].value == {}
    assert rows["kafka.group"].origin.kind == "default"


def test_the_file_gives_the_same_settings_again(tmp_path: Path) -> None:
    """Without its secrets, which nobody wants in a file by accident."""
    loaded = load_settings({"worker_id": "w"}, ENVIRON)
    path = tmp_path / "headrace.toml"
    path.write_text(as_toml(loaded))
    again = load_settings({}, {}, path)

    expected = plain(loaded)
    del expected["kafka"]["properties"]["sasl.password"]
    assert plain(again) == expected


def test_a_name_made_for_one_worker_is_not_written_to_a_file() -> None:
    """A file that several workers share must not give them one name."""
    assert "worker_id" not in tomllib.loads(as_toml(load_settings({}, {})))


def test_an_address_is_shown_without_its_credentials() -> None:
    """A token server's URL may have a password before its host, and a key among its parameters."""
    url = "https://me:p@ss@idp:8443/token?key=hidden&tenant=x"
    loaded = load_settings({"kafka.properties.sasl.oauthbearer.token.endpoint.url": url}, {})

    rows = {row.name: row.value for row in shown(loaded)}
    shown_url = rows["kafka.properties.sasl.oauthbearer.token.endpoint.url"]
    assert shown_url == "https://********@idp:8443/token?key=********&tenant=********"
    assert '# "sasl.oauthbearer.token.endpoint.url" is secret' in as_toml(loaded)
