"""What one manifest says of another holds: selectors, ports, names, budgets, autoscalers, the way in."""

from functools import cache
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from app.traffic_settings import CANARY_LABEL
from rollout.config_file import ConfigFile
from tests.k8s.manifests import K8S, NAMES, main_container, of_kind, one, pods, selects
from tests.k8s.metrics_table import documented_metrics, metrics_in

WITH_AUTOSCALERS = [name for name in NAMES if of_kind(name, "HorizontalPodAutoscaler")]
WITH_INGRESS = [name for name in NAMES if of_kind(name, "Ingress")]
WITH_CANARY = ["canary", "everything"]
# Of the app's routes, those that are nobody's business outside.
INSIDE = {"/healthz", "/readyz", "/metrics"}


@pytest.mark.parametrize("name", NAMES)
def test_every_deployment_selects_its_own_pods_and_no_others(name: str) -> None:
    for deployment in of_kind(name, "Deployment"):
        chosen = [pod for pod, _, labels in pods(name) if selects(deployment["spec"]["selector"], labels)]
        assert chosen == [deployment["metadata"]["name"]]


@pytest.mark.parametrize("name", NAMES)
def test_every_service_reaches_pods_that_have_its_ports(name: str) -> None:
    for service in of_kind(name, "Service"):
        chosen = [
            spec for _, spec, labels in pods(name) if service["spec"]["selector"].items() <= labels.items()
        ]
        assert chosen, service["metadata"]["name"]
        for port in service["spec"]["ports"]:
            for spec in chosen:
                assert port["targetPort"] in {open_["name"] for open_ in main_container(spec)["ports"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_gateways_find_every_model_server_by_itself(name: str) -> None:
    service = one(name, "Service", "model-server")
    # Headless: one virtual address would pin a gRPC client to one server.
    assert service["spec"]["clusterIP"] == "None"
    (port,) = service["spec"]["ports"]
    for pod, spec, _ in pods(name):
        if pod.startswith("gateway"):
            values = {one["name"]: one.get("value") for one in main_container(spec)["env"]}
            assert values["SPORTVISION_MODEL_SERVER"] == f"dns:///model-server:{port['port']}"


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_has_a_service_account_of_the_same_combination(name: str) -> None:
    accounts = {one["metadata"]["name"]: one for one in of_kind(name, "ServiceAccount")}
    for _, spec, _ in pods(name):
        assert accounts[spec["serviceAccountName"]]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_has_one_disruption_budget_that_lets_nodes_be_drained(name: str) -> None:
    budgets = of_kind(name, "PodDisruptionBudget")
    for pod, _, labels in pods(name):
        (budget,) = [one for one in budgets if selects(one["spec"]["selector"], labels)]
        assert budget["spec"]["maxUnavailable"] == 1, pod
    for budget in budgets:
        assert any(selects(budget["spec"]["selector"], labels) for _, _, labels in pods(name))


@pytest.mark.parametrize("name", WITH_AUTOSCALERS)
def test_autoscalers_scale_what_is_there_and_alone(name: str) -> None:
    deployments = {one["metadata"]["name"]: one for one in of_kind(name, "Deployment")}
    for scaler in of_kind(name, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        deployment = deployments[target["name"]]
        assert (target["apiVersion"], target["kind"]) == ("apps/v1", "Deployment")
        # A number of its own would be set back at every `kubectl apply`.
        assert "replicas" not in deployment["spec"]
        # A budget of one pod and a zone's loss both need a second one.
        assert 2 <= scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]


@pytest.mark.parametrize("name", WITH_AUTOSCALERS)
def test_autoscalers_follow_metrics_that_the_adapter_makes_of_documented_ones(name: str) -> None:
    rules = yaml.safe_load(
        (K8S / "components" / "autoscaling" / "adapter-rules.yaml").read_text(encoding="utf-8")
    )
    made = {
        "Pods": {one["name"]["as"]: one for one in rules["rules"]},
        "External": {one["name"]["as"]: one for one in rules["externalRules"]},
    }
    for scaler in of_kind(name, "HorizontalPodAutoscaler"):
        for metric in scaler["spec"]["metrics"]:
            # Never the CPU: it is idle on a GPU pod that is full.
            assert metric["type"] in made
            rule = made[metric["type"]][metric[metric["type"].lower()]["metric"]["name"]]
            for query in (rule["seriesQuery"], rule["metricsQuery"].replace("<<.Series>>", "")):
                for used in metrics_in(query):
                    assert used in documented_metrics(), query


@cache
def routes() -> frozenset[str]:
    # With accounts: they have routes too.
    app = create_app(Settings(secret_key=SecretStr("a-secret-key-for-the-routes-of-accounts")))
    return frozenset({*app.openapi()["paths"], "/openapi.json", "/docs"} | INSIDE)


def spelt(paths: frozenset[str]) -> set[str]:
    """The paths with and without a slash at their end: the gateway answers both alike."""
    return {spelling for path in paths for spelling in (path.rstrip("/"), f"{path.rstrip('/')}/")}


def reaches(rule: dict[str, Any], path: str) -> bool:
    if rule["pathType"] == "Exact":
        return bool(path == rule["path"])
    assert rule["pathType"] == "Prefix"
    return path == rule["path"] or path.startswith(f"{rule['path']}/")


@pytest.mark.parametrize("name", WITH_INGRESS)
def test_the_way_in_leads_to_every_route_but_those_for_the_inside(name: str) -> None:
    (ingress,) = of_kind(name, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    paths = rule["http"]["paths"]
    reached = {route for route in spelt(routes()) if any(reaches(path, route) for path in paths)}
    assert reached == spelt(routes() - INSIDE)
    for path in paths:
        assert any(reaches(path, route) for route in routes()), path["path"]


@pytest.mark.parametrize("name", WITH_INGRESS)
def test_the_way_in_leads_to_the_gateway_and_by_tls(name: str) -> None:
    (ingress,) = of_kind(name, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    (tls,) = ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
    for path in rule["http"]["paths"]:
        backend = path["backend"]["service"]
        service = one(name, "Service", backend["name"])
        assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize("name", WITH_CANARY)
def test_the_canary_is_a_share_of_every_gateway_and_nothing_else(name: str) -> None:
    (gateway,) = [one for one in of_kind(name, "Deployment") if one["metadata"]["name"].startswith("gateway")]
    environment = {
        one["name"]: one.get("value") for one in main_container(gateway["spec"]["template"]["spec"])["env"]
    }
    share = environment.pop("SPORTVISION_SPORT_MODEL_CANARY_SHARE")
    base = main_container(one("base", "Deployment", "gateway")["spec"]["template"]["spec"])["env"]
    assert environment == {one["name"]: one.get("value") for one in base}
    # As the gateway will read it; the others of the trial ask for the label "stable".
    settings = Settings(tokens=(SecretStr("a-token-for-the-test"),), sport_model_canary_share=share)
    assert 0 < settings.sport_model_canary_share < 0.5
    assert environment["SPORTVISION_SPORT_MODEL_LABEL"] == "stable"
    labels = ConfigFile(K8S.parent / "serving_config" / "models.kubernetes.config").model("sport_classifier")
    assert CANARY_LABEL in labels.version_labels
