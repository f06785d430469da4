"""`--command-config`: Java's property files in librdkafka's words."""

from pathlib import Path

import pytest

from worker.kafka import java_properties
from worker.kafka.errors import InvalidProperty


def test_a_file_is_read_as_java_reads_it() -> None:
    """Comments, three separators, continued lines, escapes, empty values."""
    text = r"""# a comment
! another

one=1
two : 2
three 3
  four	=	four words here
five=a\
   b\\
six\=6=\u00e4\tx
seven
eight==8
nine=ends with a backslash\
"""

    assert java_properties.parse(text) == {
        "one": "1",
        "two": "2",
        "three": "3",
        "four": "four words here",
        "five": "ab\\",
        "six=6": "ä\tx",
        "seven": "",
        "eight": "=8",
        "nine": "ends with a backslash",
    }


@pytest.mark.parametrize(
    ("java", "ours"),
    [
        ({"security.protocol": "SASL_SSL"}, {"security.protocol": "SASL_SSL"}),
        ({"sasl.mechanism": "SCRAM-SHA-256"}, {"sasl.mechanisms": "SCRAM-SHA-256"}),
        (
            {
                "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
                'username="alice" password="a\\"b; c=d";'
            },
            {"sasl.username": "alice", "sasl.password": 'a"b; c=d'},
        ),
        (
            {
                "sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required\n"
                "username='bob' password=secret;"
            },
            {"sasl.username": "bob", "sasl.password": "secret"},
        ),
        (
            {
                "sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule "
                'required clientId="me" clientSecret="s" scope="kafka";',
                "sasl.oauthbearer.token.endpoint.url": "https://login/token",
                "sasl.login.callback.handler.class": "org.apache.kafka.common.security.oauthbearer."
                "OAuthBearerLoginCallbackHandler",
            },
            {
                "sasl.oauthbearer.client.id": "me",
                "sasl.oauthbearer.client.secret": "s",
                "sasl.oauthbearer.scope": "kafka",
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.token.endpoint.url": "https://login/token",
            },
        ),
        (
            {
                "sasl.jaas.config": "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true "
                'keyTab="/etc/k.keytab" principal="me@REALM";'
            },
            {"sasl.kerberos.keytab": "/etc/k.keytab", "sasl.kerberos.principal": "me@REALM"},
        ),
        ({"ssl.truststore.type": "PEM", "ssl.truststore.location": "/ca"}, {"ssl.ca.location": "/ca"}),
        (
            {"ssl.truststore.location": "/ca.pem", "ssl.truststore.password": "x"},
            {"ssl.ca.location": "/ca.pem"},
        ),
        (
            {"ssl.keystore.location": "/me.pem", "ssl.key.password": "x"},
            {
                "ssl.key.location": "/me.pem",
                "ssl.certificate.location": "/me.pem",
                "ssl.key.password": "x",
            },
        ),
        (
            {"ssl.keystore.location": "/me.p12", "ssl.keystore.password": "x"},
            {"ssl.keystore.location": "/me.p12", "ssl.keystore.password": "x"},
        ),
        (
            {"ssl.keystore.type": "PKCS12", "ssl.keystore.location": "/me"},
            {"ssl.keystore.location": "/me"},
        ),
        (
            {
                "ssl.truststore.certificates": "CA",
                "ssl.keystore.key": "KEY",
                "ssl.keystore.certificate.chain": "CERT",
            },
            {"ssl.ca.pem": "CA", "ssl.key.pem": "KEY", "ssl.certificate.pem": "CERT"},
        ),
        ({"ssl.endpoint.identification.algorithm": ""}, {"ssl.endpoint.identification.algorithm": "none"}),
        (
            {"ssl.endpoint.identification.algorithm": "HTTPS"},
            {"ssl.endpoint.identification.algorithm": "https"},
        ),
        ({"request.timeout.ms": "5000"}, {"socket.timeout.ms": "5000"}),
        ({"client.id": "me", "linger.ms": "5"}, {"client.id": "me", "linger.ms": "5"}),
    ],
)
def test_javas_names_become_librdkafkas(java: dict[str, str], ours: dict[str, str]) -> None:
    """What people write to reach a cluster is understood."""
    assert java_properties.from_java(java) == ours


@pytest.mark.parametrize(
    ("java", "said"),
    [
        ({"ssl.truststore.location": "/ca.jks"}, "PEM"),
        ({"ssl.truststore.location": "/ca", "ssl.truststore.type": "PKCS12"}, "PEM"),
        ({"ssl.keystore.location": "/me.jks"}, "JKS"),
        ({"sasl.jaas.config": "com.example.MyLoginModule required;"}, "MyLoginModule"),
        ({"key.deserializer": "x"}, "key.deserializer"),
        ({"interceptor.classes": "x"}, "Java clients only"),
        ({"metrics.num.samples": "2"}, "metrics.num.samples"),
        ({"sasl.client.callback.handler.class": "com.example.Mine"}, "Java clients only"),
    ],
)
def test_what_means_nothing_here_is_said(java: dict[str, str], said: str) -> None:
    """A property that this client cannot follow is named, with what to do."""
    with pytest.raises(InvalidProperty, match=said):
        java_properties.from_java(java)


def test_a_refusal_shows_no_secret() -> None:
    """The options of a login module are never repeated."""
    with pytest.raises(InvalidProperty) as caught:
        java_properties.from_java({"sasl.jaas.config": 'com.example.Odd required password="hunter2";'})

    assert "hunter2" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing and unreadable files are said, with their path."""
    with pytest.raises(InvalidProperty, match=r"missing\.properties"):
        java_properties.read_command_config(tmp_path / "missing.properties")
    binary = tmp_path / "binary.properties"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidProperty, match="not UTF-8"):
        java_properties.read_command_config(binary)
