"""The manifests as they are applied, and short ways into them."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.k8s.kustomize import build, pod_spec

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
COMBINATIONS = sorted(path.parent for path in (K8S / "tests").glob("*/kustomization.yaml"))
ALL = [K8S / "base", *COMBINATIONS]
NAMES = [path.name for path in ALL]


@cache
def resources(name: str) -> tuple[dict[str, Any], ...]:
    """Return the resources of the base or of one of the test combinations."""
    return tuple(build(next(path for path in ALL if path.name == name)))


def of_kind(name: str, kind: str) -> list[dict[str, Any]]:
    """Return a combination's resources of a kind."""
    return [one for one in resources(name) if one["kind"] == kind]


def one(name: str, kind: str, resource_name: str) -> dict[str, Any]:
    """Return one resource."""
    (found,) = [each for each in of_kind(name, kind) if each["metadata"]["name"] == resource_name]
    return found


def pods(name: str) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Yield each workload's name, its pod spec and its pods' labels."""
    for resource in resources(name):
        spec = pod_spec(resource)
        if spec is not None:
            yield resource["metadata"]["name"], spec, resource["spec"]["template"]["metadata"]["labels"]


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all containers of a pod, those of its start first."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def main_container(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the only container that stays."""
    (container,) = spec["containers"]
    assert isinstance(container, dict)
    return container


def flags(container: dict[str, Any]) -> dict[str, str]:
    """Return a model server's flags, with $(NAME) replaced as Kubernetes does it."""
    found = {}
    for argument in container["args"]:
        for variable in container.get("env", []):
            argument = argument.replace(f"$({variable['name']})", variable.get("value", ""))
        flag, separator, value = argument.removeprefix("--").partition("=")
        # The real server knows no other form.
        assert separator, argument
        assert argument.startswith("--"), argument
        assert flag not in found, f"{flag} is given twice"
        found[flag] = value
    return found


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Tell whether a label selector (matchLabels alone) matches labels."""
    assert selector.keys() <= {"matchLabels"}
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()
