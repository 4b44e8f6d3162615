"""Builds our kustomizations as `kustomize build` does, so that the tests need no such binary.

It knows what we use. All else is refused by name, never passed over. Where `kubectl` or `kustomize` is installed,
test_kustomize.py compares the outcome with theirs. The rules: https://kubectl.docs.kubernetes.io/references/kustomize/
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.json_patch import patched

Resource = dict[str, Any]

CLUSTER_WIDE = {"Namespace"}
FIELDS = {
    "apiVersion",
    "kind",
    "resources",
    "components",
    "configMapGenerator",
    "namespace",
    "nameSuffix",
    "labels",
    "images",
    "patches",
}
# Where pods are, in the kinds that we have.
POD_SPECS = {"Deployment": ("spec", "template", "spec")}


class UnsupportedKustomizationError(ValueError):
    """A kustomization uses what this builder does not know."""


@dataclass
class Built:
    """A resource on its way: the name by which others refer to it, and whether a hash belongs behind it."""

    resource: Resource
    original_name: str
    hashed: bool = False


def build(folder: Path) -> list[Resource]:
    """Build a kustomization.

    Args:
        folder: Where its kustomization.yaml is.

    Returns:
        The resources, names with their hashes, in no promised order.

    Raises:
        UnsupportedKustomizationError: It uses what this builder does not know, or a patch does not fit.
    """
    built = _accumulate(folder, [])
    _add_hashes(built)
    return [one.resource for one in built]


def _accumulate(folder: Path, built: list[Built]) -> list[Built]:
    """Add a kustomization's resources to those that are there; a component also changes those."""
    path = folder / "kustomization.yaml"
    kustomization = yaml.safe_load(path.read_text(encoding="utf-8"))
    if unknown := kustomization.keys() - FIELDS:
        raise UnsupportedKustomizationError(f"{path}: unknown {', '.join(sorted(unknown))}")
    is_component = kustomization["kind"] == "Component"
    mine = built if is_component else []
    for name in kustomization.get("resources", []):
        mine += _read(folder, name)
    for name in kustomization.get("components", []):
        _accumulate((folder / name).resolve(), mine)
    mine += [_config_map(folder, one) for one in kustomization.get("configMapGenerator", [])]
    for patch in kustomization.get("patches", []):
        _apply_patch(folder, patch, mine)
    for one in mine:
        _transform(one.resource, kustomization)
    return mine


def _read(folder: Path, name: str) -> list[Built]:
    path = (folder / name).resolve()
    if path.is_dir():
        return _accumulate(path, [])
    if folder.resolve() not in path.parents:
        raise UnsupportedKustomizationError(f"{folder}: {name} is a file outside of it")
    documents = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    # Through JSON, so that YAML's anchors end as separate values.
    return [Built(json.loads(json.dumps(one)), one["metadata"]["name"]) for one in documents]


def _config_map(folder: Path, generator: dict[str, Any]) -> Built:
    if unknown := generator.keys() - {"name", "files", "envs", "options"}:
        raise UnsupportedKustomizationError(f"{folder}: configMapGenerator has {', '.join(sorted(unknown))}")
    options = generator.get("options", {})
    if unknown := options.keys() - {"labels", "disableNameSuffixHash"}:
        raise UnsupportedKustomizationError(f"{folder}: options have {', '.join(sorted(unknown))}")
    data: dict[str, str] = {}
    for name in generator.get("files", []):
        data[Path(name).name] = (folder / name).read_text(encoding="utf-8")
    for name in generator.get("envs", []):
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        data |= dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
    metadata: dict[str, Any] = {"name": generator["name"]}
    if "labels" in options:
        metadata["labels"] = dict(options["labels"])
    resource = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return Built(resource, generator["name"], hashed=not options.get("disableNameSuffixHash", False))


