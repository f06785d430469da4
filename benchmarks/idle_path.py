"""A request path in this process whose Kafka and whose models cost next to nothing: what is left is headrace.

The real path from the poll to the producer's `send`, with the real manager, handles, batch queues and metrics, and with
the batches run in the poll loop (`batching.threads = 0`), so that no thread waits for another.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from benchmarks.dense_model import INPUTS, OUTPUTS
from benchmarks.idle_kafka import IdleConsumer, IdleProducer, messages
from lifecycle.aspired_versions_manager import AspiredVersionsManager
from lifecycle.execution import Surroundings
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature, TensorSpec
from lifecycle.source import AspiredVersion
from lifecycle.threads import InlineExecutor
from schemas import codec
from schemas.catalog import default_catalog
from schemas.model_config import ModelConfig
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from schemas.version_selection import SpecificVersions
from worker.metrics import Metrics, new_registry
from worker.model_table import ModelTable
from worker.path_clients import Clients
from worker.producer_pool import ProducerKind
from worker.request_path import RequestPath
from worker.settings import Settings
from worker.stop_flag import StopFlag
from worker.topic_directory import TopicDirectory

VERSION = 1
MOST_ROWS = 8192
BUDGET_ROWS, BUDGET_BYTES = 8_388_608, 8 * 1024**3
"""Nothing is held back here: a poll's requests are answered before the next, and committed twice a second."""

Layout = tuple[str, str]
"""A model and a signature."""


def layouts(models: int, signatures: int) -> list[Layout]:
    """Every pair."""
    return [(f"model-{m}", f"signature-{s}") for m in range(models) for s in range(signatures)]


def requests(wanted: Sequence[Layout], count: int) -> list[bytes]:
    """Requests of one row each, of these layouts in turn."""
    rows = np.random.default_rng(1).standard_normal((count, 1, INPUTS), np.float32)
    return [
        codec.encode(
            PredictRequest(
                wanted[n % len(wanted)][0],
                signature=wanted[n % len(wanted)][1],
                inputs=(Tensor.from_numpy("x", rows[n]),),
                id=f"{n:012d}",
            )
        )
        for n in range(count)
    ]


class FreeServable:
    """Answers with numbers that were there before."""

    def __init__(self, names: Iterable[str]) -> None:
        x, scores = (
            TensorSpec("x", "DT_FLOAT", (None, INPUTS)),
            TensorSpec("scores", "DT_FLOAT", (None, OUTPUTS)),
        )
        self.signatures = {name: Signature(name, "predict", {"x": x}, {"scores": scores}) for name in names}
        self._scores = np.random.default_rng(2).standard_normal((MOST_ROWS, OUTPUTS), np.float32)

    def run(
        self, signature: str, inputs: Mapping[str, npt.NDArray[np.generic]], outputs: Sequence[str]
    ) -> Mapping[str, npt.NDArray[np.generic]]:
        """As many rows as were asked."""
        del signature, outputs
        return {"scores": self._scores[: len(inputs["x"])]}


class _FreeLoader:
    """Has the servable already."""

    def __init__(self, servable: FreeServable) -> None:
        self.servable = servable

    def load(self) -> None:
        """Nothing to load."""

    def unload(self) -> None:
        """Nothing to unload."""


def _same(loader: _FreeLoader) -> _FreeLoader:
    return loader


def _none(_: object) -> NoReturn:
    raise NotImplementedError("this path has no transactions and reads no queue")


class _Topics:
    """A cluster that has the topics of the default settings."""

    def partition_counts(self) -> Mapping[str, int]:
        """One partition each."""
        return dict.fromkeys(("headrace.requests", "headrace.replies", "headrace.requests-dlt"), 1)

    def max_message_bytes(self, topics: Iterable[str]) -> Mapping[str, int]:
        """Kafka's own default."""
        del topics
        return {}


class IdlePath:
    """The request path that serves these layouts, given these polls again and again."""

    def __init__(self, wanted: Sequence[Layout], polls: Sequence[Sequence[bytes]]) -> None:
        topic = "headrace.requests"
        self.polls = [messages(topic, values) for values in polls]
        """The messages of each poll."""
        self.consumer = IdleConsumer(self.polls)
        self.producers: list[IdleProducer] = []
        largest = max(map(len, polls))
        settings = Settings(
            batching={"threads": 0},  # type: ignore[arg-type]  # pydantic makes the group
            delivery={  # type: ignore[arg-type]  # likewise
                "budget_rows": BUDGET_ROWS,
                "budget_bytes": BUDGET_BYTES,
                "poll_records": largest,
            },
        )
        table, manager = (
            ModelTable(),
            AspiredVersionsManager(surroundings=Surroundings(load_executor=InlineExecutor())),
        )
        for offset, name in enumerate(dict.fromkeys(model for model, _ in wanted)):
            servable = FreeServable([signature for model, signature in wanted if model == name])
            config = ModelConfig("/nowhere", versions=SpecificVersions((VERSION,)))
            table.apply(name.encode(), codec.encode(config), offset)
            loader = _FreeLoader(servable)
            manager.set_aspired_versions(
                name, [AspiredVersion(ServableId(name, VERSION), partial(_same, loader))]
            )
        while len(manager.available_ids()) < len({model for model, _ in wanted}):
            manager.step()
        directory = TopicDirectory(_Topics())
        directory.refresh()
        self._path = RequestPath(
            settings,
            Clients(lambda _: self.consumer, self._make_producer, _none, _none),
            table=table,
            manager=manager,
            directory=directory,
            catalog=default_catalog(),
            metrics=Metrics(new_registry()),
        )
        stop = StopFlag()
        stop.set()
        self._path.run(stop)

    @property
    def replies(self) -> int:
        """Replies sent so far."""
        return sum(producer.sent for producer in self.producers)

    def latest(self, count: int) -> list[bytes | None]:
        """The last of these replies, in no order; of small sends only."""
        return [value for producer in self.producers for value in producer.latest][-count:]

    def step(self) -> None:
        """One poll, answered."""
        self._path.reading.loop.step()

    def close(self) -> None:
        """End."""
        self._path.close()

    def _make_producer(self, kind: ProducerKind) -> IdleProducer:
        self.producers.append(IdleProducer(kind))
        return self.producers[-1]
