"""Accounts while their database is away: a clear 503, and all as it was once it is back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from tests.support.self_service import Desk, open_desk, path_in, self_service_settings

ADA = "ada@example.org"


class Wire:
    """Between the gateway and PostgreSQL: it can be cut."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False
        self.port = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Wire"]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            self.cut()

    def cut(self) -> None:
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._cut = False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_unix_connection(str(self._socket))
        self._writers |= {writer, back}
        try:
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        finally:
            for one in (writer, back):
                one.transport.abort()
                self._writers.discard(one)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def wire(postgres_url: str) -> AsyncIterator[Wire]:
    folder = make_url(postgres_url).query.get("host")
    if not isinstance(folder, str) or not folder.startswith("/"):
        pytest.skip("the PostgreSQL that is named listens on no unix socket")
    async with Wire(Path(folder) / ".s.PGSQL.5432").serve() as wire:
        yield wire


def check_away(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == "urn:sportvision:problem:service-unavailable"
    assert "Nothing was done" in answer.json()["detail"] or "not refused" in answer.json()["detail"]
    assert answer.headers["Retry-After"] == "2"
    assert ADA not in answer.text


async def test_postgresql_goes_away_and_comes_back(wire: Wire, postgres_url: str, tmp_path: Path) -> None:
    url = make_url(postgres_url)
    through = url.set(host="127.0.0.1", port=wire.port, query={}).render_as_string(hide_password=False)
    async with open_desk(self_service_settings(through, tmp_path / "mails")) as desk:
        await desk.client.post("/accounts", json={"email": ADA})
        path = path_in(await desk.mailbox.wait(ADA))
        wire.cut()
        await ask_everything(desk, path)
        wire.mend()
        async with asyncio.timeout(20):
            while (answer := await desk.client.post(path)).status_code == 503:
                await asyncio.sleep(0.05)
        assert answer.status_code == 200
        desk.client.headers["Authorization"] = answer.json()["token"]
        assert (await desk.client.get("/accounts/me")).status_code == 200
        # Mails go on by themselves.
        assert (await desk.client.post("/accounts", json={"email": ADA})).status_code == 202
        await desk.mailbox.wait(ADA, 2)


async def ask_everything(desk: Desk, path: str) -> None:
    check_away(await desk.client.post("/accounts", json={"email": "eve@example.org"}))
    check_away(await desk.client.post("/mailing-list/subscriptions", json={"email": ADA}))
    check_away(await desk.client.get(path))
    check_away(await desk.client.post(path))
    assert (await desk.client.get("/healthz")).status_code == 200
    # What needs no database to be refused still is.
    assert (await desk.client.post("/accounts", json={"email": "ada"})).status_code == 422
    assert (await desk.client.get("/mailing-list/unsubscribe/x")).status_code == 404


async def test_a_locked_sqlite_is_waited_for_and_then_away(sqlite_url: str, tmp_path: Path) -> None:
    settings = self_service_settings(sqlite_url, tmp_path / "mails", database_timeout_seconds=0.3)
    async with open_desk(settings) as desk:
        other = sqlite3.connect(make_url(sqlite_url).database or "", check_same_thread=False)
        # In a thread, for the gateway is in this one, and may have the lock just now.
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        check_away(await desk.client.post("/accounts", json={"email": ADA}))
        other.close()
        assert (await desk.client.post("/accounts", json={"email": ADA})).status_code == 202
        await desk.mailbox.wait(ADA)
