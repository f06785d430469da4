"""Configurations of topics and groups, asked and changed through an admin client."""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import admin as client_admin

from worker.kafka.admin_calls import AdminCalls
from worker.kafka.rights import on_group, on_topic

_TOPIC, _GROUP = client_admin.ConfigResource.Type.TOPIC, client_admin.ConfigResource.Type.GROUP


def of_topics(calls: AdminCalls, names: Sequence[str], timeout_seconds: float) -> dict[str, dict[str, str]]:
    """The whole configuration of each topic; raises KafkaProblem."""
    found = {}
    for resource, future in _described(calls, _TOPIC, names, timeout_seconds):
        wants = [on_topic("DESCRIBE_CONFIGS", resource.name)]
        found[resource.name] = _known(calls.result(future, topic=resource.name, wants=wants))
    return found


def of_group(calls: AdminCalls, group: str, timeout_seconds: float) -> dict[str, str]:
    """The whole configuration of a group; raises KafkaProblem."""
    ((_, future),) = _described(calls, _GROUP, [group], timeout_seconds)
    return _known(calls.result(future, group=group, wants=[on_group("DESCRIBE_CONFIGS", group)]))


def change_group(calls: AdminCalls, group: str, changes: Mapping[str, str], timeout_seconds: float) -> None:
    """Set some of a group's configuration; raises KafkaProblem."""
    how = client_admin.AlterConfigOpType.SET
    entries = [
        client_admin.ConfigEntry(name, value, incremental_operation=how) for name, value in changes.items()
    ]
    resource = client_admin.ConfigResource(_GROUP, group, incremental_configs=entries)
    futures = calls.call(calls.client.incremental_alter_configs, [resource], request_timeout=timeout_seconds)
    for future in futures.values():
        calls.result(future, group=group, wants=[on_group("ALTER_CONFIGS", group)])


def _described(calls: AdminCalls, kind: Any, names: Sequence[str], timeout_seconds: float) -> list[Any]:
    wanted = [client_admin.ConfigResource(kind, name) for name in names]
    futures = calls.call(calls.client.describe_configs, wanted, request_timeout=timeout_seconds)
    return list(futures.items())


def _known(entries: Mapping[str, Any]) -> dict[str, str]:
    return {entry.name: entry.value for entry in entries.values() if entry.value is not None}
