"""Who needs which rights, as the settings have it; that these are enough, and no more, the acceptance tests show."""

from tests.kit import command_line
from worker.access_rights import Role, needs_of
from worker.exit_codes import ExitCode
from worker.settings import Settings
from worker.settings_loading import load_settings

SETTINGS = {
    "kafka.group": "g",
    "kafka.bootstrap_servers": "broker:9093",
    "topics.control": "c",
    "topics.status": "s",
    "bindings": [
        {"name": "a", "request_topics": ["qa", "qb"], "reply_topic": "r", "share": 0.5},
        {
            "name": "b",
            "request_topics": ["qc"],
            "reply_topic": "r",
            "dead_letter_topic": "d",
            "share": 0.5,
            "allowed_reply_topics": ["team-.*"],
        },
    ],
}


def needed(role: Role, settings: Settings) -> list[str]:
    """The rights of a role in words."""
    return [str(need.right) for need in needs_of(role, settings)]


def test_a_workers_rights_follow_its_settings() -> None:
    """All bindings, each right once; transactional ids where delivery is exactly once."""
    at_least_once = needed(Role.WORKER, load_settings(SETTINGS, environ={}).settings)
    exactly_once = needed(
        Role.WORKER, load_settings({**SETTINGS, "delivery.mode": "exactly_once"}, environ={}).settings
    )

    assert set(at_least_once) == {
        *(f"READ on topic '{name}'" for name in ("c", "qa", "qb", "qc")),
        *(f"WRITE on topic '{name}'" for name in ("s", "r", "qa-dlt", "qb-dlt", "d")),
        *(f"DESCRIBE_CONFIGS on topic '{name}'" for name in ("c", "r", "qa-dlt", "qb-dlt", "d")),
        "READ on consumer group 'g'",
    }
    assert len(at_least_once) == len(set(at_least_once))
    assert set(exactly_once) - set(at_least_once) == {"WRITE on each transactional id that begins with 'g-'"}


def test_the_commands_that_give_the_rights_are_printed() -> None:
    """One a line, fit to be run; what only patterns name is told beside."""
    ran = command_line.run(SETTINGS, "topics", "acls", "client", "--principal", "User:me")

    begin = "kafka-acls.sh --bootstrap-server broker:9093 --add --allow-principal User:me --operation"
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"{begin} Write --topic qa",
        f"{begin} Write --topic qb",
        f"{begin} Read --topic r",
        f"{begin} Write --topic qc",
        f"{begin} Read --topic s",
    ]
    assert "binding 'b'" in ran.err


def test_a_principal_has_its_kind() -> None:
    """A forgotten `User:` would give rights to nobody."""
    ran = command_line.run(SETTINGS, "topics", "acls", "worker", "--principal", "me")

    assert ran.code == ExitCode.USAGE
    assert "'me' does not begin with 'User:'" in ran.err
