"""What the consumer of requests reports by itself."""

import logging
from typing import TYPE_CHECKING

from worker.kafka.errors import BrokerUnreachable, KafkaProblem, TimedOut, TopicMissing
from worker.kafka.records import TopicPartition
from worker.log import Occasionally
from worker.metrics import Metrics
from worker.topic_directory import TopicDirectory

if TYPE_CHECKING:
    from worker.flow_control import FlowControl

log = logging.getLogger(__name__)


class ConsumerReports:
    """A `worker.kafka.consumer.ConsumerEvents`, called inside the consumer's poll. `flow` is set before that."""

    def __init__(self, metrics: Metrics, directory: TopicDirectory) -> None:
        self.flow: FlowControl | None = None
        self._metrics = metrics
        self._directory = directory
        self._occasionally = Occasionally(log, seconds=10.0)

    def on_problem(self, problem: KafkaProblem) -> None:
        """Count it and log it, at most every ten seconds a kind; look at the cluster where that may tell more."""
        kind = type(problem).__name__
        self._metrics.kafka_problem("consumer", kind)
        self._occasionally.warning("the consumer has a problem", key=kind, problem=str(problem))
        if isinstance(problem, BrokerUnreachable | TimedOut | TopicMissing):
            self._directory.look_again()

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """Count it, and do what the setting says; the topic may be another one by now."""
        self._metrics.offset_out_of_range(partition.topic)
        self._directory.look_again()
        assert self.flow is not None
        self.flow.out_of_range(partition, offset)
