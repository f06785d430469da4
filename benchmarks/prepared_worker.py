"""headrace alone, answering one topic again and again: for scenarios whose peers are other sizes of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks import measuring
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.measuring import Result
from benchmarks.mixed_load import Mix, fill
from benchmarks.processes import started
from benchmarks.scenario import Column, Line, Target
from benchmarks.topics import PARTITIONS, Topics
from benchmarks.turns import listed
from schemas.model_config import ModelConfig

FLAT = 0.2
"""How far a cost that counts as flat may lie from the first size's."""
COLUMNS = (
    Column("records_per_second", "records/s", ",.0f"),
    Column("rows_per_second", "rows/s", ",.0f"),
    Column("cpu_us_per_record", "CPU µs a record"),
    Column("cpu_us_per_row", "CPU µs a row", ",.3f"),
    Column("spread", "spread", ".0%"),
)


class PreparedWorker:
    """Topics, models and requests of one size; each run is a new worker in a new group."""

    def __init__(
        self,
        bootstrap_servers: str,
        models: Mapping[str, ModelConfig],
        mix: Mix,
        records: int,
        partitions: int = PARTITIONS,
    ) -> None:
        """Make the topics, set the models, write the requests to so many partitions; replies go to four.

        Raises:
            KafkaProblem: the broker refuses something.
            TimeoutError: the broker did not take it all.
        """
        self._topics = Topics(bootstrap_servers)
        self._topics.set_models(models)
        self._requests = self._topics.fresh_requests(partitions)
        self._replies = self._topics.fresh_replies()
        self._records = records
        self.rows_each = sum(mix.rows(records)) / records
        """Rows of a request, on average."""
        fill(bootstrap_servers, self._requests, mix, records)

    def run(self, settings: Mapping[str, object] | None = None) -> Result:
        """Answer all requests, once, by a worker with the usual settings or others, by their dotted names.

        Raises:
            ChildProcessError: the worker has ended.
            TimeoutError: not all replies have come in time.
        """
        job = Job(self._topics.where.bootstrap_servers, new_group(), self._requests, self._replies, model="")
        command, environment = headrace_command(job, self._topics, settings)
        before = self._topics.end(self._replies)
        # A model in NumPy must not start threads that wait for each other on the one core.
        with started(command, {**environment, "OPENBLAS_NUM_THREADS": "1"}) as process:
            samples = measuring.watch(
                process, lambda: self._topics.end(self._replies) - before, self._records
            )
        return measuring.result(samples, self._records)


def line(name: str, rows_each: float, results: Sequence[Result]) -> Line:
    """Medians of one size's runs, by record and by row."""
    rate = median(result.records_per_second for result in results)
    costs = [result.cpu_us_per_record for result in results]
    cost = median(costs)
    values = {
        "records_per_second": rate,
        "rows_per_second": rate * rows_each,
        "cpu_us_per_record": cost,
        "cpu_us_per_row": cost / rows_each,
        "spread": measuring.spread(costs),
    }
    return Line(name, values)


def runs(results: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Every single run, for the JSON file."""
    return listed(results, asdict, "size")


def flat_targets(lines: Sequence[Line]) -> list[Target]:
    """That no size's cost a record lies further than `FLAT` from the first one's, in either direction."""
    first, *others = lines
    by_first = {
        each.name: each.values["cpu_us_per_record"] / first.values["cpu_us_per_record"] for each in others
    }
    return [
        *(Target(f"CPU a record, {name} by {first.name}", by, 1 + FLAT) for name, by in by_first.items()),
        Target(
            f"CPU a record, the cheapest by {first.name}", min(by_first.values()), 1 - FLAT, at_most=False
        ),
    ]
