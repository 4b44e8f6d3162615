"""With the network policies, exactly the flows that are needed are allowed, and no other."""

from itertools import product
from typing import Any

import pytest

from tests.k8s.manifests import NAMES, main_container, of_kind, one, pods, selects

GUARDED = [name for name in NAMES if of_kind(name, "NetworkPolicy")]
OURS = {"kubernetes.io/metadata.name": "sportvision"}

# Who there is beside our own pods: labels of the namespace, and of the pod.
OUTSIDERS = {
    "caller": ({"kubernetes.io/metadata.name": "ingress", "sportvision/calls-gateway": "true"}, {}),
    "scraper": ({"kubernetes.io/metadata.name": "monitoring"}, {"app.kubernetes.io/name": "prometheus"}),
    "dns": ({"kubernetes.io/metadata.name": "kube-system"}, {"k8s-app": "kube-dns"}),
    # Where it collects, at the port of OTLP over HTTP.
    "collector": ({"kubernetes.io/metadata.name": "telemetry", "sportvision/takes-traces": "true"}, {}),
    "stranger": ({"kubernetes.io/metadata.name": "default"}, {"app.kubernetes.io/name": "gateway"}),
    "neighbour": (OURS, {"app": "another"}),
    "internet": None,
}
SERVERS_OF_ACCOUNTS = [(5432, "TCP"), (6379, "TCP"), (587, "TCP")]
PORTS = [
    *[(8000, "TCP"), (8500, "TCP"), (8501, "TCP"), (53, "UDP"), (53, "TCP"), (443, "TCP"), (22, "TCP")],
    *SERVERS_OF_ACCOUNTS,
    # OTLP by HTTP, and by gRPC, which the gateway does not speak.
    *[(4318, "TCP"), (4317, "TCP")],
]

NEEDED = {
    ("caller", "gateway", (8000, "TCP")),
    ("scraper", "gateway", (8000, "TCP")),
    ("scraper", "model-server", (8501, "TCP")),
    ("gateway", "model-server", (8500, "TCP")),
    ("gateway", "dns", (53, "UDP")),
    ("gateway", "dns", (53, "TCP")),
    ("gateway", "collector", (4318, "TCP")),
}
TO_THE_BUCKET = {
    ("model-server", "dns", (53, "UDP")),
    ("model-server", "dns", (53, "TCP")),
    # Wherever the bucket is.
    *(("model-server", peer, (443, "TCP")) for peer in OUTSIDERS if peer != "neighbour"),
}
# PostgreSQL, Redis and the mail server, wherever they are.
TO_ACCOUNTS = {
    ("gateway", peer, port) for peer in OUTSIDERS if peer != "neighbour" for port in SERVERS_OF_ACCOUNTS
}


def peers(name: str) -> dict[str, tuple[dict[str, str], dict[str, str]] | None]:
    ours = {pod: (OURS, labels) for pod, _, labels in pods(name)}
    return {**OUTSIDERS, **ours}


def is_peer(rule: dict[str, Any], peer: tuple[dict[str, str], dict[str, str]] | None) -> bool:
    assert rule.keys() <= {"namespaceSelector", "podSelector"}
    if peer is None:
        return False
    namespace, labels = peer
    in_namespace = (
        selects(rule["namespaceSelector"], namespace) if "namespaceSelector" in rule else namespace == OURS
    )
    return in_namespace and selects(rule.get("podSelector", {}), labels)


def allows(
    name: str,
    direction: str,
    pod: str,
    peer: tuple[dict[str, str], dict[str, str]] | None,
    port: tuple[int, str],
) -> bool:
    """Tell whether a pod of ours may talk, in one direction; policies add up, and without any all may."""
    _, labels = peers(name)[pod] or ({}, {})
    policies = [
        policy["spec"]
        for policy in of_kind(name, "NetworkPolicy")
        if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], labels)
    ]
    end = "from" if direction == "Ingress" else "to"
    rules = [rule for policy in policies for rule in policy.get(direction.lower(), [])]
    return not policies or any(
        {"port": port[0], "protocol": port[1]} in rule["ports"]
        and (end not in rule or any(is_peer(one, peer) for one in rule[end]))
        for rule in rules
    )


def flows(name: str) -> set[tuple[str, str, tuple[int, str]]]:
    known = peers(name)
    # Policies hold for all pods of the namespace, the neighbour's too.
    ours = {peer for peer, who in known.items() if who is not None and who[0] == OURS}
    found = set()
    for source, target, port in product(known, known, PORTS):
        if source == target or not {source, target} & ours:
            continue
        leaves = source not in ours or allows(name, "Egress", source, known[target], port)
        enters = target not in ours or allows(name, "Ingress", target, known[source], port)
        if leaves and enters:
            found.add((source, target, port))
    return found


@pytest.mark.parametrize("name", GUARDED)
def test_exactly_the_flows_that_are_needed(name: str) -> None:
    needed = set(NEEDED)
    if any("models-bucket" in policy["metadata"]["name"] for policy in of_kind(name, "NetworkPolicy")):
        needed |= TO_THE_BUCKET
    if any("gateway-accounts" in policy["metadata"]["name"] for policy in of_kind(name, "NetworkPolicy")):
        needed |= TO_ACCOUNTS
    assert flows(name) == needed


def test_without_the_component_all_is_open() -> None:
    assert ("stranger", "gateway", (22, "TCP")) in flows("base")


@pytest.mark.parametrize("name", GUARDED)
def test_the_ports_are_those_of_the_pods(name: str) -> None:
    opened = {
        target: {port for _, reached, (port, _) in flows(name) if reached == target}
        for target in ("gateway", "model-server")
    }
    for target, ports in opened.items():
        container = main_container(one(name, "Deployment", target)["spec"]["template"]["spec"])
        assert ports == {port["containerPort"] for port in container["ports"]}
