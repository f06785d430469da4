"""Everything that can be set, as one frozen tree.

Where a value comes from is `worker.settings_loading`'s business: defaults < TOML file < environment < flags.
The tree itself never looks at the environment, so `Settings()` is the defaults on every machine. Only the
composition root and the command line see it whole; everything else takes its group, or plain values.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.settings_claims import ClaimsSettings
from worker.settings_group import NAME_PATTERN, SettingsGroup
from worker.settings_kafka import Binding, KafkaSettings, TopicsSettings
from worker.settings_lifecycle import JoinSettings, LifecycleSettings, TensorFlowSettings
from worker.settings_model_cache import ModelCacheSettings
from worker.settings_operation import HttpSettings, LogSettings, StatusSettings
from worker.settings_rules import ContradictionsError, contradictions
from worker.settings_serving import (
    BatchingSettings,
    DeliverySettings,
    HoldingSettings,
    LimitsSettings,
    WireSettings,
)

ENVIRONMENT_PREFIX = "HEADRACE_"
NESTED_DELIMITER = "__"


def new_worker_id() -> str:
    """A name for this worker that no other run of it has had: host, process and four random bytes."""
    host = "".join(c if c.isalnum() or c in "._-" else "-" for c in socket.gethostname())[:64] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


class Settings(BaseSettings):
    """The whole configuration of a worker and of the commands that talk about it."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=NESTED_DELIMITER,
    )

    worker_id: str = Field(default_factory=new_worker_id, pattern=NAME_PATTERN)
    """Name of this worker on the status topic and in logs; each worker has its own. By default host, process
    and a random part, so that a restarted worker is never mistaken for its predecessor."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicsSettings = TopicsSettings()
    bindings: tuple[Binding, ...] = (Binding(),)
    """Which request topics are answered by which models. One binding that serves every model by default; see
    the fields of a binding below. A list of tables in a file, a JSON list in the environment; a list
    replaces another whole."""

    delivery: DeliverySettings = DeliverySettings()
    holding: HoldingSettings = HoldingSettings()
    batching: BatchingSettings = BatchingSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    tensorflow: TensorFlowSettings = TensorFlowSettings()
    model_cache: ModelCacheSettings = ModelCacheSettings()
    claims: ClaimsSettings = ClaimsSettings()
    join: JoinSettings = JoinSettings()
    limits: LimitsSettings = LimitsSettings()
    wire: WireSettings = WireSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    status: StatusSettings = StatusSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        *_other_sources: PydanticBaseSettingsSource,
        **_sources_by_name: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the constructor is given; `worker.settings_loading` reads the sources."""
        return (init_settings,)

    @model_validator(mode="after")
    def _has_no_contradictions(self) -> Self:
        if found := contradictions(self):
            raise ContradictionsError(found)
        return self


def group_of(field: FieldInfo) -> type[SettingsGroup] | None:
    """The group that a field of `Settings` holds, or None for a field that is a value of its own."""
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, SettingsGroup):
        return annotation
    return None


def all_fields() -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its dotted name, group by group; a binding's own fields are not among them."""
    for name, field in Settings.model_fields.items():
        group = group_of(field)
        if group is None:
            yield name, field
        else:
            yield from ((f"{name}.{inner}", inner_field) for inner, inner_field in group.model_fields.items())


def environment_name(dotted: str) -> str:
    """The environment variable of a setting: `kafka.group` is `HEADRACE_KAFKA__GROUP`."""
    return ENVIRONMENT_PREFIX + dotted.replace(".", NESTED_DELIMITER).upper()
