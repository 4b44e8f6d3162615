"""compose.yaml: its parts fit each other, the repository and the programs that they run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from model_server.flags import parse_flags
from tests.shipping.dockerfile import ROOT, arguments, environment

# Of tensorflow_model_server (its model_servers/main.cc); only those that are of use here.
REAL_FLAGS = {
    "port": int,
    "model_config_file": str,
    "model_config_file_poll_wait_seconds": int,
    "file_system_poll_wait_seconds": int,
    "max_num_load_retries": int,
    "allow_version_labels_for_unavailable_models": bool,
    "enable_batching": bool,
    "batching_parameters_file": str,
    "grpc_max_threads": int,
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def gateway(compose: dict[str, Any]) -> dict[str, Any]:
    service: dict[str, Any] = compose["services"]["gateway"]
    return service


@pytest.fixture(scope="module")
def model_server(compose: dict[str, Any]) -> dict[str, Any]:
    service: dict[str, Any] = compose["services"]["model-server"]
    return service


@pytest.fixture(scope="module")
def flags(model_server: dict[str, Any]) -> dict[str, str]:
    # The real server knows no other form than --name=value.
    pairs = [re.fullmatch(r"--(\w+)=(\S+)", argument) for argument in model_server["command"]]
    found = {pair[1]: pair[2] for pair in pairs if pair}
    assert len(found) == len(model_server["command"])
    return found


def mounted(model_server: dict[str, Any], path: str) -> Path:
    """Return where a path inside the model server's container lies in the repository."""
    for volume in model_server["volumes"]:
        target = volume["target"]
        if path == target or path.startswith(f"{target}/"):
            return ROOT / Path(volume["source"]) / path.removeprefix(target).lstrip("/")
    raise AssertionError(f"{path} is not mounted")


def test_every_service_is_hardened_and_comes_back(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert all(int(part) > 0 for part in service["user"].split(":")), name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}, name


def test_only_the_gateways_port_is_published_and_only_to_this_machine(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports") for name, service in compose["services"].items()}
    assert ports == {"gateway": ["${SPORTVISION_PUBLISH:-127.0.0.1:8000}:8000"], "model-server": None}
    assert environment()["SPORTVISION_PORT"] == "8000"


def test_the_gateway_is_built_here_and_not_as_another_user(gateway: dict[str, Any]) -> None:
    assert (ROOT / gateway["build"] / "Dockerfile").is_file()
    assert arguments("USER") == [gateway["user"]]


def test_the_gateway_has_settings_that_it_knows(gateway: dict[str, Any]) -> None:
    for key in gateway["environment"]:
        prefix, _, name = key.partition("_")
        assert prefix == "SPORTVISION"
        assert name.lower() in Settings.model_fields
    assert gateway["environment"]["SPORTVISION_ENVIRONMENT"] == "production"


def test_tokens_come_from_outside_and_must_be_set(gateway: dict[str, Any]) -> None:
    assert re.fullmatch(r"\$\{SPORTVISION_TOKENS:\?.+\}", gateway["environment"]["SPORTVISION_TOKENS"])


def test_the_gateway_finds_the_model_server(
    compose: dict[str, Any], gateway: dict[str, Any], model_server: dict[str, Any], flags: dict[str, str]
) -> None:
    host, port = gateway["environment"]["SPORTVISION_MODEL_SERVER"].split(":")
    assert compose["services"][host] is model_server
    assert flags["port"] == port
    assert set(model_server["networks"]) <= set(gateway["networks"])
    assert gateway["depends_on"][host]["condition"] == "service_healthy"


def test_the_model_server_cannot_reach_out(compose: dict[str, Any], model_server: dict[str, Any]) -> None:
    assert all(compose["networks"][name]["internal"] for name in model_server["networks"])


def test_the_model_server_is_pinned(model_server: dict[str, Any]) -> None:
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", model_server["image"])


def test_the_model_server_is_of_the_tensorflow_that_exports_the_models(model_server: dict[str, Any]) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    exporter = re.search(r"^tensorflow==(\d+\.\d+)", lock, re.MULTILINE)
    assert exporter
    assert model_server["image"].split(":")[1].startswith(f"{exporter[1]}.")


def test_the_model_servers_flags_are_real(model_server: dict[str, Any], flags: dict[str, str]) -> None:
    assert model_server["entrypoint"] == ["tensorflow_model_server"]
    for name, value in flags.items():
        kind = REAL_FLAGS[name]
        if kind is int:
            assert int(value) >= 0
        elif kind is bool:
            assert value in {"true", "false"}


def test_the_embedded_model_server_takes_the_same_flags(
    model_server: dict[str, Any], flags: dict[str, str]
) -> None:
    embedded = parse_flags(model_server["command"])
    assert embedded.ignored == ()
    for name, value in flags.items():
        assert str(getattr(embedded, name)).lower().removesuffix(".0") == value


def test_what_the_model_server_reads_is_mounted_read_only(
    model_server: dict[str, Any], flags: dict[str, str]
) -> None:
    for volume in model_server["volumes"]:
        assert volume["read_only"] is True
        assert volume["bind"] == {"create_host_path": False}
    for flag in ("model_config_file", "batching_parameters_file"):
        assert mounted(model_server, flags[flag]).is_file(), flag


def test_the_models_that_are_configured_are_mounted(
    compose: dict[str, Any], model_server: dict[str, Any], flags: dict[str, str]
) -> None:
    config = mounted(model_server, flags["model_config_file"]).read_text(encoding="utf-8")
    paths = re.findall(r'^\s*base_path:\s*"([^"]+)"', config, re.MULTILINE)
    assert paths
    for path in paths:
        assert mounted(model_server, path).parent == ROOT / "models"
    names = re.findall(r'^\s*name:\s*"([^"]+)"', config, re.MULTILINE)
    assert Settings.model_fields["sport_model"].default in names


def test_the_health_check_looks_at_the_model_servers_port(
    model_server: dict[str, Any], flags: dict[str, str]
) -> None:
    *_, script = model_server["healthcheck"]["test"]
    assert script.endswith(f"/dev/tcp/127.0.0.1/{flags['port']}")
