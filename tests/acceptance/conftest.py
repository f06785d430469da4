"""Deployments for the acceptance tests: real worker processes on the real broker."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kit import gated_models, numpy_models
from tests.kit.broker import Broker
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.maven_jars import JavaUnavailable, do_without
from tests.kit.mixed_requests import RowAnswers
from tests.kit.secured_broker import SecuredBroker


@pytest.fixture
def deployment(kafka_broker: Broker, tmp_path: Path) -> Iterator[DeploymentFactory]:
    """Makes deployments that end, workers and all, with the test."""
    with ExitStack() as made:

        def make(*arguments: Any, **keywords: Any) -> Deployment:
            return made.enter_context(Deployment(kafka_broker, tmp_path, *arguments, **keywords))

        yield make


@pytest.fixture(scope="session")
def numpy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base path of a NumPy model of three signatures, version 1."""
    return numpy_models.write_three_signatures(tmp_path_factory.mktemp("numpy")).parent


@pytest.fixture(scope="session")
def busy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but every call takes a few milliseconds."""
    return numpy_models.write_three_signatures(tmp_path_factory.mktemp("busy"), sleep_seconds=0.005).parent


@pytest.fixture(scope="session")
def numpy_answers(numpy_model: Path) -> RowAnswers:
    """What both answer to each row."""
    return RowAnswers.of("numpy", str(numpy_model / "1"), 1)


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a loader, known to the workers of this test, whose models wait until the test opens them."""
    gated_models.offer(tmp_path / "site", monkeypatch)
    return gated_models.LOADER


@pytest.fixture(scope="session")
def secured_broker() -> Iterator[SecuredBroker]:
    """A broker that lets in whom it knows and asks for rights; one for all tests."""
    try:
        broker = SecuredBroker()
    except JavaUnavailable as error:
        do_without("no Kafka broker of our own", error)
    with broker:
        yield broker


@pytest.fixture
def secured(secured_broker: SecuredBroker, tmp_path: Path) -> Iterator[DeploymentFactory]:
    """Makes deployments on the secured broker; the test's own hands may do everything there."""
    with ExitStack() as made:

        def make(*arguments: Any, **keywords: Any) -> Deployment:
            return made.enter_context(Deployment(secured_broker, tmp_path, *arguments, **keywords))

        yield make
