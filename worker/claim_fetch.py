"""Fetching the data of one record's claims. It blocks, so it runs on a thread of its own (`worker.claim_threads`).

What is fetched is counted before (`worker.claimed_requests`) and never more than that is kept: one byte too many ends
it. Nothing that a store says reaches the requester; the log has it.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.claim import Claim, with_data
from schemas.errors import Code, WireError
from schemas.tensor import Tensor
from worker import claim_store
from worker.claim_roots import ClaimError, Roots
from worker.store_uris import problem_of


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a store is asked again that fails in a way that may pass.

    Attributes:
        pauses_seconds: before each further try.
    """

    pauses_seconds: tuple[float, ...] = (0.1, 0.5, 2.0)


class Fetch:
    """The data of one record, fetched by `run` on any thread; everything else is for the thread that has it fetched.

    Args:
        tensors: those of the record.
        claims: by the tensor's name, checked against their tensors.
        roots: the places that are allowed.

    Attributes:
        started: when `run` began (*clock*); None before.
        ended: whether `run` is over.
        tensors: those of the record, whole once they have been fetched.
        failure: why they have not been; None where they have.
        size_bytes: bytes of what is fetched.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        claims: Mapping[str, Claim],
        roots: Roots,
        *,
        retries: Retries,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tensors = tuple(tensors)
        self.failure: ClaimError | None = None
        self.started: float | None = None
        self.ended = False
        self.size_bytes = size_of(claims)
        self._claims = claims
        self._roots = roots
        self._retries = retries
        self._clock = clock
        self._given_up = threading.Event()
        # Looked up anew for each chunk, so that giving up frees it although a thread hangs in a store.
        self._buffers: dict[str, memoryview] = {}

    def run(self) -> None:
        """Fetch everything, or find out why that cannot be."""
        self.started = self._clock()
        try:
            whole = [self._whole(tensor) for tensor in self.tensors]
            if not self._given_up.is_set():
                self.tensors = tuple(whole)
        except ClaimError as error:
            # Its frames know this object and a chunk of data, which would stay until a collection.
            self.failure = error.with_traceback(None)
        except WireError as error:
            self.failure = ClaimError(error.code, str(error))
        finally:
            self._buffers.clear()
            self.ended = True

    def give_up(self) -> None:
        """Nobody waits any more: what is there is let go of, and the thread ends at its next look."""
        self._given_up.set()
        self._buffers.clear()

    def _whole(self, tensor: Tensor) -> Tensor:
        claim = self._claims.get(tensor.name)
        if claim is None:
            return tensor
        root = self._roots.of(tensor.name, claim.uri)
        for pause_seconds in (*self._retries.pauses_seconds, None):
            try:
                self._read(tensor.name, claim, root)
                return with_data(tensor, self._buffers.pop(tensor.name, b""))
            except (ClaimError, WireError):
                raise
            except Exception as error:  # noqa: BLE001 - what a store's library raises is its own affair
                failure = _told(tensor.name, error)
                error.__traceback__ = None  # likewise
                if failure.code is not Code.UNAVAILABLE or pause_seconds is None:
                    raise failure from None
            if self._given_up.wait(pause_seconds):
                break
        raise _unwanted(tensor.name)

    def _read(self, name: str, claim: Claim, root: str) -> None:
        digest, at = hashlib.sha256(), 0
        self._buffers[name] = np.empty(claim.size_bytes, np.uint8).data
        if self._given_up.is_set():
            raise _unwanted(name)
        with claim_store.reading(claim.uri, root) as file:
            while chunk := file.read(claim_store.CHUNK_BYTES):
                end = at + len(chunk)
                if end > claim.size_bytes:
                    raise ClaimError(
                        Code.INVALID_ARGUMENT, f"tensor '{name}': there are more bytes than its claim says"
                    )
                buffer = None if self._given_up.is_set() else self._buffers.get(name)
                if buffer is None:
                    raise _unwanted(name)
                buffer[at:end] = chunk
                del buffer
                digest.update(chunk)
                at = end
        if at < claim.size_bytes:
            raise ClaimError(
                Code.INVALID_ARGUMENT, f"tensor '{name}': there are fewer bytes than its claim says"
            )
        if claim.checksum != f"sha256:{digest.hexdigest()}":
            raise ClaimError(
                Code.INVALID_ARGUMENT, f"tensor '{name}': its data has another checksum than its claim says"
            )


def size_of(claims: Mapping[str, Claim]) -> int:
    """Bytes of what is claimed, all together."""
    return sum(claim.size_bytes for claim in claims.values())


def _unwanted(name: str) -> ClaimError:
    return ClaimError(Code.CANCELLED, f"tensor '{name}': nobody waits for its data any more")


def _told(name: str, error: Exception) -> ClaimError:
    """What is told of a store's failure; UNAVAILABLE is what may pass."""
    if isinstance(error, FileNotFoundError):
        return ClaimError(
            Code.NOT_FOUND, f"tensor '{name}': there is nothing at the place that its claim names"
        )
    if isinstance(error, claim_store.NoPlainFileError | IsADirectoryError):
        return ClaimError(
            Code.INVALID_ARGUMENT,
            f"tensor '{name}': its claim names no plain file; links below a root are not followed",
        )
    if isinstance(error, PermissionError):
        code, why = Code.PERMISSION_DENIED, "the place that its claim names may not be read from here"
    elif isinstance(error, ImportError):
        code, why = (
            Code.FAILED_PRECONDITION,
            "the library for the store that its claim names is not installed here",
        )
    else:
        code, why = Code.UNAVAILABLE, "the store that its claim names does not answer; it may be tried again"
    return ClaimError(code, f"tensor '{name}': {why}", problem_of(error))
