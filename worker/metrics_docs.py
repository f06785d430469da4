"""Writes `docs/metrics.md` from the list of metrics: `python -m worker.metrics_docs`."""

import sys
from pathlib import Path

from worker.metrics_kinds import Kind, Metric
from worker.metrics_list import METRICS

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"

_INTRODUCTION = """# Metrics

Generated from `worker/metrics_list.py` by `python -m worker.metrics_docs`; change it there.

A worker shows them at `/metrics` (settings `http.host`, `http.port`), beside the process' own (`process_*`:
memory, CPU time, open files). A label never holds what a requester wrote: a model that the control topic
does not name is counted under an empty model. A histogram has the series `…_bucket`, `…_sum` and `…_count`.

Useful queries:

| question | query |
| --- | --- |
| requests a second, by model and code | `sum by (model, code) (rate(headrace_requests_total[1m]))` |
| 99th percentile of the latency | `histogram_quantile(0.99, sum by (le, model) \
(rate(headrace_request_latency_seconds_bucket[5m])))` |
| mean rows of a batch | `sum by (model) (rate(headrace_batch_rows_sum[1m])) / sum by (model) \
(rate(headrace_batch_rows_count[1m]))` |
| records behind | `sum by (topic) (headrace_consumer_lag_records)` |
| versions that failed | `headrace_model_state{state="END"} == 1` |
"""


def page() -> str:
    """The whole page."""
    rows = [
        "| metric | type | unit | labels | meaning |",
        "| --- | --- | --- | --- | --- |",
        *map(_row, METRICS),
    ]
    bounds = [
        f"- `{metric.name}`: {', '.join(f'{bound:g}' for bound in metric.bounds)}"
        for metric in METRICS
        if metric.kind is Kind.HISTOGRAM
    ]
    return "\n".join([_INTRODUCTION, *rows, "", "Bounds of the histograms' buckets:", "", *bounds, ""])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind.value} | {metric.unit} | {labels} | {metric.meaning} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
