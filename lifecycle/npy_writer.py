"""Writes a .npy file part by part, so that an array need not fit in memory."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt


class NpyWriter:
    """A new file with an array whose dtype and shape are known, filled along dimension 0; by one thread at a time."""

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._left = shape[0]
        self._file = path.open("xb")
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: npt.ArrayLike) -> None:
        """Write the next rows."""
        array = np.asarray(rows, self._dtype)
        self._left -= len(array)
        self._file.write(array.tobytes())

    def close(self) -> None:
        """Requires: all rows have been written."""
        self._file.close()
        assert self._left == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()
