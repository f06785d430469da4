"""Acceptance 6 of the delivery: the documented rights are enough for everything, and who lacks one is told which.

The rights are those of `worker.access_rights`, which the page about security shows too. The order in which they turn
out to be missing is the test: a user begins with none, is given what the message names, and in the end must have
what is documented, neither more nor less.
"""

import re
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from schemas import headers
from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import command_line, numpy_models
from tests.kit.command_line import Ran
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.secured_broker import PASSWORD, Door, SecuredBroker
from tests.kit.token_server import TokenServer
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker
from worker.access_rights import Role, needs_of
from worker.exit_codes import ExitCode
from worker.kafka.rights import Resource, Right
from worker.settings import Settings
from worker.settings_loading import load_settings

pytestmark = pytest.mark.kafka

MODEL = "dense"
ROWS = numpy_models.pixels(1)
JSON = f'{{"instances": {ROWS.tolist()}}}'
MODES = ("at_least_once", "exactly_once", "queue")
SOON = {"kafka.properties.topic.metadata.refresh.interval.ms": 1000}
"""A right that is given back is noticed within a second instead of ten."""
_SAID = re.compile(
    r"(\w+) on (each )?(topic|consumer group|transactional id) (?:that begins with )?'([^']+)'"
)
_KINDS = {
    "topic": Resource.TOPIC,
    "consumer group": Resource.GROUP,
    "transactional id": Resource.TRANSACTIONAL_ID,
}


def rights_of(role: Role, settings: Settings) -> set[Right]:
    """The documented rights of a role."""
    return {need.right for need in needs_of(role, settings)}


def somebody(role: str) -> str:
    """A user that no other test has."""
    return f"{role}-{uuid.uuid4().hex[:8]}"


def rights_said(text: str) -> set[Right]:
    """The rights that a text names."""
    return {Right(m[1], _KINDS[m[3]], m[4], prefixed=bool(m[2])) for m in _SAID.finditer(text)}


def documented_for(said: Right, documented: Iterable[Right]) -> Right:
    """The documented right that brings what was said to be missing."""
    for right in documented:
        named = said.name.startswith(right.name) if right.prefixed else said.name == right.name
        if named and (said.operation, said.resource) == (right.operation, right.resource):
            return right
    raise AssertionError(f"{said} is said to be missing, and is none of {sorted(map(str, documented))}")


def ask(request_id: str) -> PredictRequest:
    """A request with one row."""
    return PredictRequest(MODEL, inputs=(Tensor.from_numpy("x", ROWS),), id=request_id)


def model_of(folder: Path) -> Path:
    """The model's base path."""
    if not (folder / MODEL).exists():
        numpy_models.write_dense(folder / MODEL)
    return folder / MODEL


def command_as(
    broker: SecuredBroker, deployed: Deployment, user: str, door: Door = Door.SCRAM
) -> Callable[..., Ran]:
    """Runs commands as a user."""
    settings = {**deployed.flags, **broker.settings(user, door)}
    return lambda *arguments: command_line.run(settings, *arguments)


@pytest.mark.parametrize(
    ("door", "mode"),
    [(Door.SCRAM, "at_least_once"), (Door.CERTIFICATE, "exactly_once")],
    ids=["scram, at least once", "certificate, exactly once"],
)
def test_the_whole_tour_works_with_the_documented_rights(
    secured_broker: SecuredBroker, secured: DeploymentFactory, tmp_path: Path, door: Door, mode: str
) -> None:
    """Topics looked at, model set, request answered, status shown, a dead letter seen and sent again, model removed."""
    deployed = secured({"delivery.mode": mode, "delivery.transaction_seconds": 0.01})
    users = {role: somebody(role) for role in Role}
    for role, user in users.items():
        secured_broker.give(user, rights_of(role, deployed.settings))
    creator, operator, client = (
        command_as(secured_broker, deployed, users[role], door)
        for role in (Role.CREATOR, Role.OPERATOR, Role.CLIENT)
    )

    made = creator("topics", "create", "--output", "json")
    assert made.code == 0, made.said
    assert {each["state"] for each in made.document} == {"exists"}
    base = str(model_of(tmp_path))
    done = operator("models", "set", MODEL, "--base-path", base, "--loader", "numpy", "--versions", "1")
    assert done.code == 0, done.said
    worker = deployed.start_worker(secured_broker.settings(users[Role.WORKER], door))
    done = operator("models", "wait", MODEL)
    assert done.code == 0, done.said + worker.log_tail()
    worker.wait_until_assigned(deployed.partitions)

    answer = client("request", MODEL, "--json", JSON, "--output", "json")
    assert answer.code == 0, answer.said
    assert answer.document["version"] == 1
    shown = operator("status", "--output", "json")
    assert [each["state"] for each in shown.document["servables"]] == ["AVAILABLE"]
    deployed.send([b"garbage", ask("there")])
    deployed.wait_until_answered()
    assert [letter.value for letter in deployed.account().dead_letters] == [b"garbage"]
    assert len(operator("dead-letters", "list", "--output", "json").document["dead_letters"]) == 1
    replayed = operator("dead-letters", "replay", "--yes")
    assert replayed.code == 0, replayed.said
    deployed.wait_until_answered()
    assert operator("models", "list").code == 0
    assert operator("models", "remove", MODEL, "--wait").code == 0

    assert worker.stop() == 0
    assert rights_said(worker.log_file.read_text()) == set()


