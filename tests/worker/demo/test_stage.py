"""The demo's broker: settings that a worker understands, and topics that come and go."""

import json
from pathlib import Path

import pytest

from schemas.version_selection import SpecificVersions
from tests.kit.broker import Broker
from worker.commands.connecting import connection_of
from worker.commands.control_access import access_of
from worker.demo.stage import Stage, embedded_stage, open_stage, worker_settings
from worker.kafka import clients
from worker.settings_loading import load_settings


def served(stage: Stage) -> dict[str, tuple[int, ...]]:
    """The versions of each model that the control topic wants."""
    versions = {}
    for name, entry in access_of(stage.settings).read().models.items():
        assert entry.config is not None
        assert isinstance(entry.config.versions, SpecificVersions)
        versions[name] = entry.config.versions.versions
    return versions


def test_a_worker_reads_the_stages_settings_from_its_environment() -> None:
    """Every variable is a setting, and says what the stage says."""
    with embedded_stage() as stage:
        environment = worker_settings(stage, port=4711)
        read = load_settings({}, environment, None).settings

    assert read.kafka == stage.settings.kafka
    assert read.topics == stage.settings.topics
    assert read.bindings[0].request_topics == stage.binding.request_topics
    assert read.bindings[0].reply_topic == stage.binding.reply_topic
    assert read.http.port == 4711
    assert json.loads(environment["HEADRACE_KAFKA__PROPERTIES"]) == stage.settings.kafka.properties


def test_the_embedded_broker_keeps_what_is_to_be_served() -> None:
    """The second word on a model replaces the first."""
    with embedded_stage() as stage:
        stage.serve("digits", Path("/models/digits"), 1, "first")
        assert served(stage) == {"digits": (1,)}
        stage.serve("digits", Path("/models/digits"), 2, "second")
        assert served(stage) == {"digits": (2,)}


@pytest.mark.kafka
def test_somebodys_broker_is_left_as_it_was(kafka_broker: Broker) -> None:
    """Topics with names of their own are there meanwhile, and gone afterwards."""
    with open_stage(kafka_broker.bootstrap_servers, None) as stage:
        admin = clients.admin(connection_of(stage.settings))
        stage.serve("digits", Path("/models/digits"), 1, "first")
        assert served(stage) == {"digits": (1,)}
        ours = {name for name in admin.topics() if name.startswith(stage.settings.kafka.group)}

    assert len(ours) == 5
    assert not ours & set(admin.topics())
