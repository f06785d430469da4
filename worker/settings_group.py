"""What all groups of settings have in common: frozen, no unknown names, and types that say the range."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SettingsGroup(BaseModel):
    """One theme of the settings: immutable, refuses unknown names, keeps values out of its errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        validate_default=True,
    )


TOPIC_PATTERN = r"^[A-Za-z0-9._-]{1,249}$"
NAME_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"
MODULE_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
BROKERS_PATTERN = r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$"

PATTERNS_IN_WORDS = {
    TOPIC_PATTERN: "1 to 249 letters, digits, '.', '_' and '-'",
    NAME_PATTERN: "1 to 128 letters, digits, '.', '_' and '-'",
    MODULE_PATTERN: "a Python module's name",
    BROKERS_PATTERN: "host:port, several separated by commas",
}
"""For errors and the documentation."""

TopicName = Annotated[str, Field(pattern=TOPIC_PATTERN)]
"""Kafka's own rule for a topic's name."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""What may be part of a key, a label and a log line."""

Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""A length of time in seconds, zero allowed, at most a day."""

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
"""A length of time in seconds that is more than nothing, at most a day."""

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
"""A part of a whole."""

PositiveInt = Annotated[int, Field(ge=1)]
"""A count of at least one."""
