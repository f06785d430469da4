"""How an admin request is made: its time-out, its second try, and what its failure means."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from threading import Event
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import admin as client_admin

from worker.kafka import errors
from worker.kafka.client_config import ClientConfig, user_of

_ASK_AGAIN_SECONDS = 0.05
_MARGIN_SECONDS = 5.0  # for the client to tell that a request has timed out

_Answer = TypeVar("_Answer")


class AdminCalls:
    """The client library's admin client, and calls on it from any thread. Each ends within its time-out.

    Attributes:
        client: the library's own object.
        user: whom the broker takes it for.
    """

    def __init__(
        self,
        config: ClientConfig,
        log: logging.Logger | None,
        timeout_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._address = config["bootstrap.servers"]
        self.user = user_of(config)
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        # The latest that the client said about its connections.
        self._reason: errors.KafkaProblem | None = None
        callbacks: dict[str, Any] = {"error_cb": self._on_error}
        if log is not None:
            callbacks["logger"] = log
        try:
            self.client: Any = client_admin.AdminClient({**config, **callbacks})
        except confluent_kafka.KafkaException as error:
            raise errors.translate(error) from error

    def patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Ask again while the cluster says that it cannot yet (a new topic, a coordinator that moves)."""
        end = self._clock() + self._timeout_seconds
        pause = Event()
        while True:
            try:
                return ask()
            except errors.Retriable as problem:
                silent = isinstance(problem, errors.TimedOut | errors.BrokerUnreachable)
                if silent or self._clock() > end:
                    raise
            pause.wait(_ASK_AGAIN_SECONDS)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make a call of the client library.

        Raises:
            KafkaProblem: it failed.
        """
        try:
            return function(*args, **kwargs)
        except confluent_kafka.KafkaException as error:
            raise self._unreachable_or(errors.translate(error)) from error

    def result(self, future: "Future[Any]", **about: Any) -> Any:
        """The outcome of a request; *about* is what `errors.translate` is told.

        Raises:
            KafkaProblem: it failed.
        """
        try:
            return future.result(self._timeout_seconds + _MARGIN_SECONDS)
        except confluent_kafka.KafkaException as error:
            raise self._unreachable_or(errors.translate(error, user=self.user, **about)) from error
        except FutureTimeoutError as error:
            raise self._unreachable_or(errors.TimedOut("no answer")) from error

    def outcome(self, future: "Future[Any]", **about: Any) -> errors.KafkaProblem | None:
        """What was wrong with one of several things asked for, None where nothing was.

        Raises:
            BrokerUnreachable: no broker answered.
            AuthenticationFailed: none would.
        """
        try:
            self.result(future, **about)
        except (errors.BrokerUnreachable, errors.AuthenticationFailed):
            raise
        except errors.KafkaProblem as problem:
            return problem
        return None

    def _on_error(self, error: Any) -> None:
        problem = errors.translate(error)
        if problem.error_name != "_ALL_BROKERS_DOWN":  # says nothing about why
            self._reason = problem

    def _unreachable_or(self, problem: errors.KafkaProblem) -> errors.KafkaProblem:
        """A time-out or a lost connection means the broker; the client may have said why before."""
        if not isinstance(problem, errors.TimedOut | errors.BrokerUnreachable):
            return problem
        self.client.poll(0)  # lets the client tell
        reason = self._reason
        if isinstance(reason, errors.AuthenticationFailed):
            return reason
        because = "" if reason is None else f" ({reason.error_name})"
        return errors.BrokerUnreachable(
            f"no Kafka broker answers at {self._address} within {self._timeout_seconds:g} s{because}: check "
            "the address, that the broker runs and advertises that address, and whether it wants TLS or SASL",
            error_name=problem.error_name,
            resource=self._address,
        )
