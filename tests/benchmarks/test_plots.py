"""Every kept result that is better looked at than read has a plot that can be drawn from its JSON alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import catalogue, plots


def kept(
    lines: Mapping[str, Mapping[str, float]],
    series: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """As much of a results file as plots look at."""
    return {
        "lines": [{"name": name, "values": values} for name, values in lines.items()],
        "series": series or {},
        "settings": settings or {},
        "targets": [{"text": "", "measured": 0.9, "bound": 0.8, "at_most": False}],
    }


def costs(**of: float) -> dict[str, dict[str, float]]:
    """Lines with a cost a record and a row each."""
    return {
        name.replace("_", " "): {"cpu_us_per_record": cost, "cpu_us_per_row": cost}
        for name, cost in of.items()
    }


SHARES = [0.0, 50.0, 90.0, 99.0, 99.9]
BASELINES = costs(echo=3.0, hand_loop=24.0, headrace=4.8)
RESULTS: dict[str, dict[str, Any]] = {
    "small_records": kept(BASELINES),
    "with_headers": kept(BASELINES, settings={"headers": True}),
    "framework": kept(
        {
            "one layout, blocks of 512": {"records_per_second": 2.5e6},
            "32 layouts record by record, polls of 2,048": {"records_per_second": 0.9e6},
        }
    ),
    "lookup_table": kept(
        {
            "int64 keys: headrace, blocks of 8,192": {"lookups_per_second": 5e6},
            "int64 keys: dict, blocks of 8,192": {"lookups_per_second": 2e6},
            "string keys: headrace, blocks of 8,192": {"lookups_per_second": 2e6},
        },
        settings={"keys": 10_000_000},
    ),
    "latency": kept(
        {"echo": {"p50_ms": 0.7}, "headrace": {"p50_ms": 1.2}},
        {"percentiles": SHARES, "latency_ms": {"echo": [0.1, 0.7, 1, 2, 4], "headrace": [0.2, 1.2, 2, 3, 5]}},
        {"rate": 1000},
    ),
    "load_tail": kept(
        {"quiet": {"p99_ms": 2.0}, "loading": {"p99_ms": 5.0}},
        {
            "bucket_seconds": 0.1,
            "over_time": {"quiet": [{"max_ms": [1.0, 2.0]}], "loading": [{"max_ms": [3.0, 9.0]}]},
        },
    ),
    "start_up": kept(
        {"local": {"seconds": 20.0}, "local, in a row": {"seconds": 21.0}}
        | {"stored": {"seconds": 25.0}, "stored, in a row": {"seconds": 75.0}}
    ),
    "memory": kept({"headrace": {"growth": 1.02}}, {"unloaded_mebibytes": [[600.0, 640.0, 650.0]]}),
    "partitions": kept(costs(**{"1 partition": 4.0, "64 partitions": 4.4})),
    "models": kept(
        costs(**{"1 of 1 models asked": 4.0, "1 of 256 models asked": 4.1, "all 256 models": 9.0})
    ),
    "mixed_layouts": kept(
        costs(**{"one layout, 64": 1.0, "32, 64": 1.1, "one layout, 1": 5.0, "32, 1": 7.0})
    ),
    "large_records": kept({"baseline, x": {"megabytes": 900.0}, "headrace, x": {"megabytes": 800.0}}),
    "peers": kept({"MLServer": {"records_per_second": 900.0}, "headrace": {"records_per_second": 180_000.0}}),
    "delivery": kept(
        {
            "at least once": {"records_per_second": 300_000.0},
            "exactly once": {"records_per_second": 200_000.0},
        }
    ),
    "resident": kept(
        {"idle": {"peak": 100.0, "by_budget": 0.0}, "small requests": {"peak": 400.0, "by_budget": 1.2}}
    ),
    "priorities": kept(
        {
            "alone": {"p99_ms": 5.0, "busy": 0.0},
            "lower": {"p99_ms": 6.0, "busy": 70.0},
            "lower, in short batches": {"p99_ms": 5.5, "busy": 70.0},
            "same": {"p99_ms": 9.0, "busy": 70.0},
        }
    ),
    "stuck": kept({"alone": {"p99_ms": 5.0}, "beside a stuck model": {"p99_ms": 5.5}}),
    "policies": kept(
        {"a load": {"p99_by_better": 1.0}, "another": {"p99_by_better": 1.25}},
        {
            "p99_ms": {
                f"panel {number}": {"loads": [0.3, 0.9], "TensorFlow's": [1, 2], "headrace": [1.5, 3]}
                for number in range(4)
            }
        },
    ),
    "deadlines": kept(
        {
            "a load": {"own_missed": 0.0, "tensorflow_missed": 1.0, "triton_missed": 2.0},
            "another": {"own_missed": 0.1, "tensorflow_missed": 100.0, "triton_missed": 99.0},
        },
        {
            "missed": {
                f"panel {number}": {"loads": [0.3, 0.9], "TensorFlow's": [1, 2], "headrace": [0.0, 0.1]}
                for number in range(4)
            }
        },
    ),
    "device": kept({"batching.threads = 1": {"busy": 0.95}, "batching.threads = 2": {"busy": 0.99}}),
    "replicas": kept(
        {"1 replica": {"records_per_second": 3000.0}, "4 replicas": {"records_per_second": 11900.0}}
    ),
}
RESULTS["apply_tail"] = RESULTS["apply_thousand"] = RESULTS["load_tail"]


@pytest.mark.parametrize("name", plots.PLOTS)
def test_a_plot_is_drawn_with_a_title_that_tells_figures(name: str, tmp_path: Path) -> None:
    """The title has a number of the result in it, and the file is an image."""
    figure = plots.PLOTS[name](RESULTS[name])
    figure.savefig(tmp_path / "plot.png")

    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert any(letter.isdigit() for letter in figure.get_suptitle())


def test_the_cost_by_size_leaves_out_what_is_no_size() -> None:
    """A line that asks all models is not one of the sizes; the change is the furthest from the first."""
    title = plots.by_size(RESULTS["models"], "models").get_suptitle()

    assert "From 1 to 256 models" in title.replace("\n", " ")
    assert "at most 2%" in title.replace("\n", " ")


def test_every_plot_is_of_a_scenario() -> None:
    """No plot is left over from a scenario that has gone."""
    assert set(plots.PLOTS) <= set(catalogue.names())
