"""What the pages for operators say holds: commands are understood, patches fit, sizes are those of today."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from accounts.commands.line import parser as accounts_parser
from app.settings import Settings
from rollout.arguments import parser as rollout_parser
from tests.k8s.json_patch import patched
from tests.k8s.manifests import ROOT, main_container, of_kind, one, selects
from tests.shipping.dockerfile import build_context

PARSERS = {"accounts": accounts_parser, "rollout": rollout_parser}
# What the gateway's image is built for; only the lock's markers ask.
IMAGE = {"python_version": "3.13", "python_full_version": "3.13.0", "sys_platform": "linux"}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """Return what stands between backquotes or in blocks for a shell, each command on one line."""
    text = page(name)
    blocks = "".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [" ".join(one.split("#")[0].split()) for one in [*lines, *spans]]


PYTHON = [
    (name, line.partition("python -m ")[2])
    for name in ("runbook.md", "operations.md")
    for line in commands(name)
    # With "…" in place of the words it is the name of a program.
    if "python -m " in line and "…" not in line
]
KUBECTL = [
    (name, line)
    for name in ("runbook.md", "operations.md", "tracing.md", "kubernetes.md")
    for line in commands(name)
    if line.startswith("kubectl rollout")
]


@pytest.mark.parametrize(("name", "line"), PYTHON)
def test_our_commands_are_understood_as_written(name: str, line: str) -> None:
    module, *words = shlex.split(line)
    if module in PARSERS:
        PARSERS[module]().parse_args(words)
    else:
        assert importlib.util.find_spec(module) is not None, f"{name}: {line}"
        assert not words, line


def test_the_pages_name_commands() -> None:
    assert {line.split()[0] for _, line in PYTHON} >= {"accounts", "rollout"}


@pytest.mark.parametrize(("name", "line"), KUBECTL)
def test_kubectl_rollout_names_what_it_is_about(name: str, line: str) -> None:
    named = re.findall(r" deployment/([\w-]+)", line)
    assert named, f"{name}: {line}"
    known = {deployment["metadata"]["name"] for deployment in of_kind("base", "Deployment")}
    assert set(named) <= known | {"NAME"}, f"{name}: {line}"


def test_what_is_said_of_tracing_fits_the_deployment_and_its_policy() -> None:
    text = page("tracing.md")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (patch,) = yaml.safe_load(block)["patches"]
    gateway = patched(
        one("base", patch["target"]["kind"], patch["target"]["name"]), yaml.safe_load(patch["patch"])
    )
    set_there = {
        variable["name"]: variable.get("value")
        for variable in main_container(gateway["spec"]["template"]["spec"])["env"]
    }
    assert "tracing" in Settings.model_fields
    assert set_there["SPORTVISION_TRACING"] == "true"
    endpoint = set_there["OTEL_EXPORTER_OTLP_ENDPOINT"]
    found = re.fullmatch(r"http://[\w-]+\.([\w-]+):(\d+)", endpoint)
    assert found is not None, endpoint
    namespace, port = found.groups()

    ((labelled, key, value),) = re.findall(r"^kubectl label namespace (\S+) (\S+)=(\S+)$", text, re.MULTILINE)
    assert labelled == namespace
    policy = one("cpu", "NetworkPolicy", "gateway")
    assert any(
        selects(peer.get("namespaceSelector", {"matchLabels": {"": ""}}), {key: value})
        and {"port": int(port), "protocol": "TCP"} in rule["ports"]
        for rule in policy["spec"]["egress"]
        for peer in rule["to"]
    )


def image_table() -> dict[str, tuple[str, float]]:
    """Return, by image, what the first row of its sizes says, and the MB."""
    rows = re.findall(r"^\| (gateway|models) \| ([^|]+) \| ([\d.]+) \|$", page("kubernetes.md"), re.MULTILINE)
    return {image: (holds, float(size)) for image, holds, size in rows}


def test_the_image_holds_as_many_packages_as_the_page_says() -> None:
    lines = (ROOT / "requirements-gateway.lock").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.rstrip(" \\")) for line in lines if line and line[0].isalnum()]
    installed = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(IMAGE)]
    assert image_table()["gateway"][0].startswith(f"{len(installed)} packages ")


def test_the_models_image_holds_what_the_page_says() -> None:
    holds, size = image_table()["models"]
    files = [ROOT / file for file in build_context(ignore_file="models.Dockerfile.dockerignore")]
    models = {Path(file).relative_to(ROOT / "models").parts[0] for file in files}
    assert models == {"sport_classifier", "product_classifier"}
    assert holds.startswith("both models")
    # A new version is a little larger or smaller; another model is not.
    assert size == pytest.approx(sum(file.stat().st_size for file in files) / 1e6, rel=0.1)
