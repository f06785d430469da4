"""Acceptance 6 of the delivery: secrets in every setting, from everywhere, and not one of them in any output.

Output is what commands and workers write, with all that the client library has to say at its most talkative; a
worker's pages; and every byte on its topics.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from schemas import headers
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import command_line, numpy_models
from tests.kit.certificates import KEY_PASSWORD
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.secured_broker import PASSWORD, Door, SecuredBroker
from tests.kit.token_server import TokenServer
from tests.kit.verifier import read_topic
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from tests.kit.worker import environment, run_command
from worker.access_rights import Role, needs_of
from worker.exit_codes import ExitCode
from worker.settings import ENVIRONMENT_PREFIX

TALKATIVE: dict[str, object] = {"log.level": "debug", "kafka.properties.debug": "all", "http.port": 0}
NOBODY = "127.0.0.1:9"  # the port `discard`, where nothing listens
SECRET = "Tr0ub4dor"
"""Each secret begins with it and goes on with where it stands, so that a leak tells where it comes from."""
PEM = f"-----BEGIN PRIVATE KEY-----\nMIGHAgEA{SECRET}Pem\nAAAA\n-----END PRIVATE KEY-----\n"


@dataclass
class Case:
    """Settings with secrets in them that cannot be used, and where they stand.

    Attributes:
        settings: by dotted name, for the environment.
        toml: the text of a settings file.
        properties: the text of a file of client properties.
        flags: words on the command line.
        code: the exit status of whatever needs them.
    """

    settings: Mapping[str, object] = field(default_factory=dict)
    toml: str = ""
    properties: str = ""
    flags: tuple[str, ...] = ()
    code: ExitCode = ExitCode.MISCONFIGURED


def props(**values: object) -> dict[str, object]:
    """Client properties as settings; an underscore for a dot."""
    return {f"kafka.properties.{name.replace('_', '.')}": value for name, value in values.items()}


WRONG: dict[str, Case] = {
    "a key that is none": Case(
        props(security_protocol="SSL", ssl_key_pem=PEM, ssl_key_password=f"{SECRET}KeyPassword")
    ),
    "an authority that is none": Case(
        props(security_protocol="SSL", ssl_ca_pem=PEM, sasl_password=f"{SECRET}Password")
    ),
    "a store that is not there": Case(
        props(
            security_protocol="SSL", ssl_keystore_location="/none.p12", ssl_keystore_password=f"{SECRET}Store"
        )
    ),
    "a property that does not exist": Case(
        props(sasl_passwort=f"{SECRET}Typo", sasl_password=f"{SECRET}Right")
    ),
    "a value that the client refuses": Case(
        props(security_protocol="NONSENSE", sasl_oauthbearer_client_secret=f"{SECRET}Client")
    ),
    "a list for the table": Case({"kafka.properties": [f"sasl.password={SECRET}List"]}),
    "a list for a value": Case({"kafka.properties": {"sasl.password": [f"{SECRET}InList"]}}),
    "a list for all of kafka": Case({"kafka": [f"{SECRET}Whole"]}),
    "JSON cut short": Case({"kafka.properties": f'{{"sasl.password": "{SECRET}Cut"'}),
    "names that are not quoted": Case(toml=f'[kafka.properties]\nsasl.password = "{SECRET}Nested"\n'),
    "names of a producer's own that are not quoted": Case(
        toml=f'[kafka.producer_properties]\nssl.key.pem = "{SECRET}Own"\n'
    ),
    "a file that is no TOML": Case(toml=f'[kafka.properties]\n"sasl.password" = {SECRET}Bare\n'),
    "a setting that does not exist": Case(toml=f'[kafka]\npassword = "{SECRET}Misplaced"\n'),
    "a key that is not continued": Case(properties=f"security.protocol=SSL\nssl.keystore.key={PEM}"),
    "a login module that is unknown": Case(
        properties=f'sasl.jaas.config=com.acme.Login required password="{SECRET}Jaas";\n'
    ),
    "a store that is Java's": Case(
        properties=f"ssl.keystore.location=/x.jks\nssl.keystore.password={SECRET}Jks\nssl.key.password={SECRET}K\n"
    ),
    "a flag without a value": Case(
        flags=("--set", f"kafka.properties.sasl.password:{SECRET}Flag"), code=ExitCode.USAGE
    ),
    "a flag for the wrong thing": Case(flags=("--set", f'kafka.properties=["{SECRET}FlagList"]')),
}


def assert_silent(texts: Mapping[str, str | bytes], secrets: Iterable[str]) -> None:
    """None of the secrets is in any of the texts."""
    for where, text in texts.items():
        whole = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for secret in secrets:
            at = whole.find(secret)
            assert at < 0, f"{secret!r} is in {where}: …{whole[max(0, at - 200) : at + len(secret) + 50]}…"


@pytest.mark.parametrize("what", WRONG)
def test_settings_that_cannot_be_used_are_refused_without_their_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    """Whoever needs them says what is wrong and where; no value of a secret is quoted, whole or in part."""
    case = WRONG[what]
    flags = list(case.flags)
    settings = {"kafka.bootstrap_servers": NOBODY, **case.settings}
    if "kafka" in settings:
        del settings["kafka.bootstrap_servers"]
    if case.toml:
        (tmp_path / "headrace.toml").write_text(case.toml)
        flags += ["--config", str(tmp_path / "headrace.toml")]
    if case.properties:
        (tmp_path / "client.properties").write_text(case.properties)
        settings["kafka.command_config"] = str(tmp_path / "client.properties")
    for name, value in environment(settings).items():
        if name.startswith(ENVIRONMENT_PREFIX):
            monkeypatch.setenv(name, value)

    texts = {}
    for arguments in (["config"], ["config", "--output", "toml"], ["models", "list"], ["topics", "create"]):
        ran = command_line.run({}, *arguments, *flags)
        texts[" ".join(arguments)] = ran.said
        if arguments[0] != "config":
            assert ran.code == case.code, ran.said
            assert "Error:" in ran.err
    texts["the client library's own words"] = "".join(capfd.readouterr())

    assert_silent(texts, [SECRET])


def test_what_is_shown_of_settings_has_no_secrets() -> None:
    """In none of the forms; an address keeps its host, and loses user, password and parameters."""
    url = f"https://me:{SECRET}@idp.example/token?client_secret={SECRET}"
    names = (
        "ssl.key.pem",
        "sasl.password",
        "sasl.oauthbearer.config",
        "ssl.keystore.password",
        "ssl.key.password",
    )
    settings = {
        f"kafka.{kind}.{name}": SECRET for kind in ("properties", "producer_properties") for name in names
    }
    settings["kafka.properties.sasl.oauthbearer.token.endpoint.url"] = url

    shown = [command_line.run(settings, "config", "--output", form) for form in ("table", "json", "toml")]

    assert {ran.code for ran in shown} == {0}
    assert_silent({f"config {n}": ran.said for n, ran in enumerate(shown)}, [SECRET])
    assert "https://********@idp.example/token?client_secret=********" in shown[1].out
    assert "idp.example" not in shown[2].out  # what is not whole would be wrong in a file


COMMANDS = (("worker",), ("topics", "create"), ("request", "m", "--json", '{"instances": [1]}'))


def run_beside_each_other(
    runs: Iterable[tuple[tuple[str, ...], Mapping[str, object]]],
) -> list[tuple[str, int, str]]:
    """Run commands as processes; name, exit status and everything that each wrote."""

    def one(run: tuple[tuple[str, ...], Mapping[str, object]]) -> tuple[str, int, str]:
        arguments, settings = run
        done = run_command(arguments, {**settings, **TALKATIVE}, timeout_seconds=2 * PATIENCE_SECONDS)
        return " ".join(arguments), done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, runs))


@pytest.mark.kafka
def test_who_is_not_let_in_is_told_without_secrets(
    secured_broker: SecuredBroker, secured: DeploymentFactory
) -> None:
    """A wrong password, a token server that says no, one that is not there, a token that is none: exit status 3."""
    deployed = secured()
    somebody = {**deployed.flags, **secured_broker.settings("somebody")}
    token = {**deployed.flags, **secured_broker.settings("somebody", Door.TOKEN)}
    endpoint = "kafka.properties.sasl.oauthbearer.token.endpoint.url"
    secret = "kafka.properties.sasl.oauthbearer.client.secret"
    with TokenServer("what clients must know") as tokens:
        place = tokens.url.removeprefix("http://")
        wrong = [
            *(
                (command, {**somebody, "kafka.properties.sasl.password": f"{SECRET}Scram"})
                for command in COMMANDS
            ),
            (("worker",), {**token, endpoint: tokens.url, secret: f"{SECRET}Client"}),
            (("status",), {**token, endpoint: f"http://me:{SECRET}Url@{place}?key={SECRET}Key", secret: "x"}),
            (
                ("status",),
                {**token, endpoint: f"http://me:{SECRET}Url@127.0.0.1:9/?a={SECRET}A", secret: "x"},
            ),
        ]
        ran = run_beside_each_other(wrong)

    assert_silent({f"{name} ({n})": said for n, (name, _, said) in enumerate(ran)}, [SECRET])
    assert {code for _, code, _ in ran} == {int(ExitCode.UNREACHABLE)}, ran
    assert not [said for _, _, said in ran if "Traceback" in said]


def everything_on(deployed: Deployment, *topics: str) -> bytes:
    """Every byte of these topics: keys, values, headers."""
    found = []
    for topic in topics:
        partitions = 1 if topic in {deployed.control, deployed.status} else deployed.partitions
        for message in read_topic(deployed.where, topic, partitions):
            found += [message.key() or b"", message.value() or b""]
            found += [
                part for name, value in message.headers() or () for part in (name.encode(), value or b"")
            ]
    return b"\n".join(found)


@pytest.mark.kafka
def test_a_worker_that_serves_keeps_its_secrets(
    secured_broker: SecuredBroker, secured: DeploymentFactory, tmp_path: Path
) -> None:
    """Neither log nor pages nor topics have any, after answers, errors, dead letters, a failed load, a lost right."""
    deployed = secured()
    user = "keeper"
    rights = {need.right for need in needs_of(Role.WORKER, deployed.settings)}
    secured_broker.give(user, rights)
    numpy_models.write_dense(tmp_path / "dense")
    deployed.set_model("dense", tmp_path / "dense", [1])
    deployed.set_model("broken", tmp_path / "nothing", [1])
    mine = {**secured_broker.settings(user, Door.CERTIFICATE), **secured_broker.settings(user), **TALKATIVE}
    worker = deployed.start_worker(mine)
    worker.wait_until_assigned(deployed.partitions)

    x = (Tensor.from_numpy("x", numpy_models.pixels(1)),)
    requests = [PredictRequest(name, inputs=x, id=name) for name in ("dense", "broken", "nobody")]
    deployed.send([b"garbage", *requests])
    deployed.send([requests[0]], headers=[[(headers.PLAIN_REPLY_TOPIC, b"elsewhere")]])
    deployed.wait_until_answered()
    status = {right for right in rights if right.name == deployed.status}
    secured_broker.take(user, status)
    wait_until(lambda: worker.log("a status could not be sent"), worker.log_tail)
    pages = {path: worker.get(path)[1] for path in ("/metrics", "/livez", "/readyz", "/none")}
    assert worker.stop() == 0

    topics = (deployed.control, deployed.status, deployed.replies, deployed.dead_letters)
    texts: dict[str, str | bytes] = {
        "the log": worker.log_file.read_bytes(),
        "the topics": everything_on(deployed, *topics),
        **pages,
    }
    assert_silent(texts, [PASSWORD, KEY_PASSWORD])
    found = deployed.account()
    assert len(found.dead_letters) == 2
    replies = {name: found.the_reply(name).message for name in ("dense", "broken", "nobody")}
    assert str(tmp_path) not in str(replies)
    assert "Traceback" not in str(replies)
