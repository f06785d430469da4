"""`make results`: draws each kept result to docs/images, one plot a scenario, with a title that says what it shows.

Titles are made of the figures themselves, so that they are true of whatever was measured.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks import comparison, plot_shapes, report
from benchmarks.prepared_worker import FLAT

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DOTS_PER_INCH = 130
Content = Mapping[str, Any]


def main() -> int:
    """Draw every result that there is a plot for."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, draw in PLOTS.items():
        kept = report.RESULTS / f"{name}.json"
        if not kept.is_file():
            sys.stdout.write(f"{name}: no results; `make bench SCENARIO={name}` makes them\n")
            continue
        figure = draw(json.loads(kept.read_text(encoding="utf-8")))
        # Without the library's name and the time in it, the same figures give the same file.
        figure.savefig(IMAGES / f"{name}.png", dpi=DOTS_PER_INCH, metadata={"Software": None})
        sys.stdout.write(f"{name}: drawn\n")
    return 0


def column(content: Content, key: str) -> dict[str, float]:
    """One column of a result's table, by line."""
    return {line["name"]: line["values"][key] for line in content["lines"] if key in line["values"]}


def side_by_side(content: Content) -> Figure:
    """CPU a record of the baselines and of headrace."""
    costs = column(content, comparison.COST)
    by_echo, by_hand_loop = costs["headrace"] / costs["echo"], costs["hand loop"] / costs["headrace"]
    beside = ", with headers to copy" if content["settings"].get("headers") else ""
    title = (
        f"With models, batching and metrics, a record costs headrace {by_echo:.1f} times what consuming and "
        f"producing it costs; a hand-written loop needs {by_hand_loop:.1f} times headrace's CPU{beside}"
    )
    return plot_shapes.bars(title, costs, "CPU a record, µs (of the whole process)")


def latency(content: Content) -> Figure:
    """Percentiles of latency under an open loop."""
    medians = column(content, "p50_ms")
    more = medians["headrace"] - medians["echo"]
    rate = content["settings"]["rate"]
    title = f"At {rate:,.0f} requests a second, headrace's median is {more:.2f} ms above an echo's"
    return plot_shapes.percentiles(title, content["series"]["percentiles"], content["series"]["latency_ms"])


def beside_loads(content: Content, what_goes_on: str) -> Figure:
    """The largest latency of each tenth of a second, without and with loads."""
    series = content["series"]
    (quiet, quiet_p99), (loading, loading_p99) = column(content, "p99_ms").items()
    title = (
        f"While {what_goes_on} again and again, the small model's p99 is "
        f"{loading_p99 / quiet_p99:.1f} times what it is without ({loading_p99:.1f} ms, {quiet_p99:.1f} ms)"
    )
    curves = {name: series["over_time"][name][0]["max_ms"] for name in (quiet, loading)}
    each = series["bucket_seconds"]
    seconds = [n * each for n in range(max(map(len, curves.values())))]
    return plot_shapes.over_time(title, seconds, curves, f"largest latency of each {each:g} s, ms")


def memory(content: Content) -> Figure:
    """Resident memory after each unload."""
    (growth,) = column(content, "growth").values()
    curves = content["series"]["unloaded_mebibytes"]
    title = (
        f"After {len(curves[0])} loads and unloads of ResNet50, a worker's resident memory is {growth:.2f} times "
        f"what it was after two"
    )
    return plot_shapes.steps(title, curves, "unload", "resident memory, MiB")


def by_size(content: Content, what: str) -> Figure:
    """What a record costs by a number that lines begin with."""
    costs = {
        int(found.group(1)): cost
        for name, cost in column(content, comparison.COST).items()
        if (found := re.search(r"(?:1 of )?(\d+)", name)) and not name.startswith("all ")
    }
    first, *others = costs.values()
    furthest = max((abs(cost / first - 1) for cost in others), default=0.0)
    title = (
        f"From {min(costs)} to {max(costs)} {what}, the cost of a record changes by at most {furthest:.0%}"
    )
    return plot_shapes.sizes(title, costs, what, "CPU a record, µs", within=FLAT)


