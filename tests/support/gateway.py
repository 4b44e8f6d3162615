"""The gateway on a loopback port, in the test's own event loop, served by uvicorn as in production."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import uvicorn

from app.main import create_app
from app.settings import Settings

TOKEN = "a-token-for-the-tests"
PREDICT = "/sportclassifier/predict/"
PREDICT_V2 = "/v2/sportclassifier/predict/"
PREDICT_PRODUCT = "/productclassifier/predict/"
MODEL = "sport_classifier"
PRODUCT_MODEL = "product_classifier"


@dataclass(frozen=True)
class Endpoint:
    """A picture endpoint and the model behind it."""

    path: str
    model: str


ENDPOINTS = (Endpoint(PREDICT, MODEL), Endpoint(PREDICT_PRODUCT, PRODUCT_MODEL))


def gateway_settings(model_server: str, **changes: object) -> Settings:
    """Settings for a test, untouched by the environment."""
    values = {
        "tokens": [TOKEN],
        "model_server": model_server,
        "model_refresh_seconds": 0.05,
        "decode_workers": 2,
        **changes,
    }
    return Settings.model_validate(values)


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[str]:
    """Serve the gateway; yields its URL."""
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:
                if serving.done():
                    serving.result()
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def gateway_client(settings: Settings, token: str = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the gateway; yields a client that sends the token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        running_gateway(settings) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as client,
    ):
        yield client
