"""Every manifest fits Kubernetes' own schemas, strictly: a field that the API does not know is an error.

The schemas come with the kubernetes-validate package. Those of the Prometheus operator are not among them, so what we
use of its three kinds is written down here, after its API reference
(https://prometheus-operator.dev/docs/api-reference/api/).
"""

import json
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.k8s.manifests import NAMES, resources

# The oldest that the manifests are for, because of preStop's sleep, and the newest that the package knows.
OLDEST = "1.30"
VERSIONS = [OLDEST, kubernetes_validate.latest_version().rpartition(".")[0]]

DURATION = {"type": "string", "pattern": r"^\d+(s|m|h)$"}
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


SELECTOR = closed({"matchLabels": STRINGS}, "matchLabels")
ENDPOINTS = {
    "type": "array",
    "minItems": 1,
    "items": closed(
        {"port": {"type": "string"}, "path": {"type": "string"}, "interval": DURATION}, "port", "path"
    ),
}
RULE = closed(
    {
        "alert": {"type": "string", "pattern": "^SportVision[A-Za-z]+$"},
        "expr": {"type": "string"},
        "for": DURATION,
        "labels": STRINGS,
        "annotations": STRINGS,
    },
    "alert",
    "expr",
    "for",
    "labels",
    "annotations",
)
GROUP = closed(
    {
        "name": {"type": "string"},
        "interval": DURATION,
        "rules": {"type": "array", "minItems": 1, "items": RULE},
    },
    "name",
    "rules",
)
OPERATOR_SPECS = {
    "ServiceMonitor": closed({"selector": SELECTOR, "endpoints": ENDPOINTS}, "selector", "endpoints"),
    "PodMonitor": closed(
        {"selector": SELECTOR, "podMetricsEndpoints": ENDPOINTS}, "selector", "podMetricsEndpoints"
    ),
    "PrometheusRule": closed({"groups": {"type": "array", "minItems": 1, "items": GROUP}}, "groups"),
}


@cache
def check(text: str, version: str) -> None:
    """Check a resource, once: most are alike in every combination."""
    resource = json.loads(text)
    if resource["apiVersion"] == "monitoring.coreos.com/v1":
        jsonschema.validate(resource["spec"], OPERATOR_SPECS[resource["kind"]])
    else:
        assert kubernetes_validate.validate(resource, version, strict=True) == version


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_fits_the_schemas(name: str, version: str) -> None:
    assert resources(name)
    for resource in resources(name):
        check(json.dumps(resource), version)


def test_the_schemas_refuse_what_the_api_does_not_know() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, OLDEST, strict=True)
