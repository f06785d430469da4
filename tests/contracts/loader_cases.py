"""The loaders that must keep the contract of `lifecycle.loader.Loader`; a new kind adds its case here."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lifecycle import lookup_table_writer, vocabulary_writer
from lifecycle.keras_loader import KerasLoader
from lifecycle.loader import Loader
from lifecycle.lookup_table_loader import LookupTableLoader
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.python_loader import PythonLoader
from lifecycle.recorded_requests import RecordedRequest
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.validation import Expected, GoldenRequest, ValidatedLoader
from lifecycle.vocabulary_loader import VocabularyLoader
from lifecycle.warmup import WarmedLoader
from tests.fakes import servables
from tests.kit import keras_models, numpy_models, python_servables
from tests.kit.models import SavedModels


@dataclasses.dataclass(frozen=True)
class LoaderCase:
    """One kind of loader.

    Attributes:
        good: makes a loader that can load; called several times with one folder, each time for a new loader.
        broken: makes a loader that cannot, for a reason that may pass (a missing folder).
    """

    good: Callable[[Path], Loader]
    broken: Callable[[Path], Loader]


def _once(directory: Path, write: Callable[[Path], object]) -> Path:
    if not directory.exists():
        write(directory)
    return directory


def _numpy_model(directory: Path) -> Path:
    return numpy_models.write_three_signatures(directory.parent, int(directory.name))


ROWS: Mapping[str, npt.ArrayLike] = {
    "vector": np.eye(3, dtype=np.float32),
    "age": np.arange(3, dtype=np.int64),
}


def _integer_table(directory: Path) -> object:
    return lookup_table_writer.write(directory, np.array([7, 0, -7]), ROWS)


def _string_table(directory: Path) -> object:
    return lookup_table_writer.write(directory, ["a", "", "b"], ROWS)


def _vocabulary(directory: Path) -> object:
    return vocabulary_writer.write(directory, ["a", "", "b"])


def _golden_requests() -> list[GoldenRequest]:
    inputs = {"n": np.arange(4, dtype=np.int64).reshape(1, 4)}
    expected = {"shifted": Expected(inputs["n"] * 2 + 1)}
    request = RecordedRequest("a request", "integers", lambda _signature: inputs)
    return [GoldenRequest(request, lambda _signature: expected)]


CASES = [
    pytest.param(
        LoaderCase(
            good=lambda folder: servables.FakeLoader(1.0),
            broken=lambda folder: servables.BrokenLoader(),
        ),
        id="fake",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: NumpyLoader(_once(folder / "numpy" / "1", _numpy_model)),
            broken=lambda folder: NumpyLoader(folder / "missing"),
        ),
        id="numpy",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: WarmedLoader(
                NumpyLoader(_once(folder / "numpy" / "1", _numpy_model)), (1, 4)
            ),
            broken=lambda folder: WarmedLoader(NumpyLoader(folder / "missing")),
        ),
        id="warmed",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: ValidatedLoader(
                NumpyLoader(_once(folder / "numpy" / "1", _numpy_model)), _golden_requests
            ),
            broken=lambda folder: ValidatedLoader(NumpyLoader(folder / "missing"), _golden_requests),
        ),
        id="validated",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: LookupTableLoader(_once(folder / "integers" / "1", _integer_table)),
            broken=lambda folder: LookupTableLoader(folder / "missing"),
        ),
        id="lookup_table-integers",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: LookupTableLoader(_once(folder / "strings" / "1", _string_table)),
            broken=lambda folder: LookupTableLoader(folder / "missing"),
        ),
        id="lookup_table-strings",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: VocabularyLoader(_once(folder / "vocabulary" / "1", _vocabulary)),
            broken=lambda folder: VocabularyLoader(folder / "missing"),
        ),
        id="vocabulary",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: PythonLoader(
                python_servables.write(folder / "python" / "1", "Scaled"), [python_servables.MODULE]
            ),
            broken=lambda folder: PythonLoader(folder / "missing", [python_servables.MODULE]),
        ),
        id="python",
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: SavedModelLoader(SavedModels(folder).three_signatures()),
            broken=lambda folder: SavedModelLoader(folder / "missing"),
        ),
        id="saved_model",
        marks=pytest.mark.tensorflow,
    ),
    pytest.param(
        LoaderCase(
            good=lambda folder: KerasLoader(_once(folder / "keras" / "1", keras_models.write_dense)),
            broken=lambda folder: KerasLoader(folder / "missing"),
        ),
        id="keras",
        marks=pytest.mark.tensorflow,
    ),
]
