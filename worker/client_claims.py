"""Data outside the records, for the client: large inputs go by claim, and claimed outputs are fetched.

What the client stores it removes itself, when the request's future is done. What a client leaves behind that was killed
lies in folders with a date, below the root that it was given.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from lifecycle.threads import new_executor
from schemas.claim import PREFIX, Claim, claims_of, pieces_of, without_data
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from worker import claim_places, claim_store
from worker.claim_fetch import Fetch, Retries
from worker.claim_roots import Roots
from worker.claim_writing import data_bytes, to_claim
from worker.client_calls import Call, CallTable
from worker.client_errors import NotSent, PredictError
from worker.store_uris import normal_place

logger = logging.getLogger(__name__)

THREADS = 4
END_SECONDS = 10.0
"""For how long the end of a client waits for what is still to be removed."""


class ClientClaims:
    """Stores, fetches and removes. `stored` may be called by any thread, and blocks; the others do not.

    Args:
        root: where inputs go; None: they stay in their records.
        above_bytes: a request with more data than that has its largest inputs stored.
        trusted_roots: where the data of replies may lie.
        owner: the request topic, which names the folder.

    Raises:
        ValueError: one of the roots is none.
    """

    def __init__(
        self,
        root: str | None,
        *,
        above_bytes: int,
        trusted_roots: Sequence[str],
        owner: str,
        retries: Retries | None = None,
    ) -> None:
        self.stores = root is not None
        self._folder = claim_places.folder_of(normal_place(root), owner) if root is not None else ""
        self._above_bytes = above_bytes
        self._trusted = Roots(trusted_roots, "the client's trusted_roots")
        self._retries = retries or Retries()
        self._executor = new_executor(
            THREADS if self.stores or self._trusted else 0, "headrace-client-claims"
        )

    def stored(self, request: PredictRequest) -> tuple[PredictRequest, list[str]]:
        """The request as it is sent, and the places of what was stored for it.

        Raises:
            NotSent: the store does not take it.
        """
        places: list[str] = []
        if not self.stores:
            return request, places
        too_many = sum(map(data_bytes, request.inputs)) - self._above_bytes
        parameters = dict(request.parameters)
        for tensor in to_claim(request.inputs, too_many):
            pieces = pieces_of(tensor)
            claim = Claim.of_data(claim_places.new_place(self._folder, time.time()), pieces)
            places.append(claim.uri)
            try:
                claim_store.write(claim.uri, pieces)
            except Exception as error:  # what a store's library raises is its own affair
                self.remove(places)
                failure = NotSent(request.model, f"the data of input '{tensor.name}' could not be stored")
                raise failure from error
            parameters[PREFIX + tensor.name] = claim.to_bytes()
        inputs = tuple(without_data(t) if PREFIX + t.name in parameters else t for t in request.inputs)
        return replace(request, inputs=inputs, parameters=parameters), places

    def remove(self, places: Sequence[str]) -> None:
        """Have what was stored for a request removed soon."""

        def remove_all() -> None:
            try:
                for place in places:
                    claim_store.remove(place)
            except Exception as error:  # noqa: BLE001 - what a store's library raises is its own affair
                logger.warning("the stored data of a request stays where it is: %s", type(error).__name__)

        self._soon(remove_all)

    def answer(self, call: Call, reply: PredictReply, calls: CallTable) -> None:
        """Give a reply to its call, when what it claims is there; the call's deadline stays."""
        claims = claims_of(reply.parameters)
        if not claims:
            call.succeed(reply)
            return
        if not self._trusted:
            message = "the outputs lie elsewhere, and this client trusts no place; name it in trusted_roots"
            call.fail(
                PredictError(Code.FAILED_PRECONDITION, message, model=reply.model, version=reply.version)
            )
            return
        calls.put_back(call)
        fetch = Fetch(reply.outputs, claims, self._trusted, retries=self._retries)

        def fetch_all() -> None:
            fetch.run()
            if calls.take(call.correlation_id) is None:
                return  # too late
            if fetch.failure is None:
                call.succeed(replace(reply, outputs=fetch.tensors))
                return
            failure = PredictError(
                fetch.failure.code, str(fetch.failure), model=reply.model, version=reply.version
            )
            call.fail(failure)

        self._soon(fetch_all)

    def close(self) -> None:
        """Wait a little for what is still to be removed."""
        self._executor.close(END_SECONDS)

    def _soon(self, job: Callable[[], None]) -> None:
        try:
            self._executor.submit(job)
        except RuntimeError:  # closed meanwhile: a call that was fetched for has failed already
            logger.warning("the client was closed before it could remove what it had stored for a request")
