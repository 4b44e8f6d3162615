"""The model servers get the very files of serving_config/, and those fit each other and the pods."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from model_server.batching_config import read_batching_file
from model_server.config import ModelSource, model_sources, read_config_file
from tests.k8s.kustomize import config_map_references
from tests.k8s.manifests import NAMES, ROOT, containers, flags, main_container, of_kind, one, resources

SERVING = ROOT / "serving_config"
MODELS = ROOT / "models"


def model_server(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = one(name, "Deployment", "model-server")["spec"]["template"]["spec"]
    return spec


def on_gpu(name: str) -> bool:
    return "nvidia.com/gpu" in main_container(model_server(name))["resources"]["limits"]


def sources(file: str) -> dict[str, ModelSource]:
    found = model_sources(read_config_file(SERVING / file), [("/models", str(MODELS))])
    return {source.name: source for source in found}


@pytest.mark.parametrize("name", NAMES)
def test_every_config_map_that_is_named_is_there(name: str) -> None:
    there = {one["metadata"]["name"] for one in of_kind(name, "ConfigMap")}
    named = {
        reference[key] for resource in resources(name) for reference, key in config_map_references(resource)
    }
    assert named <= there
    # But for the dashboard, which Grafana finds by its label, none is left over.
    assert there - named <= {"sportvision-dashboard"}


@pytest.mark.parametrize("name", NAMES)
def test_the_servers_read_the_very_files(name: str) -> None:
    (volume,) = [one for one in model_server(name)["volumes"] if "configMap" in one]
    data = one(name, "ConfigMap", volume["configMap"]["name"])["data"]
    for file, text in data.items():
        assert text == (SERVING / file).read_text(encoding="utf-8")
    container = main_container(model_server(name))
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == volume["name"]]
    given = flags(container)
    for flag in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        folder, file = given[flag].rsplit("/", 1)
        assert folder == mount["mountPath"]
        assert file in data, flag
    assert given["batching_parameters_file"].endswith("batching.gpu.config") == on_gpu(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_models_are_where_the_configuration_says(name: str) -> None:
    spec = model_server(name)
    paths = {
        container["name"]: {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        for container in containers(spec)
    }
    assert paths["model-server"]["models"] == "/models"
    (fill,) = spec["initContainers"]
    assert paths[fill["name"]]["models"] == fill["command"][-1].rstrip("/")


@pytest.mark.parametrize("name", NAMES)
def test_threads_and_queues_fit_each_other(name: str) -> None:
    container = main_container(model_server(name))
    given = flags(container)
    options = read_batching_file(SERVING / Path(given["batching_parameters_file"]).name)
    room = (options.num_batch_threads + options.max_enqueued_batches) * options.max_batch_size
    # Beyond its queue the server says UNAVAILABLE, not RESOURCE_EXHAUSTED for want of threads.
    assert int(given["grpc_max_threads"]) >= room
    if on_gpu(name):
        assert options.allowed_batch_sizes[-1] == options.max_batch_size
        assert list(options.allowed_batch_sizes) == sorted(set(options.allowed_batch_sizes))
        assert 0 < float(given["per_process_gpu_memory_fraction"]) < 1
    else:
        cpus = container["resources"]["requests"]["cpu"]
        assert cpus == str(options.num_batch_threads) == given["tensorflow_intra_op_parallelism"]


def test_kubernetes_serves_the_models_that_the_simple_configuration_serves() -> None:
    simple, exact = sources("models.config"), sources("models.kubernetes.config")
    missing = simple.keys() - exact.keys()
    assert not missing, (
        "add to models.kubernetes.config, with the version that is shipped, once for each: "
        + " ".join(
            f'config {{ name: "{name}" base_path: "/models/{name}" model_platform: "tensorflow" '
            "model_version_policy { specific { versions: 1 } } "
            'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 1 } }'
            for name in sorted(missing)
        )
    )
    assert exact.keys() == simple.keys()


@pytest.mark.parametrize("source", sources("models.kubernetes.config").values(), ids=lambda one: one.name)
def test_the_labels_name_versions_that_are_loaded_and_shipped(source: ModelSource) -> None:
    config = read_config_file(SERVING / "models.kubernetes.config")
    (model,) = [one for one in config.model_config_list.config if one.name == source.name]
    assert model.model_version_policy.WhichOneof("policy_choice") == "specific"
    loaded = set(model.model_version_policy.specific.versions)
    assert model.version_labels.keys() == {"stable", "canary"}
    assert set(model.version_labels.values()) <= loaded
    for version in loaded:
        assert (MODELS / source.name / str(version) / "saved_model.pb").is_file(), (
            f"models.kubernetes.config names version {version} of {source.name}, which models/ does not have"
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_gateways_ask_for_labels_that_there_are(name: str) -> None:
    for resource in of_kind(name, "Deployment"):
        if not resource["metadata"]["name"].startswith("gateway"):
            continue
        variables = main_container(resource["spec"]["template"]["spec"])["env"]
        values = {one["name"]: one.get("value") for one in variables}
        track = resource["spec"]["template"]["metadata"]["labels"]["sportvision/track"]
        assert values["SPORTVISION_SPORT_MODEL_LABEL"] == track
        assert values["SPORTVISION_PRODUCT_MODEL_LABEL"] == "stable"
        assert Settings.model_fields["sport_model"].default in sources("models.kubernetes.config")


def test_every_value_is_explained() -> None:
    for file in SERVING.glob("*.config"):
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        settings = [
            index for index, line in enumerate(lines) if line and line != "}" and not line.startswith("#")
        ]
        assert settings
        # The first setting of each block has a comment above it, or the block's opening line has.
        for index in settings:
            above = index - 1
            while above >= 0 and lines[above] and not lines[above].startswith("#"):
                above -= 1
            assert above >= 0, f"{file.name}:{index + 1}"
            assert lines[above].startswith("#"), f"{file.name}:{index + 1}"


def test_what_is_served_to_kubernetes_is_all_there_is() -> None:
    (generator,) = yaml.safe_load((SERVING / "kustomization.yaml").read_text(encoding="utf-8"))[
        "configMapGenerator"
    ]
    # models.config is for a single server.
    files = {path.name for path in SERVING.iterdir() if path.suffix in {".config", ".sh"}}
    assert set(generator["files"]) == files - {"models.config"}
