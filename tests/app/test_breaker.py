"""What callers see of the breaker, and what it shows of itself."""

import asyncio
from pathlib import Path

import httpx
import pytest
import trustme
from pydantic import ValidationError

from app.settings import Settings
from proto_client import ChannelSettings
from tests.app.test_errors import assert_problem
from tests.proto_client.test_tls import Files, server_credentials
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import MODEL, PREDICT, TOKEN, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg
from tests.support.scrape import scrape


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post(PREDICT, files={"file": grey_jpeg(0)})


async def test_a_model_server_that_hangs_then_comes_back(backend: FakeBackend) -> None:
    settings = gateway_settings(
        backend.target, predict_timeout_seconds=0.5, breaker_min_calls=3, breaker_open_seconds=0.5
    )
    async with gateway_client(settings) as client:
        assert (await ask(client)).status_code == 200
        with backend.hold(Method.PREDICT):
            for answer in await asyncio.gather(*(ask(client) for _ in range(5))):
                assert_problem(answer, 504, "deadline-exceeded")
            refused = await ask(client)
            assert_problem(refused, 503, "service-unavailable", "has not been answering")
            assert int(refused.headers["retry-after"]) >= 1
            found = await scrape(client)
            assert found.value("breaker_state", target=backend.target, state="open") == 1
            assert found.value("breaker_state", target=backend.target, state="closed") == 0
            assert found.value("breaker_refused_total", model=MODEL, method="Predict") >= 1
            # The other questions are still asked, so the gateway knows what is live.
            assert (await client.get("/readyz")).status_code == 200
        async with asyncio.timeout(20):
            while (await ask(client)).status_code != 200:
                pass
        found = await scrape(client)
        assert found.value("breaker_state", target=backend.target, state="closed") == 1
        assert found.value("grpc_retry_budget", target=backend.target) > 0


async def test_tls_by_settings(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = Files(tmp_path, authority)
    async with FakeBackend(
        credentials=server_credentials(authority, "model-server.test", clients=authority)
    ) as backend:
        backend.add_version(MODEL, 1)
        settings = gateway_settings(
            backend.target,
            model_server_tls=True,
            model_server_tls_ca=files.ca,
            model_server_tls_certificate=files.certificate,
            model_server_tls_key=files.key,
            model_server_tls_server_name="model-server.test",
        )
        async with gateway_client(settings) as client:
            assert (await ask(client)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_server": "nowhere"}, "no address of a model server"),
        ({"model_server_tls_ca": "ca.pem"}, "would speak plain text"),
        (
            {"model_server_tls": True, "model_server_tls_ca": "/none.pem"},
            r"The CA file /none\.pem cannot be read",
        ),
        ({"model_server_tls": True, "model_server": "a:1,b:1"}, "SPORTVISION_MODEL_SERVER_TLS_SERVER_NAME"),
        ({"breaker_failure_share": 0}, "greater than 0"),
        ({"retry_attempts": 6}, "less than or equal to 5"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate({"tokens": [TOKEN], **changes})


def test_the_settings_defaults_are_the_clients() -> None:
    assert Settings.model_validate({"tokens": [TOKEN]}).model_server_channel == ChannelSettings()
