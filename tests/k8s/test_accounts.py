"""The component of accounts: its Secret is of settings that there are, and none of it is in the repository."""

import re

from app.settings import Settings
from tests.k8s.manifests import K8S, main_container, of_kind, one
from tests.shipping.dockerfile import environment

COMPONENT = K8S / "components" / "accounts" / "kustomization.yaml"


def test_settings_come_from_a_secret_that_must_be_there() -> None:
    spec = one("accounts", "Deployment", "gateway")["spec"]["template"]["spec"]
    assert main_container(spec)["envFrom"] == [{"secretRef": {"name": "gateway-accounts"}}]
    assert of_kind("accounts", "Secret") == []


def test_the_keys_that_it_names_are_settings() -> None:
    named = set(re.findall(r"--from-literal=SPORTVISION_(\w+)=", COMPONENT.read_text("utf-8")))
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL"} <= named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_mails_have_a_folder_although_the_root_is_read_only() -> None:
    spec = one("accounts", "Deployment", "gateway")["spec"]["template"]["spec"]
    container = main_container(spec)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    paths = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    (folder,) = [path for path in paths if environment()["SPORTVISION_MAIL_FOLDER"].startswith(f"{path}/")]
    (volume,) = [one for one in spec["volumes"] if one["name"] == paths[folder]]
    assert volume["emptyDir"]
