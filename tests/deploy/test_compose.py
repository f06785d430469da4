"""`docker-compose.yml`, checked without Docker: it parses, and says nothing that headrace does not understand."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from worker.commands.cli import cli
from worker.settings_loading import load_settings
from worker.topic_plan import planned_topics

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if str(service.get("image", "")) == "headrace"}
COMMENTED = [
    shlex.split(line, comments=True)
    for line in re.findall(r"^#\s+docker compose run --rm cli (.*)$", TEXT, re.MULTILINE)
]


def understood(arguments: list[str]) -> click.Context:
    """What the command line makes of these arguments, without running anything."""
    context = click.Context(cli, info_name="headrace")
    command: click.Command = cli
    rest = arguments
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found is not None, f"{rest[0]} is no command"
        command, rest = found, rest[1:]
    return command.make_context(command.name, list(rest), parent=context)


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_understood(name: str) -> None:
    """The command line accepts what the service says, options and values included."""
    with understood(OURS[name]["command"]) as context:
        assert context.args == []


@pytest.mark.parametrize("arguments", COMMENTED, ids=" ".join)
def test_each_command_in_the_comment_is_understood(arguments: list[str]) -> None:
    """What the file tells people to type works."""
    with understood(arguments) as context:
        assert context.args == []


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting(name: str) -> None:
    """A misspelt one would keep the worker from starting."""
    environment = OURS[name]["environment"]
    loaded = load_settings({}, environment)

    assert len(loaded.origins) == len(environment)


def test_workers_reach_the_broker_that_the_file_starts() -> None:
    """The address is one that the broker advertises to other services."""
    address = load_settings({}, OURS["worker"]["environment"]).settings.kafka.bootstrap_servers

    assert f"//{address}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_the_broker_makes_no_topics_by_itself() -> None:
    """It would make a control topic that deletes."""
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert planned_topics(load_settings({}, OURS["topics"]["environment"]).settings)


def test_a_stopped_worker_has_time_to_finish() -> None:
    """Compose kills ten seconds after SIGTERM unless told otherwise."""
    settings = load_settings({}, OURS["worker"]["environment"]).settings
    grace = OURS["worker"]["stop_grace_period"]

    assert int(grace.removesuffix("s")) > settings.delivery.shutdown_seconds


def test_two_workers_share_the_work() -> None:
    """And there are partitions for as many and more."""
    assert OURS["worker"]["deploy"]["replicas"] == 2
    assert "container_name" not in OURS["worker"], "a fixed name cannot be scaled"
    assert "ports" not in OURS["worker"], "two workers cannot have one port of this machine"
    with understood(OURS["topics"]["command"]) as context:
        assert context.params["partitions"] >= 2


def test_every_image_is_pinned() -> None:
    """What was tried is what is run."""
    foreign = [s["image"] for s in SERVICES.values() if not s["image"].startswith("headrace")]

    assert [image for image in foreign if not re.search(r":v?\d+\.\d+\.\d+$", image)] == []


def test_nothing_is_reachable_from_other_machines() -> None:
    """There is neither encryption nor access control."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_service_that_is_waited_for_exists() -> None:
    """And a one-shot service is waited for to its end, a broker until it answers."""
    for service in SERVICES.values():
        for name, wait in dict.items(
            service["depends_on"] if isinstance(service.get("depends_on"), dict) else {}
        ):
            wanted = (
                "service_healthy" if "healthcheck" in SERVICES[name] else "service_completed_successfully"
            )
            assert wait["condition"] == wanted


def test_every_file_that_is_mounted_exists() -> None:
    """Docker would make an empty folder in its place."""
    mounted = [v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith("./")]

    assert mounted
    assert [path for path in mounted if not (ROOT / path).exists()] == []


def test_the_model_is_set_where_the_trainer_puts_it() -> None:
    """Trainer and control record agree on the path."""
    from worker.demo.training import MODEL_NAME

    (script,) = SERVICES["train"]["command"]
    with understood(OURS["model"]["command"]) as context:
        assert str(context.params["base_path"]) == f"/models/{MODEL_NAME}"
    assert "python -m worker.demo.training /models" in script
    assert (ROOT / "worker/demo/training.py").exists()


def test_docker_compose_accepts_the_file() -> None:
    """The program itself, where it is installed."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    done = subprocess.run(
        [program, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