def mixed_layouts(content: Content) -> Figure:
    """What a row costs in one layout and in 32."""
    costs = column(content, "cpu_us_per_row")
    one, mixed, single, mixed_single = costs.values()
    title = (
        f"32 layouts mixed record by record cost {mixed / one:.1f} times one layout's CPU with 1 to 64 rows a record, "
        f"and {mixed_single / single:.1f} times with one row"
    )
    own = [name for name in costs if not name.startswith("one ")]
    return plot_shapes.bars(title, costs, "CPU a row, µs", own=own)


def large_records(content: Content) -> Figure:
    """Bytes a second of large requests."""
    rates = column(content, "megabytes")
    own = [name for name in rates if name.startswith("headrace")]
    least = min(target["measured"] for target in content["targets"])
    title = (
        f"With records of 150 KB, headrace takes in {least:.2f} of the bytes a second of a program that only "
        f"consumes and produces, or more"
    )
    return plot_shapes.bars(title, rates, "requests, MB/s", ",.0f", own)


def device(content: Content) -> Figure:
    """How much of the time a device works."""
    busy = {name: 100 * share for name, share in column(content, "busy").items()}
    title = f"A device that takes 10 ms a batch works up to {max(busy.values()):.1f} % of the time under load"
    return plot_shapes.bars(title, busy, "device busy, % of the time", ".1f", list(busy))


def replicas(content: Content) -> Figure:
    """What more replicas answer."""
    rates = column(content, "records_per_second")
    first, *_, last = rates.values()
    title = f"{list(rates)[-1].capitalize()} answer {last / first:.2f} times what one does"
    return plot_shapes.bars(title, rates, "records/s", ",.0f", list(rates))


def framework(content: Content) -> Figure:
    """Records a second of a core without Kafka and TensorFlow, by size of block."""
    rates = {name: rate / 1e6 for name, rate in column(content, "records_per_second").items()}
    one = max(rate for name, rate in rates.items() if name.startswith("one "))
    many = max(rate for name, rate in rates.items() if not name.startswith("one "))
    title = (
        f"Without Kafka and TensorFlow, a core does {one:.1f} million records a second of one layout, and "
        f"{many:.1f} million with 32 layouts mixed record by record"
    )
    own = [name for name in rates if name.startswith("one ")]
    return plot_shapes.bars(title, rates, "million records/s a core", own=own)


def lookup_table(content: Content) -> Figure:
    """Look-ups a second of a core, of each table."""
    rates = {name: rate / 1e6 for name, rate in column(content, "lookups_per_second").items()}
    own = [name for name in rates if "headrace" in name]
    kinds = {kind: max(rates[name] for name in own if name.startswith(kind)) for kind in ("int64", "string")}
    title = (
        f"In a table of {content['settings']['keys'] / 1e6:g} million keys that lies in files, a core looks up "
        f"{kinds['int64']:.1f} million int64 keys a second, or {kinds['string']:.1f} million strings"
    )
    return plot_shapes.bars(title, rates, "million look-ups/s a core", own=own)


def stuck(content: Content) -> Figure:
    """The 99th percentile alone and beside a stuck model."""
    p99 = column(content, "p99_ms")
    alone, beside = p99.values()
    title = f"Beside a model that never returns, another's p99 is {beside / alone:.2f} times what it is alone"
    return plot_shapes.bars(title, p99, "p99, ms", ".1f", list(p99))


def priorities(content: Content) -> Figure:
    """The 99th percentile of urgent requests alone, and beside bulk work of lower and of the same priority."""
    p99 = column(content, "p99_ms")
    alone, first = list(p99.values())[:2]
    busy = list(column(content, "busy").values())[1]
    title = (
        f"While bulk work has the device for {busy:.0f} % of the time, the p99 of urgent requests is "
        f"{first / alone:.2f} times what it is alone"
    )
    return plot_shapes.bars(title, p99, "p99, ms", ".1f", list(p99))


def resident(content: Content) -> Figure:
    """The most memory of a worker, by what it is given."""
    peaks = column(content, "peak")
    most = max(column(content, "by_budget").values())
    title = f"Whatever it is given, a worker takes at most {most:.1f} times its budget more than an idle one"
    return plot_shapes.bars(title, peaks, "most resident memory, MiB", ",.0f", list(peaks))


