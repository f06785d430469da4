"""What is served: the protocol that a loaded model implements."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lifecycle import signature


class Servable(Protocol):
    """A loaded model. Called from many threads at once, always under a handle.

    It checks nothing that `signature.check_inputs` has checked already, and does not know that rows of
    several requests may be stacked in one call.
    """

    @property
    def signatures(self) -> Mapping[str, signature.Signature]:
        """Each way to call it, by name. The same mapping for as long as it lives."""
        ...

    def run(
        self, signature: str, inputs: Mapping[str, npt.NDArray[np.generic]], outputs: Sequence[str]
    ) -> Mapping[str, npt.NDArray[np.generic]]:
        """Run one signature; thread-safe.

        Args:
            signature: a name in `signatures`.
            inputs: one array for each input of the signature; DT_STRING is an object array of bytes.
            outputs: the names of the wanted outputs; empty means all of them.

        Returns:
            The wanted outputs by name, arrays that the caller may keep; DT_STRING as an object array.

        Raises:
            Exception: whatever the model raises; it concerns this call only.
        """
        ...
