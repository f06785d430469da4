"""Stores for claims: a place in memory for each test, and a store that fails or hangs when it is told to."""

import threading
import uuid
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from schemas.claim import PREFIX, Claim, pieces_of, without_data
from schemas.predict_request import PredictRequest
from worker import claim_store


class TroubledStore(MemoryFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """`troubled://`: what is in memory, with trouble on the way there.

    Attributes:
        errors: raised by the next calls, one each.
        opened: paths that were opened.
        gate: who opens a file waits until it is set.
        entered: set when somebody has come to the gate.
    """

    protocol = "troubled"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    errors: ClassVar[list[Exception]] = []
    opened: ClassVar[list[str]] = []
    gate: ClassVar[threading.Event] = threading.Event()
    entered: ClassVar[threading.Event] = threading.Event()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix("troubled://").strip("/")

    def _open(self, path: str, *arguments: Any, **keywords: Any) -> Any:
        self.opened.append(path)
        self.entered.set()
        assert self.gate.wait(60.0), "the test has left the gate shut"
        if self.errors:
            raise self.errors.pop(0)
        return super()._open(path, *arguments, **keywords)

    @classmethod
    def reset(cls) -> None:
        """No trouble, nothing stored."""
        cls.store.clear()
        cls.errors.clear()
        cls.opened.clear()
        cls.gate.set()
        cls.entered.clear()


fsspec.register_implementation("troubled", TroubledStore, clobber=True)


def new_root(protocol: str = "memory") -> str:
    """A root that no other test has."""
    return f"{protocol}://claims-{uuid.uuid4().hex}/in"


def claimed(
    request: PredictRequest, root: str, *, named: str | None = None, stored: bool = True, **changes: Any
) -> PredictRequest:
    """The same request with its inputs stored below a root; *changes* are made to each claim.

    *named* is the place of the (only) input below the root; *stored* false: there is nothing at that place.
    """
    parameters: dict[str, bytes] = {}
    for tensor in request.inputs:
        place = f"{root}/{named or uuid.uuid4().hex}"
        pieces = pieces_of(tensor)
        if stored:
            claim_store.write(place, pieces)
        claim = Claim.of_data(place, pieces)
        facts = {"uri": claim.uri, "size_bytes": claim.size_bytes, "checksum": claim.checksum, **changes}
        parameters = {**parameters, PREFIX + tensor.name: Claim(**facts).to_bytes()}
    fields = {name: getattr(request, name) for name in ("version", "label", "signature", "outputs", "id")}
    inputs = tuple(map(without_data, request.inputs))
    return PredictRequest(request.model, **fields, inputs=inputs, parameters=parameters)
