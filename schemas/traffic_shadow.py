"""Which part of its requests a model also gives to another version, unnoticed: the `shadow` of a model's config.

As text it is `TARGET=SHARE`, and behind it the topic of the other version's replies where they are kept:
`canary=0.1 headrace.shadow`. A target of digits only is a version, any other one a label.
"""

import re
from dataclasses import dataclass
from typing import Self

from schemas.traffic_split import part_of, target_of, weight_text

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SHOWN = 64


@dataclass(frozen=True, slots=True)
class TrafficShadow:
    """What is tried on whom. It is checked when it is made.

    Attributes:
        target: the version, or the label, that is tried.
        share: its part of the requests that name neither version nor label, more than 0 and at most 1.
        topic: where its replies go; None: nowhere, they are only counted.

    Raises:
        ValueError: the share is out of range, or Kafka takes no topic of that name.
    """

    target: int | str
    share: float
    topic: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"the share is {self.share:g}; expected more than 0 and at most 1 (100%)")
        topic = self.topic
        if topic is not None and (topic in {".", ".."} or not _TOPIC.fullmatch(topic)):
            raise ValueError(
                f"topic {topic[:_SHOWN]!r} is none that Kafka takes; expected 1 to 249 letters, digits, '.', '_' "
                "and '-'"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` has written.

        Raises:
            ValueError: it means nothing; the message says what was expected.
        """
        target_and_share, *topic = text.split() or [""]
        if len(topic) > 1:
            raise ValueError(
                f"{text[:_SHOWN]!r} is not understood; expected TARGET=SHARE and at most one topic"
            )
        try:
            target, share = part_of(target_and_share)
        except ValueError:
            raise ValueError(
                f"{target_and_share[:_SHOWN]!r} is not understood; expected TARGET=SHARE, as in canary=0.1"
            ) from None
        return cls(target_of(target), share, topic[0] if topic else None)

    @property
    def targets(self) -> tuple[int | str, ...]:
        """The version or label that is named, as a split names several."""
        return (self.target,)

    def __str__(self) -> str:
        share = f"{self.target}={weight_text(self.share)}"
        return share if self.topic is None else f"{share} {self.topic}"
