"""How ragged dimensions are padded, as the settings or a model's config say it, whatever the model's inputs are."""

import itertools
from typing import NamedTuple


class RaggedOptions(NamedTuple):
    """See `worker.ragged_inputs`, which applies them.

    Attributes:
        buckets: sizes to pad to, increasing; empty: the largest of the batch.
        pad_values: `INPUT=VALUE`, for inputs that are not padded with zero, False or an empty string.
    """

    buckets: tuple[int, ...] = ()
    pad_values: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """What is wrong with them, for any model."""
        found = [
            f"{text!r} is no pad value; expected INPUT=VALUE"
            for text in self.pad_values
            if text.find("=") < 1
        ]
        if any(bucket < 1 for bucket in self.buckets):
            found.append("sizes must be at least 1")
        if any(a >= b for a, b in itertools.pairwise(self.buckets)):
            found.append("the sizes must increase")
        return found
