"""What every pod must have, whatever the combination: no privileges, bounds, images with a tag, probes that exist."""

import re
from functools import cache
from typing import Any

import pytest
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from model_server.flags import IGNORED_FLAGS, parse_flags
from tests.k8s.kustomize import Resource
from tests.k8s.manifests import NAMES, ROOT, containers, flags, main_container, of_kind, one, pods
from tests.shipping.dockerfile import arguments, environment

WORKLOADS = [(name, pod) for name in NAMES for pod, _, _ in pods(name)]


@pytest.fixture(params=WORKLOADS, ids=lambda pair: "-".join(pair))
def workload(request: pytest.FixtureRequest) -> Resource:
    name, pod = request.param
    return one(name, "Deployment", pod)


@pytest.fixture
def pod(workload: Resource) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def test_runs_as_nobody_with_nothing(pod: dict[str, Any]) -> None:
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["runAsGroup"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_gets_no_key_to_the_cluster_and_no_variables_of_other_services(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    # A service named sportvision would set SPORTVISION_PORT to something that is no port.
    assert pod["enableServiceLinks"] is False


def test_asks_for_cpu_and_memory_and_is_bounded_in_memory(pod: dict[str, Any]) -> None:
    for container in containers(pod):
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, container["name"]
        assert "memory" in container["resources"]["limits"], container["name"]
        # A bound on CPU would throttle probes and inference alike.
        assert "cpu" not in container["resources"]["limits"], container["name"]


def test_images_have_a_tag_that_stays(pod: dict[str, Any]) -> None:
    for container in containers(pod):
        _, _, tag = container["image"].rpartition("/")[2].partition(":")
        assert re.fullmatch(r"\d+\.\d+\.\d+(-gpu)?", tag), container["image"]


def test_volumes_are_bounded_and_mounted_once(pod: dict[str, Any]) -> None:
    names = [volume["name"] for volume in pod["volumes"]]
    assert len(set(names)) == len(names)
    for volume in pod["volumes"]:
        assert volume.keys() == {"name", "emptyDir"} or volume.keys() == {"name", "configMap"}
        assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], volume["name"]
    mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
    assert mounted == set(names)
    for container in containers(pod):
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert len(set(paths)) == len(paths)


def test_spreads_over_zones_and_nodes_without_insisting(workload: Resource) -> None:
    constraints = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
    keys = {constraint["topologyKey"] for constraint in constraints}
    assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    for constraint in constraints:
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
        assert constraint["labelSelector"] == workload["spec"]["selector"]


def test_a_new_pod_is_ready_before_an_old_one_goes(workload: Resource) -> None:
    assert workload["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }


def test_probes_name_ports_that_are_open(pod: dict[str, Any]) -> None:
    container = main_container(pod)
    names = {port["name"] for port in container["ports"]}
    numbers = {port["containerPort"] for port in container["ports"]}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container[kind]
        if "httpGet" in probe:
            assert probe["httpGet"]["port"] in names
        elif "exec" in probe:
            assert probe["exec"]["command"] == ["bash", "/serving_config/ready.sh"]
        else:
            assert probe["grpc"]["port"] in numbers
        assert probe["timeoutSeconds"] <= probe["periodSeconds"]


def gateways(name: str) -> list[dict[str, Any]]:
    return [main_container(spec) for pod, spec, _ in pods(name) if pod.startswith("gateway")]


@cache
def routes() -> frozenset[str]:
    app = create_app(Settings(tokens=(SecretStr("a-token-for-the-test"),)))
    return frozenset(app.openapi()["paths"])


@pytest.mark.parametrize("name", NAMES)
def test_the_gateways_probes_are_paths_of_the_app(name: str) -> None:
    paths = routes()
    for container in gateways(name):
        asked = {kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe")}
        assert set(asked.values()) <= paths
        # Alive does not depend on a model server, ready does.
        assert asked == {
            "startupProbe": "/healthz",
            "livenessProbe": "/healthz",
            "readinessProbe": "/readyz",
        }


@pytest.mark.parametrize("name", NAMES)
def test_the_gateways_variables_are_settings(name: str) -> None:
    for container in gateways(name):
        values: dict[str, Any] = {}
        for variable in container["env"]:
            prefix, _, key = variable["name"].partition("_")
            assert prefix == "SPORTVISION"
            assert key.lower() in Settings.model_fields, variable["name"]
            values[key.lower()] = variable.get("value")
        assert values.pop("tokens") is None
        # They are also values that the settings take.
        settings = Settings(tokens=(SecretStr("a-token-for-the-test"),), **values)
        assert settings.environment == "production"
        assert {port["containerPort"] for port in container["ports"]} == {
            int(environment()["SPORTVISION_PORT"])
        }


@pytest.mark.parametrize("name", NAMES)
def test_tokens_come_from_a_secret_that_is_not_in_the_repository(name: str) -> None:
    assert of_kind(name, "Secret") == []
    for container in gateways(name):
        (tokens,) = [one for one in container["env"] if one["name"] == "SPORTVISION_TOKENS"]
        assert tokens["valueFrom"] == {"secretKeyRef": {"name": "gateway-tokens", "key": "tokens"}}


@pytest.mark.parametrize("name", NAMES)
def test_the_gateway_is_the_image_that_is_built_here(name: str) -> None:
    for container in gateways(name):
        assert container["image"].rpartition("/")[2] == "sportvision-gateway:0.1.0"
    for _, spec, _ in pods(name):
        # As the images' own.
        assert arguments("USER")[-1] == "{runAsUser}:{runAsGroup}".format(**spec["securityContext"])


# Of tensorflow_model_server (its model_servers/main.cc), those that the embedded server does not know.
ONLY_REAL = {"enable_grpc_healthcheck_service"}


@pytest.mark.parametrize("name", NAMES)
def test_the_model_servers_flags_are_real(name: str) -> None:
    container = main_container(one(name, "Deployment", "model-server")["spec"]["template"]["spec"])
    assert container["command"] == ["tensorflow_model_server"]
    given = flags(container)
    known = [f"--{flag}={value}" for flag, value in given.items() if flag not in ONLY_REAL]
    embedded = parse_flags(known)
    assert set(embedded.ignored) <= set(IGNORED_FLAGS)
    # What makes the probes work, and what they ask.
    assert given["enable_grpc_healthcheck_service"] == "true"
    assert {port["containerPort"] for port in container["ports"]} == {
        int(given["port"]),
        int(given["rest_api_port"]),
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_model_server_is_of_the_tensorflow_that_exports_the_models(name: str) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    exporter = re.search(r"^tensorflow==(\d+\.\d+)", lock, re.MULTILINE)
    assert exporter
    container = main_container(one(name, "Deployment", "model-server")["spec"]["template"]["spec"])
    repository, _, tag = container["image"].partition(":")
    assert repository == "tensorflow/serving"
    assert tag.startswith(f"{exporter[1]}.")
    on_gpu = "nvidia.com/gpu" in container["resources"]["limits"]
    assert tag.endswith("-gpu") == on_gpu
