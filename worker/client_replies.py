"""The client's own thread: reads the reply topic, settles calls, and serves deadlines and delivery reports.

All that it does is `step`, so that a test can step it by hand.
"""

import logging
import threading
from collections.abc import Callable

from schemas import headers as names
from schemas.codec import decode
from schemas.errors import Code, WireError
from schemas.predict_reply import PredictReply
from worker.client_calls import Call, CallTable
from worker.client_claims import ClientClaims
from worker.client_endpoints import Endpoints
from worker.client_errors import PredictError
from worker.kafka.errors import KafkaProblem
from worker.kafka.header_reading import read_headers
from worker.kafka.records import Headers, Message

POLL_SECONDS = 0.05
"""The longest wait for replies: how late a deadline or a delivery report may be noticed on a quiet topic."""
POLL_RECORDS = 1024

logger = logging.getLogger(__name__)


class ReplyReader:
    """Owns the consumer and the producer's reports. `run` is the thread."""

    def __init__(
        self, endpoints: Endpoints, calls: CallTable, claims: ClientClaims, clock: Callable[[], float]
    ) -> None:
        self._consumer = endpoints.consumer
        self._producer = endpoints.producer
        self._calls = calls
        self._claims = claims
        self._clock = clock
        self._stopping = threading.Event()
        self._served = threading.Condition()

    def run(self) -> None:
        """Step until stopped, or until Kafka says that it is no use; then give the connections up."""
        try:
            while not self._stopping.is_set():
                self.step()
        except KafkaProblem as problem:
            logger.exception("the client stops: its connection to Kafka is of no use any more")
            self._calls.close(f"the client has stopped: {problem}")
        finally:
            self._stopping.set()
            self._calls.close("the client has stopped")
            self._notify()
            self._producer.purge()
            self._producer.poll()
            self._producer.close()
            self._consumer.close()

    def step(self) -> None:
        """Take what has come, waiting a little for the first reply; then look at reports and deadlines.

        Raises:
            KafkaProblem: the consumer or the producer is of no use any more.
        """
        if messages := self._consumer.poll(POLL_RECORDS, POLL_SECONDS):
            for message, headers in zip(messages, read_headers(messages)[0], strict=True):
                self._settle(message, headers or ())
        self._producer.poll()
        self._notify()
        self._calls.expire(self._clock())

    def stop(self) -> None:
        """Ask the thread to end; it notices within one step."""
        self._stopping.set()

    def wait_for_room(self) -> bool:
        """Wait until reports have been served, which makes room in the local queue; False: it is over."""
        with self._served:
            self._served.wait(POLL_SECONDS)
        return not self._stopping.is_set()

    def _notify(self) -> None:
        with self._served:
            self._served.notify_all()

    def _settle(self, message: Message, headers: Headers) -> None:
        """Give a reply to its call. Replies to other clients are passed over by their header, undecoded."""
        for name, value in headers:
            if name == names.PLAIN_CORRELATION_ID and value is not None:
                call = self._calls.take(value)
                if call is not None:
                    self._answer(call, message.value() or b"")

    def _answer(self, call: Call, value: bytes) -> None:
        try:
            self._claims.answer(call, decode(value, PredictReply), self._calls)
        except WireError as error:
            failure = PredictError(Code.DATA_LOSS, f"the reply cannot be read: {error}", model=call.model)
            failure.__cause__ = error
            call.fail(failure)
