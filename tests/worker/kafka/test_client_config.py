"""What the clients are configured with, and what a person may say about it."""

from pathlib import Path

import pytest

from worker.kafka import client_config
from worker.kafka.client_config import Connection
from worker.kafka.errors import InvalidProperty

WHERE = Connection("broker:9092", {"security.protocol": "SSL"})


def test_a_group_member_commits_nothing_by_itself() -> None:
    """Neither commits nor stored offsets nor resets happen behind the worker's back, and topics are not made."""
    config = client_config.group_consumer_config(WHERE, "workers")

    assert config["group.id"] == "workers"
    assert config["bootstrap.servers"] == "broker:9092"
    assert config["security.protocol"] == "SSL"
    assert config["enable.auto.commit"] == "false"
    assert config["enable.auto.offset.store"] == "false"
    assert config["auto.offset.reset"] == "error"
    assert config["allow.auto.create.topics"] == "false"
    assert config["partition.assignment.strategy"] == "cooperative-sticky"


def test_the_new_group_protocol_takes_no_strategy() -> None:
    """With KIP-848 the broker assigns, and librdkafka refuses a strategy."""
    config = client_config.group_consumer_config(WHERE, "workers", {"group.protocol": "consumer"})

    assert "partition.assignment.strategy" not in config
    assert client_config.is_incremental(config)


@pytest.mark.parametrize(
    ("strategy", "incremental"), [("cooperative-sticky", True), ("range", False), ("range,roundrobin", False)]
)
def test_the_strategy_says_how_partitions_come(strategy: str, incremental: bool) -> None:
    """Cooperative groups change assignments piece by piece, eager ones as a whole."""
    config = client_config.group_consumer_config(WHERE, "g", {"partition.assignment.strategy": strategy})

    assert client_config.is_incremental(config) == incremental


@pytest.mark.parametrize(("prefetch_bytes", "fetch_bytes"), [(64 << 20, 16 << 20), (1 << 18, 1 << 20)])
def test_one_fetch_is_a_part_of_the_prefetch(prefetch_bytes: int, fetch_bytes: int) -> None:
    """What an answer may overshoot the prefetch by follows the budget, and one partition may give all of it."""
    config = client_config.group_consumer_config(WHERE, "g", prefetch_bytes=prefetch_bytes)

    assert int(config["queued.max.messages.kbytes"]) << 10 == prefetch_bytes
    assert int(config["fetch.max.bytes"]) == fetch_bytes
    assert int(config["max.partition.fetch.bytes"]) == fetch_bytes

    own = {"fetch.max.bytes": 5_000_000}
    assert client_config.group_consumer_config(WHERE, "g", own)["fetch.max.bytes"] == "5000000"


def test_a_reader_belongs_to_no_group() -> None:
    """Group settings meant for the requests' consumer do not reach a reader."""
    where = Connection("broker:9092", {"group.protocol": "consumer", "group.instance.id": "one"})

    config = client_config.reader_config(where)

    assert {"group.protocol", "group.instance.id"}.isdisjoint(config)


def test_a_prompt_producer_waits_for_no_company() -> None:
    """What it is given goes at once, unless a person wants otherwise."""
    assert client_config.producer_config(WHERE, prompt=True)["linger.ms"] == "0"
    assert client_config.producer_config(WHERE, {"linger.ms": 3}, prompt=True)["linger.ms"] == "3"
    assert float(client_config.producer_config(WHERE)["linger.ms"]) > 0


def test_a_producer_waits_for_all_replicas() -> None:
    """Replies are acknowledged by all in-sync replicas, idempotent, and partitioned as in Java."""
    config = client_config.producer_config(WHERE, queue_records=5, queue_bytes=4096)

    assert config["acks"] == "all"
    assert config["enable.idempotence"] == "true"
    assert config["partitioner"] == "murmur2_random"
    assert config["queue.buffering.max.messages"] == "5"
    assert config["queue.buffering.max.kbytes"] == "4"


