"""`headrace topics create` on a real broker, as a script runs it."""

import json
import uuid
from collections.abc import Iterator

import pytest

from tests.kit.broker import Broker
from worker.commands.cli import run
from worker.exit_codes import ExitCode
from worker.kafka import client_config, clients
from worker.kafka.admin import Admin
from worker.kafka.topic_facts import TopicSpec

pytestmark = pytest.mark.kafka


@pytest.fixture
def admin(kafka_broker: Broker) -> Admin:
    """Looks at what the command did."""
    return clients.admin(client_config.connection(kafka_broker.bootstrap_servers))


@pytest.fixture
def flags(kafka_broker: Broker, admin: Admin) -> Iterator[list[str]]:
    """Flags for topics that no other test has; they are deleted afterwards."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    yield [
        *("--bootstrap-server", kafka_broker.bootstrap_servers, "--output", "json"),
        *("--control-topic", f"{prefix}.control", "--status-topic", f"{prefix}.status"),
        *("--request-topic", f"{prefix}.requests", "--reply-topic", f"{prefix}.replies"),
    ]
    admin.delete_topics([name for name in admin.topics() if name.startswith(prefix)])


def created(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """Name and state of each topic by its purpose, from the JSON that was printed."""
    document = json.loads(capsys.readouterr().out)
    return {each["purpose"]: (each["topic"], each["state"]) for each in document}


def test_creates_topics_as_they_must_be_and_finds_them_right(
    flags: list[str], admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker takes each setting; running it again changes and reports nothing."""
    assert run(["topics", "create", "--partitions", "3", *flags]) == ExitCode.DONE
    names = created(capsys)
    assert {purpose: state for purpose, (_, state) in names.items()} == dict.fromkeys(
        ("control", "status", "request", "reply", "dead letter"), "created"
    )

    partitions = {purpose: admin.topics()[name].partitions for purpose, (name, _) in names.items()}
    assert partitions == {"control": 1, "status": 1, "request": 3, "reply": 3, "dead letter": 3}
    control, status, dead = (names[purpose][0] for purpose in ("control", "status", "dead letter"))
    configs = admin.topic_config([control, status, dead])
    assert configs[control]["cleanup.policy"] == "compact"
    assert set(configs[status]["cleanup.policy"].split(",")) == {"compact", "delete"}
    assert int(configs[dead]["max.message.bytes"]) == 1_048_588 + 65_536

    assert run(["topics", "create", "--partitions", "3", *flags]) == ExitCode.DONE
    assert {state for _, state in created(capsys).values()} == {"exists"}


def test_reports_a_control_topic_that_a_broker_made_by_itself(
    flags: list[str], admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, the reasons, and the topic as it was."""
    control = flags[flags.index("--control-topic") + 1]
    admin.create_topics([TopicSpec(control, 4, 1)])

    assert run(["topics", "create", *flags]) == ExitCode.FAILED
    out, err = capsys.readouterr()
    (wrong,) = [each for each in json.loads(out) if each["state"] == "wrong"]
    assert wrong["topic"] == control
    assert wrong["reasons"] == [
        "it has 4 partitions instead of 1",
        "cleanup.policy is 'delete' instead of 'compact'",
    ]
    assert control in err
    assert admin.topics()[control].partitions == 4


def test_says_that_no_broker_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 3 and one sentence."""
    status = run(["topics", "create", "--bootstrap-server", "127.0.0.1:1"])
    out, err = capsys.readouterr()

    assert (status, out) == (ExitCode.UNREACHABLE, "")
    assert "no Kafka broker answers at 127.0.0.1:1" in " ".join(err.split())
