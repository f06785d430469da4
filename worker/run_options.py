"""How the batches of a queue are run, whatever they are gathered by."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batching import merging, padding
from lifecycle.servable import Servable
from worker.ragged_inputs import RaggedInputs

Array = npt.NDArray[np.generic]


class RunOptions(NamedTuple):
    """Part of what tells queues apart.

    Attributes:
        allowed_rows: the sizes that the model is run at, increasing; empty: any.
        most_rows: a batch with more is run in parts of so many, one after the other; None: whole.
        ragged: how dimensions beside that of rows are padded; None: they are equal.
    """

    allowed_rows: tuple[int, ...] = ()
    most_rows: int | None = None
    ragged: RaggedInputs | None = None

    def padded(self, rows: int) -> int:
        """The rows that the model sees for so many, in all parts together; none have nothing to pad with."""
        whole = 0
        if self.most_rows is not None:
            whole = rows // self.most_rows * self.most_rows
        return whole + (padding.next_allowed(rows - whole, self.allowed_rows) if rows > whole else 0)

    def run(
        self,
        servable: Servable,
        signature: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        rows: int,
    ) -> Mapping[str, Array]:
        """Run a batch, and join the outputs where it is run in parts.

        Args:
            servable: of which one signature is run.
            signature: its name.
            inputs: by name; padded.
            outputs: which are wanted; empty: all.
            rows: those of the inputs, as `padded` says.

        Raises:
            RowCountMismatch: the outputs of a part have other rows than its inputs.
        """
        most = self.most_rows
        if most is None or rows <= most:
            return servable.run(signature, inputs, outputs)
        found: dict[str, list[Array]] = {}
        for start in range(0, rows, most):
            part = {name: array[start : start + most] for name, array in inputs.items()}
            for name, array in servable.run(signature, part, outputs).items():
                found.setdefault(name, []).extend(merging.split_rows(array, [min(most, rows - start)]))
        return {name: merging.merge(arrays) for name, arrays in found.items()}
