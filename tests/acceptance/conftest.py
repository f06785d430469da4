"""Deployments for the acceptance tests: real worker processes on the real broker."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kit.broker import Broker
from tests.kit.deployment import Deployment, DeploymentFactory


@pytest.fixture
def deployment(kafka_broker: Broker, tmp_path: Path) -> Iterator[DeploymentFactory]:
    """Makes deployments that end, workers and all, with the test."""
    with ExitStack() as made:

        def make(*arguments: Any, **keywords: Any) -> Deployment:
            return made.enter_context(Deployment(kafka_broker, tmp_path, *arguments, **keywords))

        yield make
