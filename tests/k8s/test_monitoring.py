"""Scraping, alerts and the dashboard use what is there: ports, paths, the metrics of docs/operations.md."""

import json
import re
from typing import Any

import pytest

from tests.k8s.manifests import NAMES, ROOT, flags, main_container, of_kind, one, pods, selects
from tests.k8s.metrics_table import documented_metrics, grouping_labels, labels_in, metrics_in

MONITORED = [name for name in NAMES if of_kind(name, "PrometheusRule")]
RUNBOOK = ROOT / "docs" / "runbook.md"
DASHBOARD = ROOT / "k8s" / "components" / "monitoring" / "dashboard.json"


def rules() -> list[dict[str, Any]]:
    groups = [group for rule in of_kind(MONITORED[0], "PrometheusRule") for group in rule["spec"]["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


QUERIES = [(rule["alert"], rule["expr"]) for rule in rules()] + [
    (panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]
]


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_queries_use_documented_metrics_and_their_labels(where: str, query: str) -> None:
    known = documented_metrics()
    assert metrics_in(query), "asks for no metric of ours"
    for name, labels in labels_in(query).items():
        assert name in known, f"{where}: {name} is not in docs/operations.md"
        assert labels <= known[name].labels, f"{where}: {name} has no {labels - known[name].labels}"
    of_all = frozenset.union(*(known[name].labels for name in metrics_in(query)))
    assert grouping_labels(query) <= of_all, where


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_queries_are_balanced_and_rate_counters(where: str, query: str) -> None:
    assert query.count("(") == query.count(")")
    assert query.count("{") == query.count("}")
    for counter in re.findall(r"sportvision_\w+_(?:total|bucket|sum|count)\b", query):
        for before in re.split(re.escape(counter) + r"\b", query)[:-1]:
            assert re.search(r"\b(?:rate|increase)\($", before.rstrip()), f"{where}: {counter} without rate"


@pytest.mark.parametrize("name", MONITORED)
def test_the_scraper_finds_ports_and_paths(name: str) -> None:
    (gateway,) = of_kind(name, "ServiceMonitor")
    (endpoint,) = gateway["spec"]["endpoints"]
    (service,) = [
        one
        for one in of_kind(name, "Service")
        if selects(gateway["spec"]["selector"], one["metadata"].get("labels", {}))
    ]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    documented = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"`GET {endpoint['path']}`" in documented

    (servers,) = of_kind(name, "PodMonitor")
    (endpoint,) = servers["spec"]["podMetricsEndpoints"]
    chosen = [spec for _, spec, labels in pods(name) if selects(servers["spec"]["selector"], labels)]
    (container,) = [main_container(spec) for spec in chosen]
    (port,) = [one for one in container["ports"] if one["name"] == endpoint["port"]]
    assert flags(container)["rest_api_port"] == str(port["containerPort"])
    monitoring = (ROOT / "serving_config" / "monitoring.config").read_text(encoding="utf-8")
    assert re.findall(r'^\s*path: "(.*)"$', monitoring, re.MULTILINE) == [endpoint["path"]]


@pytest.mark.parametrize("name", MONITORED)
def test_the_dashboard_is_the_very_file(name: str) -> None:
    config_map = one(name, "ConfigMap", "sportvision-dashboard")
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["data"] == {"dashboard.json": DASHBOARD.read_text(encoding="utf-8")}


def test_the_dashboards_panels_lie_side_by_side() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    places: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not places & cells, panel["title"]
        places |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        metric for panel in panels() for target in panel["targets"] for metric in metrics_in(target["expr"])
    }
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    documented = {re.sub(r"_(bucket|sum|count)$", "", name) for name in documented_metrics()}
    assert documented - stems == set()


def test_every_alert_has_its_lines_in_the_runbook() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    assert sorted(headings) == sorted(names)
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