def policies(content: Content) -> Figure:
    """The p99 of three policies by load, one panel for each kind of load; by the lowest of the three."""
    ratios = column(content, "p99_by_better").values()
    title = (
        f"As it is, headrace's p99 is {min(ratios):.2f} to {max(ratios):.2f} times that of the better of TensorFlow's "
        f"and Triton's policies, which are tuned for each of {len(ratios)} loads"
    )
    kept = content["series"]["p99_ms"]
    loads = [100 * load for load in next(iter(kept.values()))["loads"]]
    curves = {}
    for panel, of_panel in kept.items():
        p99 = {name: values for name, values in of_panel.items() if name != "loads"}
        lowest = [min(at_load) for at_load in zip(*p99.values(), strict=True)]
        curves[panel] = {
            name: [value / least for value, least in zip(values, lowest, strict=True)]
            for name, values in p99.items()
        }
    return plot_shapes.panels(title, curves, loads, ("load, %", "p99 by the lowest"))


def deadlines(content: Content) -> Figure:
    """The share of urgent requests that is too late, by load, one panel for each kind of load."""
    own = max(column(content, "own_missed").values())
    better = max(
        min(pair)
        for pair in zip(
            column(content, "tensorflow_missed").values(),
            column(content, "triton_missed").values(),
            strict=True,
        )
    )
    title = (
        f"Among bulk work at most {own:.2g} % of urgent requests are too late; with the better of TensorFlow's and "
        f"Triton's policies, tuned for each load, up to {better:.0f} %"
    )
    kept = content["series"]["missed"]
    loads = [100 * load for load in next(iter(kept.values()))["loads"]]
    curves = {
        panel: {name: values for name, values in of_panel.items() if name != "loads"}
        for panel, of_panel in kept.items()
    }
    return plot_shapes.panels(title, curves, loads, ("load, %", "urgent requests too late, %"))


def delivery(content: Content) -> Figure:
    """Records a second by each way of delivery."""
    rates = column(content, comparison.RATE)
    share = rates["exactly once"] / rates["at least once"]
    title = f"Exactly once, headrace answers {share:.2f} of what it answers at least once"
    return plot_shapes.bars(title, rates, "records/s", ",.0f", list(rates))


def peers(content: Content) -> Figure:
    """Records a second of MLServer and of headrace."""
    rates = column(content, comparison.RATE)
    best = max(rate for name, rate in rates.items() if name.startswith("MLServer"))
    times = rates["headrace"] / best
    title = (
        f"With the same model and broker, headrace answers {times:,.0f} times as many requests as MLServer"
    )
    return plot_shapes.bars(title, rates, "records/s, on one core", ",.0f")


def start_up(content: Content) -> Figure:
    """Seconds until a new worker serves, several loads at once beside one after the other."""
    seconds = column(content, "seconds")
    *_, stored, in_a_row = seconds.values()
    title = (
        f"Where files take their time to come, a new worker serves {in_a_row / stored:.1f} times as soon "
        "by loading several models at once"
    )
    return plot_shapes.bars(title, seconds, "seconds until 190 models are served", ".0f")


PLOTS: Mapping[str, Callable[[Content], Figure]] = {
    "small_records": side_by_side,
    "with_headers": side_by_side,
    "framework": framework,
    "lookup_table": lookup_table,
    "latency": latency,
    "load_tail": lambda content: beside_loads(content, "ResNet50 loads, warms up and unloads"),
    "apply_tail": lambda content: beside_loads(content, "200 models load and unload"),
    "apply_thousand": lambda content: beside_loads(content, "1,000 models load and unload"),
    "start_up": start_up,
    "memory": memory,
    "partitions": lambda content: by_size(content, "partitions"),
    "models": lambda content: by_size(content, "loaded models"),
    "mixed_layouts": mixed_layouts,
    "large_records": large_records,
    "delivery": delivery,
    "policies": policies,
    "deadlines": deadlines,
    "stuck": stuck,
    "priorities": priorities,
    "resident": resident,
    "peers": peers,
    "device": device,
    "replicas": replicas,
}
"""Scenarios whose figures are better looked at than read, and how each is drawn."""

if __name__ == "__main__":
    sys.exit(main())