@pytest.mark.parametrize(
    ("own", "expected"), [({}, "20000"), ({"batch.size": 500}, "500"), ({"batch.size": 99_999}, "20000")]
)
def test_no_batch_is_larger_than_the_topics_take(own: dict[str, int], expected: str) -> None:
    """A person's batch size counts only below the limit of the topics."""
    assert client_config.producer_config(WHERE, own, batch_bytes=20_000)["batch.size"] == expected


def test_any_other_property_passes_and_the_nearest_wins() -> None:
    """A client's own property goes before the common one, which goes before the default."""
    where = client_config.connection(
        "b:1", {"linger.ms": 7, "client.rack": "r1", "log.connection.close": False}
    )

    assert client_config.producer_config(where)["linger.ms"] == "7"
    assert client_config.producer_config(where, {"linger.ms": 9})["linger.ms"] == "9"
    assert client_config.admin_config(where)["client.rack"] == "r1"
    assert client_config.admin_config(where)["log.connection.close"] == "false"


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("group.id", "kafka.group"),
        ("bootstrap.servers", "kafka.bootstrap_servers"),
        ("enable.auto.commit", "commits what has been answered"),
        ("auto.offset.reset", "on_offset_out_of_range"),
        ("acks", "in-sync"),
        ("transactional.id", "itself"),
        ("error_cb", "code"),
    ],
)
def test_a_property_that_a_promise_hangs_on_is_refused(name: str, instead: str) -> None:
    """The refusal names the property and what to use."""
    with pytest.raises(InvalidProperty, match=instead) as caught:
        client_config.connection("b:1", {name: "x"})

    assert name in str(caught.value)
    assert caught.value.resource == name
    with pytest.raises(InvalidProperty):
        client_config.group_consumer_config(WHERE, "g", {name: "x"})
    with pytest.raises(InvalidProperty):
        client_config.producer_config(WHERE, {name: "x"})


def test_settings_win_over_the_command_config(tmp_path: Path) -> None:
    """Properties of the settings go before those of the file."""
    file = tmp_path / "client.properties"
    file.write_text("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n")

    where = client_config.connection("b:1", {"sasl.mechanisms": "SCRAM-SHA-512"}, file)

    assert where.properties == {"security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512"}


def test_the_command_config_must_not_set_what_is_headraces(tmp_path: Path) -> None:
    """The same names are refused in a file."""
    file = tmp_path / "client.properties"
    file.write_text("group.id=mine\n")

    with pytest.raises(InvalidProperty, match=r"kafka\.group"):
        client_config.connection("b:1", None, file)


def test_a_connection_shows_no_secret() -> None:
    """Whatever prints it, prints no property."""
    assert "p1" not in repr(Connection("b:1", {"sasl.password": "p1"}))


def test_a_half_open_connection_is_given_up_before_a_group_gives_up_its_member() -> None:
    """A member is missed after 45 seconds by default: it must be back on a new connection by then."""
    config = client_config.group_consumer_config(WHERE, "g")

    assert int(config["socket.timeout.ms"]) * 2 < 45_000
    assert int(config["reconnect.backoff.max.ms"]) <= 1_000


@pytest.mark.parametrize(("own", "expected"), [({}, "9900"), ({"socket.timeout.ms": 30_000}, "9900")])
def test_no_request_outlasts_its_transaction(own: dict[str, int], expected: str) -> None:
    """The client refuses to start otherwise; a shorter time of a person's own counts."""
    config = client_config.producer_config(WHERE, own, transactional_id="t")

    assert config["socket.timeout.ms"] == expected
    assert int(config["transaction.timeout.ms"]) > int(expected)
    shorter = client_config.producer_config(WHERE, {"socket.timeout.ms": 2_000}, transactional_id="t")
    assert shorter["socket.timeout.ms"] == "2000"
