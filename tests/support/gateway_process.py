"""`python -m app` as a process, with a client for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import httpx

from tests.support.gateway import TOKEN
from tests.support.processes import free_port, listens, running_module, wait_until
from tests.support.scrape import Scrape, scrape


@dataclass(frozen=True)
class GatewayProcess:
    """A running gateway."""

    port: int
    process: Popen[bytes]
    client: httpx.AsyncClient
    log: Path

    async def ready(self) -> bool:
        """Whether it says so."""
        try:
            return (await self.client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def until_ready(self) -> None:
        """Poll; TimeoutError after 30 s."""
        async with asyncio.timeout(30):
            while not await self.ready():
                await asyncio.sleep(0.02)

    async def healthy(self) -> bool:
        """Whether it is alive."""
        return (await self.client.get("/healthz")).status_code == 200

    async def metrics(self) -> Scrape:
        """What it has measured."""
        return await scrape(self.client)


@asynccontextmanager
async def gateway_process(
    target: str, folder: Path, *, port: int | None = None, **settings: object
) -> AsyncIterator[GatewayProcess]:
    """Run a gateway before the model server at `target`; settings by their names in app/settings.py."""
    port = port or free_port()
    log = folder / f"gateway-{port}.log"
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_MODEL_SERVER": target,
        "SPORTVISION_PRODUCT_MODEL": "",
        "SPORTVISION_LOG_LEVEL": "warning",
        "SPORTVISION_MODEL_REFRESH_SECONDS": "0.2",
        **{f"SPORTVISION_{name.upper()}": str(value) for name, value in settings.items()},
    }
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    with running_module("app", log=log, environment=environment) as process:
        await asyncio.to_thread(wait_until, "gateway", lambda: listens(port), process, log)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits, trust_env=False
        ) as client:
            yield GatewayProcess(port, process, client, log)
