"""The channel's settings."""

import dataclasses
from typing import Any

import pytest

from proto_client import ChannelSettings, ModelServerClient, RetryPolicy
from tests.proto_client.conftest import TIMEOUT, picture
from tests.support.dead_proxy import name_a_dead_proxy
from tests.support.fake_backend import FakeBackend


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": 6},
        {"initial_backoff": 0.0},
        {"initial_backoff": 2.0, "max_backoff": 1.0},
        {"multiplier": 0.5},
    ],
)
def test_a_retry_policy_that_grpc_would_refuse_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        dataclasses.replace(RetryPolicy(), **wrong)


@pytest.mark.parametrize(
    "name", ["max_receive_bytes", "keepalive_time", "keepalive_timeout", "max_reconnect_backoff"]
)
def test_limits_and_times_are_above_zero(name: str) -> None:
    wrong: dict[str, Any] = {name: 0}
    with pytest.raises(ValueError, match=f"{name} must be above zero"):
        dataclasses.replace(ChannelSettings(), **wrong)


def test_the_default_keepalive_draws_no_strikes() -> None:
    # gRPC servers allow one ping in 300 s unless they are told otherwise.
    assert ChannelSettings().keepalive_time > 300


async def test_the_environments_proxy_does_not_come_between(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_a_dead_proxy(monkeypatch)
    settings = ChannelSettings(retry=RetryPolicy(attempts=1))
    for target in (backend.target, f"ipv4:{backend.target}", f"dns:///{backend.target}"):
        async with ModelServerClient(target, settings=settings) as client:
            await client.predict({"images": picture()}, model="sports", timeout=TIMEOUT)
