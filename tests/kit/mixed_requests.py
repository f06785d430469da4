"""Requests of 1 to 64 rows for three signatures, and their right answers, found one row at a time.

All rows come from one table, so that a model need be asked once for each row of the table, whatever the number of
requests. The models are those of `tests.kit.numpy_models` and `tests.kit.models`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle.servable import Servable
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.verifier import Reply, difference
from worker.loaders import Loaders
from worker.version_sources import Source

MOST_ROWS = 64
TABLE_ROWS = 2048
SIGNATURES = {"serving_default": "x", "integers": "n", "strings": "s"}

Array = npt.NDArray[Any]


def _separated_pixels(versions: tuple[int, ...] = (1, 2)) -> Array:
    """Rows whose answers do not hang on the order in which a sum is made up.

    Small values, so that the rounding of float32 stays below the tolerance also where a score is near zero; and a
    best class that is best by far, so that rounding never changes `best`.
    """
    rows = numpy_models.pixels(TABLE_ROWS + 256, seed=11) * np.float32(0.05)
    keep = np.ones(len(rows), bool)
    for version in versions:
        matrix, bias = numpy_models.weights(version)
        best = np.sort(rows @ matrix + bias, axis=1)
        keep &= best[:, -1] - best[:, -2] > 0.001
    return rows[keep][:TABLE_ROWS]


def _table() -> dict[str, Array]:
    random = np.random.default_rng(12)
    texts = [f"wörd {n % 97}\0".encode() * (n % 5) for n in range(TABLE_ROWS)]
    return {
        "serving_default": _separated_pixels(),
        "integers": random.integers(-(2**62), 2**62, (TABLE_ROWS, numpy_models.INTEGERS)),
        "strings": numpy_models.rows(*texts),
    }


TABLE = _table()


class RowAnswers:
    """What one version answers to each row of the table, asked for one row at a time."""

    def __init__(self, servable: Servable) -> None:
        self._columns = {
            name: _joined([servable.run(name, {key: TABLE[name][n : n + 1]}, ()) for n in range(TABLE_ROWS)])
            for name, key in SIGNATURES.items()
        }

    @classmethod
    def of(cls, loader: str, path: str, version: int) -> "RowAnswers":
        """Those of a model as its directory has it, loaded here and asked directly."""
        loaded = Loaders().loader(Source(loader, path), version)
        loaded.load()
        try:
            return cls(loaded.servable)
        finally:
            loaded.unload()

    def rows(self, signature: str, start: int, stop: int) -> dict[str, Array]:
        """The answers to rows of the table, stacked."""
        return {name: column[start:stop] for name, column in self._columns[signature].items()}


@dataclass(frozen=True)
class MixedRequest:
    """One of them: which signature, and which rows of the table."""

    id: str
    signature: str
    start: int
    rows: int

    def record(self, model: str, version: int | None = None) -> PredictRequest:
        """The request itself."""
        rows = TABLE[self.signature][self.start : self.start + self.rows]
        tensor = Tensor.from_numpy(SIGNATURES[self.signature], rows)
        return PredictRequest(model, version, signature=self.signature, inputs=(tensor,), id=self.id)

    def wrong(self, reply: Reply, answers: Mapping[int, RowAnswers]) -> str | None:
        """What is wrong with a reply, by the version that it names; None when it is right."""
        if reply.code:
            return f"{self.id}: error {reply.code}: {reply.message}"
        version = reply.value.version
        if version not in answers:
            return f"{self.id}: version {version} has answered"
        assert version is not None
        right = answers[version].rows(self.signature, self.start, self.start + self.rows)
        found = difference(reply.outputs, right)
        return None if found is None else f"{self.id} ({self.signature}, {self.rows} rows): {found}"


class MixedRequests:
    """An endless list of them: the same number gives the same request."""

    def __init__(self, prefix: str = "r", *, most_rows: int = MOST_ROWS) -> None:
        self._prefix = prefix
        self._most_rows = most_rows

    def __getitem__(self, number: int) -> MixedRequest:
        signature = tuple(SIGNATURES)[number % len(SIGNATURES)]
        rows = 1 + (number * 2654435761 >> 7) % self._most_rows
        start = (number * 40503) % (TABLE_ROWS - self._most_rows)
        return MixedRequest(f"{self._prefix}{number}", signature, start, rows)

    def first(self, count: int) -> list[MixedRequest]:
        """The first of them."""
        return [self[number] for number in range(count)]


def wrong_replies(
    requests: Iterable[MixedRequest],
    replies_of: Callable[[str], Iterable[Reply]],
    answers: Mapping[int, RowAnswers],
) -> list[str]:
    """What is wrong with the replies to these requests, one line for each reply that is."""
    found = (request.wrong(reply, answers) for request in requests for reply in replies_of(request.id))
    return [line for line in found if line is not None]


def _joined(answers: list[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
