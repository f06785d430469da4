"""Writing the data of a record that is too large for its topic, and leaving claims in its place.

It blocks, so it runs on a thread of its own (`worker.claim_threads`). The record with claims is made after all data has
been written, so whoever reads it finds the data there.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from schemas.claim import MOST_STRINGS, PREFIX, Claim, pieces_of, without_data
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.tensor import Tensor
from worker import claim_store
from worker.claim_fetch import Retries
from worker.claim_roots import ClaimError
from worker.reply_sizes import OWN_CODEC
from worker.store_uris import problem_of

SMALLEST_BYTES = 1024
"""Less stays in the record: a claim takes some 200 bytes itself."""
MOST_CLAIMS = 60


class Write:
    """The data of one reply, written by `run` on any thread; everything else is for the thread that has it written.

    Args:
        payload: the reply as it was to be sent.
        room_bytes: what its topic takes of it.
        new_place: a new place each time.

    Attributes:
        started: when `run` began (*clock*); None before.
        ended: whether `run` is over.
        value: the reply with claims; None where there is none.
        failure: why there is none.
        size_bytes: bytes that were written.
    """

    def __init__(
        self,
        payload: bytes,
        room_bytes: int,
        new_place: Callable[[], str],
        *,
        retries: Retries,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.started: float | None = None
        self.ended = False
        self.value: bytes | None = None
        self.failure: ClaimError | None = None
        self.size_bytes = 0
        self._payload: bytes | None = payload
        self._room_bytes = room_bytes
        self._new_place = new_place
        self._retries = retries
        self._clock = clock
        self._given_up = threading.Event()

    def run(self) -> None:
        """Write what must lie elsewhere and make the reply that says so."""
        self.started = self._clock()
        try:
            self.value = self._with_claims()
        except ClaimError as error:
            self.failure = error
        finally:
            self._payload = None
            self.ended = True

    def give_up(self) -> None:
        """Nobody waits any more; what has been written stays until it is cleaned away."""
        self._given_up.set()
        self._payload = None

    def _with_claims(self) -> bytes | None:
        payload = self._payload
        if payload is None:
            return None
        reply, size = OWN_CODEC.decode(payload, PredictReply), len(payload)
        del payload
        chosen = to_claim(reply.outputs, size - self._room_bytes)
        claims: dict[str, bytes] = {}
        for tensor in chosen:
            pieces = pieces_of(tensor)
            claim = Claim.of_data(self._new_place(), pieces)
            self._write(claim.uri, pieces)
            self.size_bytes += claim.size_bytes
            claims[PREFIX + tensor.name] = claim.to_bytes()
        names = {tensor.name for tensor in chosen}
        outputs = tuple(without_data(each) if each.name in names else each for each in reply.outputs)
        value = OWN_CODEC.encode(
            replace(reply, outputs=outputs, parameters={**reply.parameters, **claims}),
        )
        if len(value) > self._room_bytes:
            raise ClaimError(
                Code.RESOURCE_EXHAUSTED, "the reply is too large for its topic without its data, too"
            )
        return value

    def _write(self, uri: str, pieces: Sequence[bytes | bytearray | memoryview]) -> None:
        for pause_seconds in (*self._retries.pauses_seconds, None):
            try:
                claim_store.write(uri, pieces)
            except Exception as error:  # noqa: BLE001 - what a store's library raises is its own affair
                if pause_seconds is None or isinstance(error, PermissionError | ImportError):
                    why = "its data could not be stored"
                    raise ClaimError(Code.UNAVAILABLE, why, problem_of(error)) from None
            else:
                return
            if self._given_up.wait(pause_seconds):
                break
        raise ClaimError(Code.CANCELLED, "nobody waits for it any more")


def to_claim(tensors: Sequence[Tensor], too_many_bytes: int) -> list[Tensor]:
    """The tensors whose data is to lie elsewhere so that a record has so many bytes less: the largest."""
    chosen: list[Tensor] = []
    for tensor in sorted(tensors, key=data_bytes, reverse=True):
        size = data_bytes(tensor)
        if too_many_bytes <= 0 or size < SMALLEST_BYTES or len(chosen) == MOST_CLAIMS:
            break
        if isinstance(tensor.data, tuple) and len(tensor.data) > MOST_STRINGS:
            continue
        chosen.append(tensor)
        too_many_bytes -= size - len(tensor.name) - 512
    return chosen


def data_bytes(tensor: Tensor) -> int:
    """What the data of a tensor takes in a record, roughly."""
    return (
        sum(map(len, tensor.data)) + len(tensor.data) if isinstance(tensor.data, tuple) else len(tensor.data)
    )
