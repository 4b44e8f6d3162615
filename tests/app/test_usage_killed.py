"""A gateway that is killed in the midst of its work loses no more usage than its settings say."""

import asyncio
import signal
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from accounts.database import Database
from accounts.tables import DailyUsage
from accounts.tokens.keys import TokenKeys
from tests.accounts.people import new_token
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import PREDICT, TOKEN
from tests.support.pictures import grey_jpeg
from tests.support.processes import free_port, listens, running_module, wait_until

SECRET = "a-secret-key-for-the-test-of-a-killing"
FLUSH_SECONDS = 0.5
#: What a write may take on a busy machine, and the way of an answer to its reader.
WRITE_SECONDS = 1.0
LOAD_SECONDS = 3.0


@pytest.mark.timeout(120)
async def test_killed_under_load(
    backend: FakeBackend, database_url: str, database: Database, tmp_path: Path
) -> None:
    token = (await new_token(database, keys=TokenKeys(SECRET.encode()))).secret
    port, log = free_port(), tmp_path / "gateway.log"
    environment = {
        "SPORTVISION_TOKENS": TOKEN,
        "SPORTVISION_SECRET_KEY": SECRET,
        "SPORTVISION_DATABASE_URL": database_url,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_MODEL_SERVER": backend.target,
        "SPORTVISION_STATIC_TOKENS_PLAN": "unlimited",
        "SPORTVISION_PLANS_FILE": str(tmp_path / "plans.toml"),
        "SPORTVISION_USAGE_FLUSH_SECONDS": str(FLUSH_SECONDS),
        "SPORTVISION_LOG_LEVEL": "warning",
        "SPORTVISION_MAIL_FOLDER": str(tmp_path / "mails"),
    }
    (tmp_path / "plans.toml").write_text('default = "unlimited"\n[plans.unlimited]\n')
    answered: list[float] = []
    with running_module("app", log=log, environment=environment) as process:
        await asyncio.to_thread(wait_until, "gateway", lambda: listens(port), process, log)

        async def ask(client: httpx.AsyncClient) -> None:
            try:
                while True:
                    (await client.post(PREDICT, files={"file": grey_jpeg(0)})).raise_for_status()
                    answered.append(time.monotonic())
            except httpx.TransportError:
                return

        headers = {"Authorization": token}
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            asking = [asyncio.create_task(ask(client)) for _ in range(8)]
            await asyncio.sleep(LOAD_SECONDS)
            process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            await asyncio.gather(*asking)
        process.wait(20)
    async with database.read() as session:
        requests, images = (
            await session.execute(select(func.sum(DailyUsage.requests), func.sum(DailyUsage.images)))
        ).one()
    lost = len(answered) - int(requests)
    late = sum(moment > killed - FLUSH_SECONDS - WRITE_SECONDS for moment in answered)
    print(f"answered {len(answered)}, recorded {requests}, lost {lost}, bound {late}")
    assert requests == images
    assert lost <= late < len(answered)