def _apply_patch(folder: Path, patch: dict[str, Any], built: list[Built]) -> None:
    target = patch.get("target", {})
    if patch.keys() - {"target", "path", "patch"} or target.keys() != {"kind", "name"}:
        raise UnsupportedKustomizationError(
            f"{folder}: patches need a target of kind and name, and no options"
        )
    text = patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text(encoding="utf-8")
    operations = yaml.safe_load(text)
    if not isinstance(operations, list):
        raise UnsupportedKustomizationError(f"{folder}: only JSON patches")
    found = [
        one
        for one in built
        if one.resource["kind"] == target["kind"] and re.fullmatch(target["name"], one.original_name)
    ]
    if not found:
        raise UnsupportedKustomizationError(f"{folder}: a patch's target {target} is not there")
    for one in found:
        one.resource = patched(one.resource, operations)


def _transform(resource: Resource, kustomization: dict[str, Any]) -> None:
    metadata = resource["metadata"]
    if "namespace" in kustomization and resource["kind"] not in CLUSTER_WIDE:
        metadata["namespace"] = kustomization["namespace"]
    if "nameSuffix" in kustomization:
        metadata["name"] += kustomization["nameSuffix"]
    for labels in kustomization.get("labels", []):
        _add_labels(resource, labels)
    for image in kustomization.get("images", []):
        for container in _containers(resource):
            name, _, tag = container["image"].partition(":")
            if name == image["name"]:
                new = image.get("newName", name), image.get("newTag", tag)
                container["image"] = ":".join(new)


def _add_labels(resource: Resource, labels: dict[str, Any]) -> None:
    if unknown := labels.keys() - {"pairs", "includeSelectors", "includeTemplates"}:
        raise UnsupportedKustomizationError(f"labels have {', '.join(sorted(unknown))}")
    pairs: dict[str, str] = labels["pairs"]
    in_selectors = labels.get("includeSelectors", False)
    resource["metadata"].setdefault("labels", {}).update(pairs)
    if resource["kind"] != "Deployment":
        if in_selectors:
            raise UnsupportedKustomizationError(f"labels in the selectors of a {resource['kind']}")
        return
    spec = resource["spec"]
    if in_selectors or labels.get("includeTemplates", False):
        spec["template"]["metadata"]["labels"].update(pairs)
    if in_selectors:
        spec["selector"]["matchLabels"].update(pairs)
        for constraint in spec["template"]["spec"].get("topologySpreadConstraints", []):
            constraint["labelSelector"]["matchLabels"].update(pairs)


def pod_spec(resource: Resource) -> dict[str, Any] | None:
    """Return the pod spec of a resource, or None where it has none."""
    if resource["kind"] not in POD_SPECS:
        return None
    value: Any = resource
    for key in POD_SPECS[resource["kind"]]:
        value = value[key]
    return value if isinstance(value, dict) else None


def _containers(resource: Resource) -> Iterator[dict[str, Any]]:
    spec = pod_spec(resource) or {}
    yield from spec.get("initContainers", [])
    yield from spec.get("containers", [])


def _add_hashes(built: list[Built]) -> None:
    renamed: dict[str, str] = {}
    for one in built:
        if one.hashed:
            name = f"{one.resource['metadata']['name']}-{content_hash(one.resource)}"
            renamed[one.resource["metadata"]["name"]] = name
            one.resource["metadata"]["name"] = name
    for one in built:
        for reference, key in config_map_references(one.resource):
            reference[key] = renamed.get(reference[key], reference[key])


def config_map_references(resource: Resource) -> Iterator[tuple[dict[str, str], str]]:
    """Yield where a resource's pods name a config map: the object, and its key that holds the name."""
    for volume in (pod_spec(resource) or {}).get("volumes", []):
        if "configMap" in volume:
            yield volume["configMap"], "name"
    for container in _containers(resource):
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                yield source["configMapRef"], "name"


def content_hash(config_map: Resource) -> str:
    """Return the ten characters that kustomize puts behind a config map's name (its api/hasher/hasher.go)."""
    # Without its metadata: the empty name is kustomize's.
    content = {"data": config_map["data"], "kind": "ConfigMap", "name": ""}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # As Go's encoder writes them.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return digest[:10].translate(str.maketrans("013ae", "ghkmt"))
