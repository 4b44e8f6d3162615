"""A new version that cannot be loaded, published to a real model server under load."""

import asyncio
import shutil
from pathlib import Path

from proto_client import ModelServerClient, ModelState
from tests.support.gateway import MODEL
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.load import under_load
from tests.support.processes import ROOT, free_port, listens, running_module, wait_until


def publish(model: Path, version: int, *, corrupt: bool = False) -> None:
    """Put the shipped model there under another number, by a rename, as users are told to."""
    shipped = max((ROOT / "models" / MODEL).iterdir(), key=lambda version: int(version.name))
    staged = model.parent / f"staged-{version}"
    shutil.copytree(shipped, staged, ignore=shutil.ignore_patterns("assets.extra"))
    if corrupt:
        graph = staged / "saved_model.pb"
        graph.write_bytes(graph.read_bytes()[:1000])
    model.mkdir(exist_ok=True)
    staged.rename(model / str(version))


async def until(target: str, version: int, state: ModelState) -> None:
    """Wait until the model server says so of a version."""
    async with ModelServerClient(target) as client, asyncio.timeout(60):
        while (version, state) not in [
            (status.version, status.state) for status in await client.model_status(MODEL, timeout=5)
        ]:
            await asyncio.sleep(0.05)


async def live_version(gateway: GatewayProcess) -> int:
    (model,) = (await gateway.client.get("/readyz")).json()["models"]
    version: int = model["version"]
    return version


async def test_the_old_one_goes_on_and_the_next_good_one_takes_over(tmp_path: Path) -> None:
    model = tmp_path / MODEL
    publish(model, 1)
    port, log = free_port(), tmp_path / "model-server.log"
    flags = [
        f"--port={port}",
        f"--model_name={MODEL}",
        f"--model_base_path={model}",
        "--file_system_poll_wait_seconds=1",
        "--max_num_load_retries=0",
        "--grpc_max_threads=64",
    ]
    with running_module("model_server", *flags, log=log) as process:
        await asyncio.to_thread(wait_until, "model server", lambda: listens(port), process, log)
        async with gateway_process(f"127.0.0.1:{port}", tmp_path) as gateway:
            await gateway.until_ready()
            async with under_load(lambda: gateway.client, callers=1) as load:
                await load.more(20)
                await asyncio.to_thread(lambda: publish(model, 2, corrupt=True))
                await until(f"127.0.0.1:{port}", 2, ModelState.END)
                await load.more(20)
                assert await live_version(gateway) == 1
                await asyncio.to_thread(publish, model, 3)
                async with asyncio.timeout(60):
                    while await live_version(gateway) != 3:
                        await asyncio.sleep(0.05)
                await load.more(20)
    assert load.failed == 0, load.by_kind
