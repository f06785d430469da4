"""A stand-in for a worker: answers each request on a topic by a function, on a thread of its own."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from schemas import headers as names
from schemas.codec import decode, encode
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka.consumer import Consumer
from worker.kafka.producer import Producer
from worker.kafka.records import Headers, Message

Answer = Callable[[PredictRequest], PredictReply | bytes | None]


class Responder:
    """Takes what a consumer reads and sends replies, with the request's key and correlation ids, until left.

    An `answer` of None is no reply; bytes are sent as they are. `seen` has every request's message.
    """

    def __init__(
        self, consumer: Consumer, producer: Producer, answer: Answer, reply_topic: str = "headrace.replies"
    ) -> None:
        self.seen: list[Message] = []
        self._consumer = consumer
        self._producer = producer
        self._answer = answer
        self._reply_topic = reply_topic
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._producer.flush(PATIENCE_SECONDS)
        self._producer.close()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for message in self._consumer.poll(1000, 0.05):
                self.seen.append(message)
                reply = self._answer(decode(message.value(), PredictRequest))
                if reply is not None:
                    value = reply if isinstance(reply, bytes) else encode(reply)
                    self._producer.send(
                        self._topic(message), [value], [message.key()], [echoed(message.headers() or ())]
                    )
            self._producer.poll()

    def _topic(self, message: Message) -> str:
        for name, value in message.headers() or ():
            if name in {names.REPLY_TOPIC, names.PLAIN_REPLY_TOPIC} and value is not None:
                return value.decode()
        return self._reply_topic


def echoed(headers: Headers) -> Headers:
    """The headers of a request that its reply repeats."""
    kept = {names.CORRELATION_ID, names.PLAIN_CORRELATION_ID, names.TRACEPARENT}
    return [(name, value) for name, value in headers if name in kept]
