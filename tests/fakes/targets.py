"""A target of aspired versions that remembers what it is told."""

from collections.abc import Sequence
from typing import Generic

from lifecycle.source import V


class RecordingTarget(Generic[V]):
    """Writes down what it is told, and refuses it when the test wants that.

    Attributes:
        told: every list that it has taken, in order.
        aspired: the last list of each name, as far as it is not empty.
        refusal: what it raises instead of taking a list.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, list[V]]] = []
        self.aspired: dict[str, list[V]] = {}
        self.refusal: Exception | None = None

    def set_aspired_versions(self, name: str, versions: Sequence[V]) -> None:
        """Write down, or refuse."""
        if self.refusal is not None:
            raise self.refusal
        self.told.append((name, list(versions)))
        self.aspired.pop(name, None)
        if versions:
            self.aspired[name] = list(versions)
