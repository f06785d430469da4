"""What every loader promises, run on each kind of loader there is (`loader_cases`)."""

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lifecycle.loader import Loader
from lifecycle.servable import Servable
from lifecycle.signature import Signature
from tests.contracts.loader_cases import CASES, LoaderCase

DTYPES: Mapping[str, npt.DTypeLike] = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_BOOL": np.bool_,
}


def inputs_for(signature: Signature, rows: int) -> dict[str, npt.NDArray[np.generic]]:
    """Zeros for every input; unknown sizes are 1, but for the rows."""
    made: dict[str, npt.NDArray[np.generic]] = {}
    for name, spec in signature.inputs.items():
        shape = [1 if size is None else size for size in spec.shape or ()]
        if spec.batchable:
            shape[0] = rows
        if spec.dtype == "DT_STRING":
            made[name] = np.full(shape, b"", object)
        else:
            made[name] = np.zeros(shape, DTYPES[spec.dtype])
    return made


def results(servable: Servable, rows: int) -> dict[str, dict[str, npt.NDArray[np.generic]]]:
    """What each signature gives for zeros."""
    return {
        name: dict(servable.run(name, inputs_for(signature, rows), ()))
        for name, signature in servable.signatures.items()
    }


@pytest.fixture
def loaded(case: LoaderCase, tmp_path: Path) -> Loader:
    """A loader that has loaded."""
    loader = case.good(tmp_path)
    loader.load()
    return loader


@pytest.mark.parametrize("case", CASES)
class TestLoader:
    """Each promise of the protocol."""

    def test_construction_touches_nothing(self, case: LoaderCase, tmp_path: Path) -> None:
        """A loader of something that does not exist can be made; only its load fails."""
        case.broken(tmp_path)

    def test_failed_load_can_be_repeated(self, case: LoaderCase, tmp_path: Path) -> None:
        """A load that fails raises each time, and leaves nothing that stands in the way of the next."""
        loader = case.broken(tmp_path)

        for _ in range(2):
            with pytest.raises(Exception, match=r"."):
                loader.load()

    def test_servable_is_one_object(self, loaded: Loader) -> None:
        """The servable is the same object each time, with the same signatures."""
        assert loaded.servable is loaded.servable
        assert loaded.servable.signatures.keys() == loaded.servable.signatures.keys()

    def test_signatures_are_named_by_their_keys(self, loaded: Loader) -> None:
        """A signature carries the name under which it is found, and each spec its own."""
        for name, signature in loaded.servable.signatures.items():
            assert signature.name == name
            assert [spec.name for spec in signature.inputs.values()] == list(signature.inputs)
            assert [spec.name for spec in signature.outputs.values()] == list(signature.outputs)

    def test_run_gives_what_the_signature_says(self, loaded: Loader) -> None:
        """With no output named, every output comes, with the dtype, rank and rows of its spec."""
        for name, outputs in results(loaded.servable, rows=3).items():
            signature = loaded.servable.signatures[name]
            assert outputs.keys() == signature.outputs.keys()
            for output, array in outputs.items():
                spec = signature.outputs[output]
                expected = np.dtype(object if spec.dtype == "DT_STRING" else DTYPES[spec.dtype])
                assert array.dtype == expected
                assert spec.shape is None or array.ndim == len(spec.shape)
                if signature.batchable:
                    assert len(array) == 3

    def test_run_gives_only_the_named_outputs(self, loaded: Loader) -> None:
        """Named outputs come, and no others."""
        for name, signature in loaded.servable.signatures.items():
            for output in signature.outputs:
                given = loaded.servable.run(name, inputs_for(signature, 1), [output])

                assert list(given) == [output]

    def test_many_threads_may_run_at_once(self, loaded: Loader) -> None:
        """Calls from several threads give what one call gives."""
        expected = results(loaded.servable, rows=2)
        given: list[dict[str, dict[str, npt.NDArray[np.generic]]]] = []
        threads = [
            threading.Thread(target=lambda: given.append(results(loaded.servable, rows=2))) for _ in range(4)
        ]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(given) == 4
        for each in given:
            for name, outputs in expected.items():
                for output, array in outputs.items():
                    np.testing.assert_array_equal(array, each[name][output])

    def test_two_loaders_live_side_by_side(self, case: LoaderCase, loaded: Loader, tmp_path: Path) -> None:
        """The unload of one loader does not harm what another has loaded from the same place."""
        other = case.good(tmp_path)
        other.load()

        other.unload()

        assert results(loaded.servable, rows=1).keys() == loaded.servable.signatures.keys()

    def test_may_be_unloaded_by_another_thread(self, loaded: Loader) -> None:
        """Loading and unloading may happen on different threads."""
        raised: list[Exception] = []

        def unload() -> None:
            try:
                loaded.unload()
            except Exception as error:  # noqa: BLE001 - carried to the test's thread
                raised.append(error)

        thread = threading.Thread(target=unload)
        thread.start()
        thread.join()

        assert raised == []
