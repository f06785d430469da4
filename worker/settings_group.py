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


TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
"""Kafka's own rule for a topic's name."""

Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""A length of time in seconds, zero allowed, at most a day."""

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
"""A length of time in seconds that is more than nothing, at most a day."""

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
"""A part of a whole."""

PositiveInt = Annotated[int, Field(ge=1)]
"""A count of at least one."""
