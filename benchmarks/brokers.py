"""The broker of a benchmark: one of our own at full speed beside the measured core, or the one that is named."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks import cores
from tests.kit.broker import FULL_SPEED, Broker, ForeignBroker, KafkaBroker
from tests.kit.maven_jars import KAFKA

VARIABLE = "TEST_BOOTSTRAP_SERVERS"
START_SECONDS = 180.0
"""Longer than in tests: whoever measures may have a busy machine, and a broker that starts late spoils nothing."""
_OWN = {
    # Topics keep little (`benchmarks.topics`), which is only looked after as often as this; the default is 5 minutes.
    "log.retention.check.interval.ms": "5000",
}


@contextmanager
def broker(config: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """The broker that TEST_BOOTSTRAP_SERVERS names, or one of our own, which *config* adds properties to.

    Raises:
        JavaUnavailable: none is named, and none can be run here.
        BrokerFailed: ours did not start.
    """
    if address := os.environ.get(VARIABLE):
        yield ForeignBroker(address)
        return
    cores.stay_beside()  # its threads stay where the thread that starts it is
    with KafkaBroker(None, FULL_SPEED, {**_OWN, **(config or {})}, START_SECONDS) as own:
        yield own


def release() -> str:
    """The release that `broker` runs; of a named one it is not known."""
    if os.environ.get(VARIABLE):
        return "of the broker that was named"
    return KAFKA.artifacts[0].rpartition(":")[2]
