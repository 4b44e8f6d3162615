"""models.Dockerfile: it takes the models, all of them and nothing else, and gives them the way Kubernetes asks."""

import json
import re
import subprocess

import yaml

from tests.shipping.dockerfile import ROOT, arguments, build_context, copied_paths, read_dockerfile

FILE = ROOT / "models.Dockerfile"
IGNORE = "models.Dockerfile.dockerignore"


def tracked() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "models"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(listed.stdout.split())


def test_the_committed_models_reach_the_builder_and_nothing_of_the_rest() -> None:
    context = build_context(ignore_file=IGNORE)
    assert copied_paths(FILE) == ["models"]
    assert tracked() <= context
    assert {file.split("/")[0] for file in context} == {"models"}
    assert not any(part.startswith(".") for file in context for part in file.split("/"))


def test_is_pinned_and_not_root() -> None:
    (base,) = arguments("FROM", FILE)
    assert re.fullmatch(r"busybox:\d+\.\d+\.\d+-musl", base)
    (user,) = arguments("USER", FILE)
    assert user == arguments("USER")[-1]
    keywords = [one.keyword for one in read_dockerfile(FILE)]
    # The check runs as that user.
    assert keywords.index("RUN") > keywords.index("USER")


def test_kubernetes_runs_what_the_image_would() -> None:
    deployment = yaml.safe_load(
        (ROOT / "k8s" / "base" / "model-server" / "deployment.yaml").read_text(encoding="utf-8")
    )
    (fill,) = deployment["spec"]["template"]["spec"]["initContainers"]
    assert [json.loads(command) for command in arguments("CMD", FILE)] == [fill["command"]]
    (line,) = arguments("LABEL", FILE)
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', line))
    assert fill["image"] == f"{labels['title']}:{labels['version']}"
