"""Prometheus' configuration and Grafana's dashboard: each query names what a worker shows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.metrics_kinds import PREFIX
from worker.metrics_list import METRICS
from worker.settings_loading import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/headrace.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
LABELS = {series: {*metric.labels} for metric in METRICS for series in metric.series}
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
FROM_PROMETHEUS = {"instance", "job"}
WORDS = {
    *("sum", "by", "rate", "increase", "histogram_quantile"),
    *FROM_PROMETHEUS,
    "le",
}


def names(text: str) -> set[str]:
    """Every identifier in a query, outside of quotes and ranges."""
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", re.sub(r'"[^"]*"|\[[^]]*\]|\b[0-9.e]+\b', " ", text)))


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_names_existing_metrics_and_labels(query: str) -> None:
    """A renamed metric would leave an empty panel, which nobody notices."""
    used = names(query)
    series = used & (LABELS.keys() | PROCESS)
    labels = set().union(*(LABELS.get(name, set()) for name in series))

    assert series
    assert {name for name in used if name.startswith(PREFIX)} <= LABELS.keys()
    assert used - series - labels - WORDS == set()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_each_legend_names_labels_that_its_query_keeps(panel: dict[str, Any]) -> None:
    """A legend with a label that was summed away shows a blank."""
    for target in panel["targets"]:
        wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        kept = re.search(r"by \(([^)]*)\)", target["expr"])
        available = set(re.split(r",\s*", kept[1])) if kept else names(target["expr"]) | FROM_PROMETHEUS
        assert wanted <= available, target["expr"]


def test_each_series_exists_for_the_kind_of_its_metric() -> None:
    """Counters are queried by their rate or increase, never as they stand."""
    counters = {m.name for m in METRICS if m.kind.value == "counter"}
    bare = [q for q in QUERIES for c in counters & names(q) if not re.search(rf"(rate|increase)\({c}\b", q)]

    assert bare == []


def test_panels_have_titles_explanations_and_places_of_their_own() -> None:
    """Two panels in one place hide each other."""
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in PANELS]

    assert all(panel["title"] and panel["description"] for panel in PANELS)
    assert len(set(places)) == len(places) == len({panel["id"] for panel in PANELS})


def test_every_panel_uses_the_provisioned_datasource() -> None:
    """By its uid, so that nothing must be chosen by hand."""
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    uids = {source["uid"] for source in sources["datasources"]}

    assert {panel["datasource"]["uid"] for panel in PANELS} <= uids


def test_prometheus_scrapes_the_port_and_page_that_workers_serve() -> None:
    """Under the name of the compose service, at Prometheus' default path."""
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    settings = load_settings({}, compose["services"]["worker"]["environment"]).settings
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]

    assert (discovery["names"], discovery["type"], discovery["port"]) == (["worker"], "A", settings.http.port)
    assert job.get("metrics_path", "/metrics") == "/metrics"
    assert settings.http.host == "0.0.0.0"


def test_the_dashboard_is_found_where_it_is_mounted() -> None:
    """Provider, mount and home page agree."""
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    grafana = compose["services"]["grafana"]
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/headrace.yml").read_text())
    folder = provider["providers"][0]["options"]["path"]

    assert f"./deploy/grafana/dashboards:{folder}:ro" in grafana["volumes"]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/headrace.json"
