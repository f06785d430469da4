"""The configurations of the Kafka clients: the only place with librdkafka's dotted names.

A person's properties pass through untouched, except those that a promise of headrace hangs on: these are
refused with the name of the setting to use instead.
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md has the meaning of each name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.kafka.errors import InvalidProperty
from worker.kafka.java_properties import read_command_config
from worker.settings_secrets import keep_out

PropertyValue = str | int | float | bool
ClientConfig = dict[str, str]
"""librdkafka's names and values, as one client takes them."""

_NAME = re.compile(r"[a-z][a-z0-9_.]*")

_FETCH_SHARE = 4
_LEAST_FETCH_BYTES = 1 << 20  # what librdkafka asks of one partition at least
_TRANSACTION_MS = 10_000

_CONTROLLED: Mapping[str, str] = {
    "bootstrap.servers": "use the setting kafka.bootstrap_servers or --bootstrap-server",
    "metadata.broker.list": "use the setting kafka.bootstrap_servers or --bootstrap-server",
    "group.id": "use the setting kafka.group",
    "enable.auto.commit": "headrace commits what has been answered, and nothing else",
    "enable.auto.offset.store": "headrace commits what has been answered, and nothing else",
    "auto.commit.interval.ms": "use the setting delivery.commit_interval_seconds",
    "auto.offset.reset": "use the setting delivery.on_offset_out_of_range; a first start is always earliest",
    "enable.partition.eof": "headrace does not read to an end that moves",
    "allow.auto.create.topics": "create topics with `headrace topics create`",
    "acks": "replies are acknowledged by all in-sync replicas",
    "request.required.acks": "replies are acknowledged by all in-sync replicas",
    "enable.idempotence": "replies are produced idempotently",
    "partitioner": "replies are partitioned as Java's producer does (murmur2_random)",
    "transactional.id": "headrace names its transactions itself",
    "share.acknowledgement.mode": "headrace says of each request what became of it",
    "max.poll.records": "use the setting delivery.queue_records",
    "delivery.report.only.error": "headrace needs the reports that it asks for",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the cluster, for every client of the process.

    Attributes:
        bootstrap_servers: `host:port`, several separated by commas.
        properties: librdkafka properties, checked and ready for a client.
    """

    bootstrap_servers: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def user(self) -> str:
        """Whom the broker takes these clients for."""
        return user_of(self.properties)


def connection(
    bootstrap_servers: str,
    properties: Mapping[str, PropertyValue] | None = None,
    command_config: Path | None = None,
) -> Connection:
    """How to reach the cluster; *properties* win over those of the *command_config* file.

    Raises:
        InvalidProperty: a property is headrace's own, or the file cannot be read or means nothing here.
    """
    from_file = {} if command_config is None else read_command_config(command_config)
    return Connection(bootstrap_servers, _checked(from_file) | _checked(properties or {}))


def group_consumer_config(
    where: Connection,
    group: str,
    own: Mapping[str, PropertyValue] | None = None,
    *,
    prefetch_bytes: int = 64 << 20,
) -> ClientConfig:
    """A member of a consumer group. At most about *prefetch_bytes* wait in the client for the next poll.

    Raises:
        InvalidProperty: *own* names a property that is headrace's own.
    """
    wanted = dict(where.properties) | _checked(own or {})
    config = _common(where) | _reading(prefetch_bytes) | {"group.id": group}
    if wanted.get("group.protocol") != "consumer":
        # The new protocol (KIP-848) assigns on the broker and refuses a strategy.
        config["partition.assignment.strategy"] = "cooperative-sticky"
    return config | wanted


def reader_config(where: Connection, own: Mapping[str, PropertyValue] | None = None) -> ClientConfig:
    """A consumer that is assigned by hand; librdkafka wants a group id all the same, and never joins it.

    Raises:
        InvalidProperty: *own* names a property that is headrace's own.
    """
    wanted = dict(where.properties) | _checked(own or {})
    dropped = (
        "group.protocol",
        "group.instance.id",
        "group.remote.assignor",
        "partition.assignment.strategy",
    )
    for name in dropped:
        wanted.pop(name, None)
    return _common(where) | _reading(16 << 20) | {"group.id": "headrace-reader"} | wanted


def share_member_config(
    where: Connection, group: str, max_records: int, own: Mapping[str, PropertyValue] | None = None
) -> ClientConfig:
    """A member of a share group that says of each record what became of it; a poll brings about *max_records*.

    Raises:
        InvalidProperty: *own* names a property that is headrace's own.
    """
    wanted = dict(where.properties) | _checked(own or {})
    return (
        _common(where)
        | {
            "group.id": group,
            "share.acknowledgement.mode": "explicit",
            "max.poll.records": str(max_records),
            "fetch.wait.max.ms": "100",
        }
        | wanted
    )


def producer_config(  # noqa: PLR0913 - each is a property by another name
    where: Connection,
    own: Mapping[str, PropertyValue] | None = None,
    *,
    queue_records: int = 100_000,
    queue_bytes: int = 256 << 20,
    batch_bytes: int | None = None,
    only_failures: bool = False,
    idempotent: bool = True,
    prompt: bool = False,
    transactional_id: str | None = None,
) -> ClientConfig:
    """A producer of replies. *queue_records* and *queue_bytes* bound what it holds.

    *batch_bytes* is the smallest limit of the topics that it writes to: no batch on the wire is made larger,
    because the broker refuses a whole batch. With *only_failures*, records that arrived get no report of
    their own. Without *idempotent* a record may be written twice, when the broker's answer is lost; and the first
    one does not wait half a second for the producer's id. A *prompt* one sends at once what it is given. With a
    *transactional_id* it writes in transactions, and the broker gives up one that was left open after ten seconds:
    for so long a worker that was killed holds up those who read committed records.

    Raises:
        InvalidProperty: *own* names a property that is headrace's own.
    """
    wanted = dict(where.properties) | _checked(own or {})
    if batch_bytes is not None:
        wanted["batch.size"] = str(min(int(wanted.get("batch.size", batch_bytes)), batch_bytes))
    config = _common(where) | {
        "acks": "all",
        "enable.idempotence": _text(idempotent),
        "partitioner": "murmur2_random",
        # None costs a busy worker CPU and throughput (a request for every few records), 5 ms (the default) costs an
        # idle one latency.
        "linger.ms": "0" if prompt else "0.5",
        # What a topic takes is the topic's to say; the client's own limit of 1 MB would refuse what a larger
        # one allows. A broker takes no request of more than 100 MiB (socket.request.max.bytes).
        "message.max.bytes": "100000000",
        "queue.buffering.max.messages": str(queue_records),
        "queue.buffering.max.kbytes": str(max(1, queue_bytes >> 10)),
        "delivery.report.only.error": _text(only_failures),
    }
    if transactional_id is not None:
        config |= {"transactional.id": transactional_id, "transaction.timeout.ms": str(_TRANSACTION_MS)}
        # The client wants a request to end before its transaction does.
        longest = int(wanted.get("socket.timeout.ms", _TRANSACTION_MS))
        wanted["socket.timeout.ms"] = str(min(longest, _TRANSACTION_MS - 100))
    return config | wanted


def admin_config(where: Connection) -> ClientConfig:
    """A client that asks and changes, and neither reads nor writes records."""
    return _common(where) | dict(where.properties)


def user_of(properties: Mapping[str, str]) -> str:
    """Whom the broker takes a client for, as far as that can be told here: `User:NAME`, or where it comes from."""
    protocol = properties.get("security.protocol", "plaintext").lower()
    if protocol.startswith("sasl"):
        name = properties.get("sasl.username")
        return f"User:{name}" if name else "the user of the token or ticket"
    if protocol == "plaintext":
        return "User:ANONYMOUS"
    file = properties.get("ssl.certificate.location") or properties.get("ssl.keystore.location")
    if file:
        return f"the user of the certificate in {file}"
    return "the user of the certificate" if "ssl.certificate.pem" in properties else "User:ANONYMOUS"


def is_incremental(config: ClientConfig) -> bool:
    """Whether a member so configured gets and loses partitions one by one, not all at each rebalance."""
    if config.get("group.protocol") == "consumer":
        return True
    return config.get("partition.assignment.strategy") == "cooperative-sticky"


def _text(value: PropertyValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _checked(properties: Mapping[str, PropertyValue]) -> dict[str, str]:
    for name in properties:
        if _NAME.fullmatch(name) is None:
            raise InvalidProperty(
                "a name among the Kafka client properties is none that librdkafka has (small letters, digits, dots); "
                "it is not shown, because a line of a key or certificate that is not quoted looks the same"
            )
        if (instead := _CONTROLLED.get(name)) is not None:
            raise InvalidProperty(
                f"the Kafka client property {name!r} is not yours to set: {instead}", resource=name
            )
        if name.endswith("_cb"):
            raise InvalidProperty(f"the Kafka client property {name!r} wants code, not text", resource=name)
    checked = {name: _text(value) for name, value in properties.items()}
    for name, value in checked.items():
        keep_out(name, value)
    return checked


def _common(where: Connection) -> ClientConfig:
    return {
        "bootstrap.servers": where.bootstrap_servers,
        "client.id": "headrace",
        # A connection that a firewall forgot is found out before a request times out on it.
        "socket.keepalive.enable": "true",
        # A topic or partition that comes later is seen after seconds; the default is five minutes.
        "topic.metadata.refresh.interval.ms": "10000",
        # What has had no answer for so long gets none: the connection is half-open (a machine without power, a firewall
        # that forgot it) and is made anew. The default of 60 s is longer than a group waits for a member (45 s); less
        # would give up what waits for a cluster that goes on without one of its brokers (9 s, and an election).
        "socket.timeout.ms": "15000",
        "socket.connection.setup.timeout.ms": "10000",
        # A broker that is back is found after a second, as by Java's clients; the default is up to 15 s.
        "reconnect.backoff.max.ms": "1000",
    }


def _reading(prefetch_bytes: int) -> ClientConfig:
    # One answer to a fetch may overshoot the prefetch by all of its bytes, and takes a buffer as large; the default is
    # 50 MiB. A record that is larger comes all the same, alone.
    fetch_bytes = str(max(_LEAST_FETCH_BYTES, prefetch_bytes // _FETCH_SHARE))
    return {
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
        "auto.offset.reset": "error",
        "allow.auto.create.topics": "false",
        "enable.partition.eof": "false",
        "queued.max.messages.kbytes": str(max(1, prefetch_bytes >> 10)),
        "fetch.max.bytes": fetch_bytes,
        # All of an answer may come from one partition, as where there is but one: with a fourth of it, images of 150 KB
        # came at 0.9 of the rate. The client asks the partitions in turn. The default of 1 MiB is seven such images:
        # polls so small cost a worker half as much again a record.
        "max.partition.fetch.bytes": fetch_bytes,
        # A fetch that waits for records to come holds up the one for a partition that is resumed meanwhile; the
        # default is 500 ms.
        "fetch.wait.max.ms": "100",
        # Once the prefetch is full, fetching rests this long; the default of 1 s halves a fast worker's rate.
        "fetch.queue.backoff.ms": "50",
    }
