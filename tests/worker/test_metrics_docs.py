"""The page about metrics is what the list of metrics says."""

from worker import metrics_docs
from worker.metrics_list import METRICS


def test_the_page_is_current() -> None:
    """After a change of a metric: `python -m worker.metrics_docs`."""
    assert metrics_docs.PAGE.read_text(encoding="utf-8") == metrics_docs.page()


def test_every_metric_is_on_the_page() -> None:
    """With its labels."""
    page = metrics_docs.page()

    assert [metric.name for metric in METRICS if f"| `{metric.name}` |" not in page] == []
