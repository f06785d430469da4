"""The transactional producer on librdkafka.

Errors of its transactional calls say themselves what to do: some may simply be tried again (`retriable`), some want the
transaction aborted (`txn_requires_abort`), some the whole instance replaced (`fatal`).
"""

import logging
import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import confluent_kafka

from worker.kafka import errors
from worker.kafka.client_config import ClientConfig, user_of
from worker.kafka.confluent_producer import ConfluentProducer
from worker.kafka.records import Message, TopicPartition
from worker.kafka.rights import Resource, Right, on_topic
from worker.kafka.transactional import OutcomeUnknown, RecordsRefused, Send

log = logging.getLogger(__name__)

_SLICE_SECONDS = 1.0
"""One call of the client waits so long at most; then it is called again."""


_NO_MEMBER = b"CGMDv2:\xff\xff\xff\xff"
"""How the client writes the membership of a consumer that its group has put out, until it has joined again. A broker
would take it for that of a client of old, and move the group's offsets to wherever it is told, even backwards."""

_TRIES = 3
"""After a refused batch the client counts its records on, and the broker does not: the next transaction fails, and only
the one after that begins anew (seen in librdkafka 2.16)."""


class _PurgedError(errors.Retriable):
    """Records were taken out of the queue, none of them refused."""


Refused = tuple[int, bytes | None, errors.KafkaProblem]


class ConfluentTransactionalProducer:
    """A `worker.kafka.transactional.TransactionalProducer` on librdkafka."""

    def __init__(
        self,
        config: ClientConfig,
        on_problem: Callable[[errors.KafkaProblem], None],
        *,
        timeout_seconds: float = 10.0,
        log: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*config* comes from `producer_config` with a transactional id; each step may take *timeout_seconds*.

        Raises:
            InvalidProperty: librdkafka refuses a property.
        """
        self._producer = ConfluentProducer(config, on_problem, log=log, clock=clock)
        self._client = self._producer.client
        self._user = user_of(config)
        self._own_right = Right("WRITE", Resource.TRANSACTIONAL_ID, config["transactional.id"])
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._started = False
        self.last_call = clock()
        self._refused: list[Refused] = []  # of this transaction: reports of an earlier one may still come

    def start(self) -> None:
        """See `TransactionalProducer.start`."""
        if not self._started:
            self._patiently(self._client.init_transactions)
            self._started = True

    def transact(
        self,
        sends: Sequence[Send],
        offsets: Mapping[TopicPartition, int],
        membership: object,
        *,
        alone: bool = False,
    ) -> None:
        """See `TransactionalProducer.transact`."""
        if isinstance(membership, bytes) and membership.startswith(_NO_MEMBER):
            raise errors.StaleMember("this consumer is no member of its group at the moment")
        self.start()
        for left in reversed(range(_TRIES)):
            try:
                self._try(sends, offsets, membership, alone=alone)
            except _PurgedError:
                if not left:
                    raise
            else:
                return

    def close(self) -> None:
        """See `TransactionalProducer.close`."""
        with warnings.catch_warnings():
            # The client warns that it cannot give up what another instance has taken over.
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                self._producer.close()
            except confluent_kafka.KafkaException as error:
                log.debug("a transaction was left open", extra={"problem": str(self._problem(error))})

    def _try(
        self,
        sends: Sequence[Send],
        offsets: Mapping[TopicPartition, int],
        membership: object,
        *,
        alone: bool,
    ) -> None:
        self._refused = []
        self._call(self._client.begin_transaction)
        try:
            for number, send in enumerate(sends):
                for part in send.one_by_one() if alone else (send,):
                    self._send(number, part)
                    if alone:
                        self._flush()
                        self._raise_refused()
            self._flush()
            self._raise_refused()
            places = [confluent_kafka.TopicPartition(*place, offset) for place, offset in offsets.items()]
            reads = {place.topic for place in offsets}
            self._patiently(partial(self._client.send_offsets_to_transaction, places, membership), reads)
        except errors.Fatal:
            raise
        except BaseException:
            self._abort()
            raise
        self._commit()

    def _send(self, number: int, send: Send) -> None:
        values, keys, headers = send.values, send.keys, send.headers
        report = partial(self._note, self._refused, number)
        end = self._clock() + self._timeout_seconds
        while True:
            self.last_call = self._clock()
            sent = self._producer.send(send.topic, values, keys, headers, send.partition, report)
            if sent == len(values):
                return
            if self._clock() > end:
                raise errors.TimedOut(f"topic {send.topic!r} takes no more records", resource=send.topic)
            values, keys, headers = values[sent:], keys and keys[sent:], headers and headers[sent:]
            self._producer.poll(0.05)

    def _raise_refused(self) -> None:
        if not self._refused:
            return
        # One that is refused takes those behind it out of the queue: they are not at fault.
        at_fault = [each for each in self._refused if not isinstance(each[2], errors.Purged)]
        if not at_fault:
            raise _PurgedError(str(self._refused[0][2]))
        raise RecordsRefused(at_fault)

    def _flush(self) -> None:
        end = self._clock() + self._timeout_seconds
        while not self._refused:
            self.last_call = self._clock()
            if self._producer.flush(_SLICE_SECONDS) == 0:
                return
            if self._clock() > end:
                raise errors.TimedOut("the broker has not acknowledged the records of a transaction in time")

    def _commit(self) -> None:
        end = self._clock() + self._timeout_seconds
        while True:
            self.last_call = self._clock()
            try:
                self._client.commit_transaction(_SLICE_SECONDS)
            except confluent_kafka.KafkaException as error:
                problem = self._problem(error)
                if error.args[0].txn_requires_abort():
                    self._abort()
                    raise problem from error
                if not error.args[0].retriable() or self._clock() > end:
                    raise OutcomeUnknown(
                        f"it is not known whether a transaction was committed: {problem}"
                    ) from error
            else:
                return

    def _abort(self) -> None:
        """Give the transaction up.

        Raises:
            Fatal: that cannot be done; a new instance does it when it starts.
        """
        try:
            self._patiently(self._client.abort_transaction)
        except errors.KafkaProblem as problem:
            if isinstance(problem, errors.Fatal):
                raise
            raise errors.Fatal(f"a transaction could not be given up: {problem}") from problem

    def _patiently(self, call: Callable[[float], object], reads: Collection[str] = ()) -> None:
        """Call until it went well or time is up; translates what stood in the way. It wants to read *reads*."""
        end = self._clock() + self._timeout_seconds
        while True:
            self.last_call = self._clock()
            try:
                call(_SLICE_SECONDS)
            except confluent_kafka.KafkaException as error:
                if error.args[0].retriable() and self._clock() < end:
                    continue
                raise self._problem(error, reads) from error
            else:
                return

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except confluent_kafka.KafkaException as error:
            raise self._problem(error) from error

    def _problem(self, error: Any, reads: Collection[str] = ()) -> errors.KafkaProblem:
        of_topic = [on_topic("READ", topic) for topic in reads] if len(reads) == 1 else []
        return errors.translate(error, wants=[self._own_right, *of_topic], user=self._user)

    def _note(self, refused: list[Refused], number: int, error: Any, message: Message) -> None:
        if error is not None:
            topic = message.topic()
            wants = [on_topic("WRITE", topic)]
            problem = errors.translate(error, topic=topic, wants=wants, user=self._user)
            refused.append((number, message.value(), problem))
