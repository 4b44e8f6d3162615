"""The gateway's metrics as docs/operations.md lists them, and what queries use."""

import re
from dataclasses import dataclass
from functools import cache

from tests.k8s.manifests import ROOT

TABLE = ROOT / "docs" / "operations.md"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
# Labels that Prometheus adds when it scrapes a pod.
SCRAPED = {"namespace", "pod", "job", "instance"}


@dataclass(frozen=True)
class Metric:
    """A metric's labels, those of its scraping and of its buckets among them."""

    labels: frozenset[str]


@cache
def documented_metrics() -> dict[str, Metric]:
    """Return the series that the table promises, histograms by their three series."""
    rows = re.findall(
        r"^\| `(sportvision_\w+)` \| (\w+) \| ([^|]*)\|", TABLE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows
    found = {}
    for name, kind, labels in rows:
        own = set(re.findall(r"`(\w+)`", labels))
        for suffix in SUFFIXES[kind]:
            extra = {"le"} if suffix == "_bucket" else set()
            found[f"{name}{suffix}"] = Metric(frozenset(own | extra | SCRAPED))
    return found


def metrics_in(query: str) -> set[str]:
    """Return the names of our metrics in a PromQL expression."""
    return set(re.findall(r"\bsportvision_\w+", query))


def labels_in(query: str) -> dict[str, set[str]]:
    """Return, by metric, the labels that matchers ask of it."""
    found: dict[str, set[str]] = {}
    for name, matchers in re.findall(r"\b(sportvision_\w+)(?:\{([^}]*)\})?", query):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers))
    return found


def grouping_labels(query: str) -> set[str]:
    """Return the labels in by (...) and on (...)."""
    groups = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query)
    return {label.strip() for group in groups for label in group.split(",") if label.strip()}
