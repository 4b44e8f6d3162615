"""No request is lost when a pod goes: the times that this takes add up."""

import pytest

from app.settings import Settings
from tests.k8s.manifests import NAMES, flags, main_container, one, pods

# CoreDNS' usual TTL, and a gRPC client's pause between two looks at DNS (grpc.dns_min_time_between_resolutions_ms).
DNS_TTL = 30
DNS_PAUSE = 30
# gRPC's servers end connections up to a tenth later than max_connection_age, so that not all end at once.
JITTER = 1.1


@pytest.mark.parametrize("name", NAMES)
def test_a_model_server_works_on_until_every_gateway_has_left_it(name: str) -> None:
    spec = one(name, "Deployment", "model-server")["spec"]["template"]["spec"]
    container = main_container(spec)
    arguments = dict(pair.split("=", 1) for pair in flags(container)["grpc_channel_arguments"].split(","))
    age = int(arguments["grpc.max_connection_age_ms"]) / 1000
    in_flight = Settings.model_fields["predict_timeout_seconds"].default
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert sleep >= DNS_TTL + age * JITTER + DNS_PAUSE + in_flight
    # Calls in flight on a connection that has come of age still finish.
    assert "grpc.max_connection_age_grace_ms" not in arguments
    assert spec["terminationGracePeriodSeconds"] > sleep


@pytest.mark.parametrize("name", NAMES)
def test_a_gateway_has_time_to_hear_and_to_finish(name: str) -> None:
    in_flight = Settings.model_fields["stop_seconds"].default
    for pod, spec, _ in pods(name):
        if pod.startswith("gateway"):
            variables = {one["name"]: one.get("value") for one in main_container(spec)["env"]}
            drain = float(variables["SPORTVISION_DRAIN_SECONDS"])
            assert drain >= 10
            assert spec["terminationGracePeriodSeconds"] >= drain + in_flight + 5


@pytest.mark.parametrize("name", NAMES)
def test_a_slow_load_is_no_failed_rollout(name: str) -> None:
    deployment = one(name, "Deployment", "model-server")["spec"]
    probe = main_container(deployment["template"]["spec"])["startupProbe"]
    assert deployment["progressDeadlineSeconds"] > probe["periodSeconds"] * probe["failureThreshold"]