def test_a_token_opens_the_door_too(secured_broker: SecuredBroker, secured: DeploymentFactory) -> None:
    """OAUTHBEARER from a token server, where the client's secret is known; where it is not, nobody comes in."""
    deployed = secured()
    user = somebody("operator")
    secured_broker.give(user, rights_of(Role.OPERATOR, deployed.settings))
    with TokenServer("the client's secret") as tokens:
        settings = {
            **deployed.flags,
            **secured_broker.settings(user, Door.TOKEN),
            "kafka.properties.sasl.oauthbearer.token.endpoint.url": tokens.url,
        }
        right = {"kafka.properties.sasl.oauthbearer.client.secret": tokens.secret}
        listed = command_line.run({**settings, **right}, "models", "list", "--output", "json")
        assert listed.code == 0, listed.said

        stranger = somebody("stranger")
        settings["kafka.properties.sasl.oauthbearer.client.id"] = stranger
        refused = command_line.run({**settings, **right}, "models", "list", "--output", "json")
        assert refused.code == ExitCode.UNREACHABLE, refused.said
        assert rights_said(refused.said) >= {Right("READ", Resource.TOPIC, deployed.control)}


def test_a_file_that_kafkas_own_tools_take_opens_the_door(
    secured_broker: SecuredBroker, secured: DeploymentFactory, tmp_path: Path
) -> None:
    """User, password and authority as Java clients write them."""
    deployed = secured()
    user = somebody("operator")
    secured_broker.give(user, rights_of(Role.OPERATOR, deployed.settings))
    file = tmp_path / "client.properties"
    file.write_text(
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n"
        f'  username="{user}" password="{PASSWORD}";\n'
        f"ssl.truststore.type=PEM\nssl.truststore.location={secured_broker.certificates.authority}\n"
    )
    address = secured_broker.settings(user)["kafka.bootstrap_servers"]
    settings = {**deployed.flags, "kafka.bootstrap_servers": address, "kafka.command_config": str(file)}

    listed = command_line.run(settings, "models", "list", "--output", "json")

    assert listed.code == 0, listed.said


