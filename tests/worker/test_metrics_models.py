"""Series of a model or version that was removed go, once their last counts have been read; no others do."""

from prometheus_client import CollectorRegistry

from lifecycle.errors import PermanentLoadFailure
from tests.fakes.request_path import Lab, Worker, request
from worker.metrics_models import GONE_SECONDS, LOOK_SECONDS, ModelSeries
from worker.metrics_observers import ModelMetrics

OFFSETS = iter(range(1000, 2000))


def series_of(registry: CollectorRegistry, model: str) -> set[str]:
    """The names of the series that a model has."""
    return {s.name for f in registry.collect() for s in f.samples if s.labels.get("model") == model}


class House:
    """A worker with models, and what looks after their series."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.worker: Worker = self.lab.worker()
        self.lab.manager.bus.subscribe(ModelMetrics(self.worker.metrics))
        self.series = ModelSeries(
            self.worker.metrics, self.lab.table, self.lab.manager.states, clock=self.lab.clock
        )

    def remove(self, model: str) -> None:
        """Take a model from the control topic, and let its versions go."""
        self.lab.table.apply(model.encode(), None, next(OFFSETS))
        self.lab.manager.set_aspired_versions(model, [])
        self.lab.settle_models()

    def later(self, seconds: float) -> None:
        """Let time pass, looking as often as the thread does."""
        end = self.lab.clock() + seconds
        while self.lab.clock() < end:
            self.series.step()
            self.lab.clock.advance(1.0)
        self.series.step()

    def has(self, model: str) -> set[str]:
        """The names of the series that a model has."""
        return series_of(self.worker.metrics.registry, model)

    def ask(self, *models: str) -> None:
        """A request for each, answered."""
        before = self.lab.committed()
        for model in models:
            self.lab.send(request(1, id=f"{model} {before}", model=model))
        self.worker.until_committed(before + len(models))
        self.worker.run_for(1.1)  # the gauges


def test_the_series_of_a_removed_model_go_after_a_while() -> None:
    """All of them, and only then; those of others, and of requests for it, stay as they are."""
    house = House()
    for model in ("m", "other"):
        house.lab.set_model(model)
    house.worker.join()
    house.ask("m", "other")
    all_of_it = house.has("m")
    assert all_of_it == house.has("other")
    assert len(all_of_it) > 10
    house.later(10 * GONE_SECONDS)
    assert house.has("m") == all_of_it

    house.remove("m")
    house.later(GONE_SECONDS - LOOK_SECONDS)
    left = house.has("m")
    assert {"headrace_requests_total", "headrace_model_loads_total"} <= left
    house.ask("m")
    house.later(2 * LOOK_SECONDS)

    assert house.has("m") == set()
    assert house.has("other") == all_of_it
    unknown = {"model": "", "version": "", "signature": "", "code": "NOT_FOUND"}
    assert house.worker.metric("headrace_requests_total", **unknown) == 1
    house.ask("m")
    house.later(GONE_SECONDS)
    assert house.worker.metric("headrace_requests_total", **unknown) == 2
    assert house.has("m") == set()


def test_a_model_that_comes_back_in_time_keeps_its_counts() -> None:
    """One that comes later begins anew; its wait begins anew too."""
    house = House()
    house.lab.set_model()
    house.worker.join()
    house.ask("m")
    answered = {"model": "m", "version": "1", "signature": "serving_default", "code": "OK"}
    house.remove("m")
    house.later(GONE_SECONDS / 2)
    house.lab.set_model()
    house.ask("m")
    house.later(2 * GONE_SECONDS)
    assert house.worker.metric("headrace_requests_total", **answered) == 2

    house.remove("m")
    house.later(GONE_SECONDS + 2 * LOOK_SECONDS)
    assert house.has("m") == set()
    house.lab.set_model()
    house.ask("m")

    assert house.worker.metric("headrace_requests_total", **answered) == 1
    assert "headrace_queue_rows" in house.has("m")


def versions_of(house: House, model: str) -> dict[str, set[str]]:
    """The names of the series that each version of a model has."""
    found: dict[str, set[str]] = {}
    for family in house.worker.metrics.registry.collect():
        for sample in family.samples:
            if sample.labels.get("model") == model and "version" in sample.labels:
                found.setdefault(sample.labels["version"], set()).add(sample.name)
    return found


def test_the_series_of_a_version_go_while_its_model_stays() -> None:
    """A model that gets a new version every hour does not fill the memory of who stores its series."""
    house = House()
    house.lab.set_model()
    house.worker.join()
    house.ask("m")
    of_first = versions_of(house, "m")["1"]
    assert {"headrace_requests_total", "headrace_batch_run_seconds_count"} <= of_first
    house.lab.set_model(versions=(2,))
    house.lab.settle_models()
    house.ask("m")
    house.later(GONE_SECONDS - LOOK_SECONDS)
    assert "headrace_requests_total" in versions_of(house, "m")["1"]

    house.later(3 * LOOK_SECONDS)

    assert versions_of(house, "m") == {"2": of_first}
    assert "headrace_batch_rows_count" in house.has("m")


def test_a_version_that_nobody_has_loaded_keeps_its_counts() -> None:
    """While none of its model is loaded, as with a lazy model between two requests."""
    house = House()
    house.lab.set_model()
    house.worker.join()
    house.ask("m")
    house.lab.manager.set_aspired_versions("m", [])
    house.lab.settle_models()

    house.later(3 * GONE_SECONDS)

    assert "headrace_requests_total" in versions_of(house, "m")["1"]


def test_a_model_that_never_loaded_goes_too() -> None:
    """Its failed version is shown for as long as it is wanted."""
    house = House()
    house.lab.set_model("broken", failures={1: PermanentLoadFailure("no such file")})
    house.later(2 * GONE_SECONDS)
    state = {"model": "broken", "version": "1", "state": "END"}
    assert house.worker.metric("headrace_model_state", **state) == 1

    house.remove("broken")
    house.later(GONE_SECONDS + 2 * LOOK_SECONDS)

    assert house.has("broken") == set()
    house.worker.close()


def test_a_model_of_which_a_version_is_left_keeps_its_series() -> None:
    """A version stays while requests have it, long after its model was removed."""
    house = House()
    house.lab.set_model()
    house.worker.join()
    house.ask("m")
    with house.lab.manager.handle("m"):
        house.remove("m")
        house.later(3 * GONE_SECONDS)
        assert "headrace_requests_total" in house.has("m")
    house.lab.settle_models()
    house.later(GONE_SECONDS + 2 * LOOK_SECONDS)

    assert house.has("m") == set()