COMMANDS: dict[str, tuple[Role, list[str]]] = {
    "topics create": (Role.CREATOR, ["topics", "create", "--output", "json"]),
    "models list": (Role.OPERATOR, ["models", "list"]),
    "models set": (Role.OPERATOR, ["models", "set", MODEL, "--base-path", "models/dense"]),
    "status": (Role.OPERATOR, ["status"]),
    "dead-letters list": (Role.OPERATOR, ["dead-letters", "list"]),
    "request": (Role.CLIENT, ["request", MODEL, "--json", JSON]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_which_right_is_missing(
    secured_broker: SecuredBroker, secured: DeploymentFactory, tmp_path: Path, name: str
) -> None:
    """It ends with a sentence and an exit status; given what it named it gets on, and needs what is documented."""
    role, arguments = COMMANDS[name]
    deployed = secured()
    settings = {**deployed.flags, **secured_broker.settings(user := somebody(role))}
    worker = None
    if name == "topics create":  # of topics that nobody has made
        renamed = {"topics.control": f"{user}.c", "topics.status": f"{user}.s"}
        settings |= {**renamed, "bindings": [{"request_topics": [f"{user}.q"], "reply_topic": f"{user}.r"}]}
    if name == "request":  # of a worker that serves
        deployed.set_model(MODEL, model_of(tmp_path), [1])
        worker = deployed.start_worker()
        worker.wait_until_assigned(deployed.partitions)
    documented = rights_of(role, load_settings(settings, environ={}).settings)
    given: set[Right] = set()

    while (ran := command_line.run(settings, *arguments)).code != 0:
        said = rights_said(ran.said) - given
        assert ran.code in {ExitCode.FAILED, ExitCode.UNREACHABLE}, ran.said
        assert said, f"it ended with {ran.code} and named no right that it has not:\n{ran.said}"
        assert f"User:{user} lacks" in ran.said
        assert "Traceback" not in ran.said
        new = {documented_for(right, documented) for right in said}
        secured_broker.give(user, new)
        given |= new

    assert given == {right for right in documented if takes(name, right, deployed)}
    if worker is not None:
        assert worker.stop() == 0


def takes(command: str, right: Right, deployed: Deployment) -> bool:
    """Whether a command takes a right of its role."""
    match command:
        case "models list":
            return right.name == deployed.control and right.operation != "WRITE"
        case "models set":
            return right.name == deployed.control
        case "status":
            return right.name == deployed.status
        case "dead-letters list":
            return right.name == deployed.dead_letters
    return True


@pytest.mark.parametrize("mode", MODES)
def test_a_worker_says_which_rights_are_missing_and_goes_on_when_it_has_them(
    secured_broker: SecuredBroker, secured: DeploymentFactory, tmp_path: Path, mode: str
) -> None:
    """The same process, from no right at all to a request that is answered; it asks for what is documented."""
    deployed = secured({"delivery.mode": mode, **SOON})
    user = somebody("worker")
    documented = rights_of(Role.WORKER, deployed.settings)
    deployed.set_model(MODEL, model_of(tmp_path), [1])
    deployed.send([b"garbage", ask("early")])
    worker = deployed.start_worker(secured_broker.settings(user))
    given: set[Right] = set()

    def answered() -> bool:
        said = {documented_for(right, documented) for right in rights_said(worker.log_file.read_text())}
        if new := said - given:
            secured_broker.give(user, new)
            given.update(new)
        assert worker.exit_status is None, worker.log_tail()
        return deployed.unanswered() == 0 and given == documented

    wait_until(
        answered,
        lambda: f"answered; it still lacks {sorted(map(str, documented - given))}:\n{worker.log_tail()}",
        every_seconds=0.2,
    )

    found = deployed.account()
    assert found.the_reply("early").code == Code.OK
    assert len(found.dead_letters) == 1
    wait_until(
        lambda: [str(e.state) for e in deployed.status_events(MODEL)][-1:] == ["AVAILABLE"], "its status"
    )
    assert worker.stop() == 0
    assert "Traceback" not in worker.log_file.read_text()


def serving(broker: SecuredBroker, deployed: Deployment, folder: Path) -> tuple[RunningWorker, str]:
    """A worker that serves with the documented rights, and its user."""
    user = somebody("worker")
    broker.give(user, rights_of(Role.WORKER, deployed.settings))
    deployed.set_model(MODEL, model_of(folder), [1])
    worker = deployed.start_worker(broker.settings(user))
    worker.wait_until_assigned(deployed.partitions)
    deployed.send([ask("before")])
    deployed.wait_until_answered()
    return worker, user


@pytest.mark.parametrize(
    ("what", "mode"),
    [("requests", "at_least_once"), ("replies", "at_least_once"), ("replies", "exactly_once")],
)
def test_a_right_that_is_taken_away_is_told_and_given_back_all_goes_on(
    secured_broker: SecuredBroker, secured: DeploymentFactory, tmp_path: Path, what: str, mode: str
) -> None:
    """Nothing is lost meanwhile: the same worker answers what waited."""
    deployed = secured({"delivery.mode": mode, **SOON})
    worker, user = serving(secured_broker, deployed, tmp_path)
    operation, topic = {
        "requests": ("READ", deployed.requests),
        "replies": ("WRITE", deployed.replies),
    }[what]
    taken = {right for right in rights_of(Role.WORKER, deployed.settings) if right.name == topic}
    lost = Right(operation, Resource.TOPIC, topic)
    assert lost in taken

    def wait_until_told() -> None:
        wait_until(
            lambda: lost in rights_said(worker.log_file.read_text()),
            lambda: f"the loss of {lost} told:\n{worker.log_tail()}",
        )

    secured_broker.take(user, taken)
    if what == "requests":
        wait_until_told()  # a fetch that the broker has let in before still brings what comes meanwhile
    deployed.send([ask("meanwhile")])
    wait_until_told()
    assert deployed.unanswered() > 0

    secured_broker.give(user, taken)
    deployed.wait_until_answered()
    deployed.send([ask("after")])
    deployed.wait_until_answered()
    found = deployed.account()
    assert {name: found.the_reply(name).code for name in ("before", "meanwhile", "after")} == {
        "before": Code.OK,
        "meanwhile": Code.OK,
        "after": Code.OK,
    }
    assert worker.exit_status is None
    assert worker.stop() == 0


def test_a_request_may_not_name_a_topic_that_is_not_for_replies(
    secured_broker: SecuredBroker, secured: DeploymentFactory, tmp_path: Path
) -> None:
    """Whatever the patterns allow, and though the worker may write there: no way into control, status or itself."""
    deployed = secured(binding={"allowed_reply_topics": [".*"]})
    worker, _ = serving(secured_broker, deployed, tmp_path)
    forbidden = (deployed.control, deployed.status, deployed.requests, deployed.dead_letters)
    before = [deployed.records_written(topic) for topic in (deployed.control, deployed.requests)]

    deployed.send(
        [ask(topic) for topic in forbidden],
        headers=[[(headers.PLAIN_REPLY_TOPIC, t.encode())] for t in forbidden],
    )
    deployed.wait_until_answered()

    found = deployed.account()
    assert found.replies.keys() == {"before"}
    assert {letter.kind for letter in found.dead_letters} == {"NoRouteError"}
    assert len(found.dead_letters) == len(forbidden)
    assert [deployed.records_written(topic) for topic in (deployed.control, deployed.requests)] == [
        before[0],
        before[1] + len(forbidden),
    ]
    assert worker.stop() == 0
