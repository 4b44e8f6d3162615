"""Tokens of accounts at the gateway's door: both forms, scopes, revocation on every replica, and no database."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from accounts import migrating
from accounts.database import Database
from accounts.tables.base import now
from accounts.tokens.format import new_token as invented_token
from accounts.tokens.keys import TokenKeys
from accounts.tokens.making import list_tokens, revoke_token
from accounts.tokens.news import open_news
from accounts.tokens.scopes import Scope
from app.settings import Settings
from tests.accounts.people import OPERATOR, new_account, new_token
from tests.support.databases import own_postgres
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import (
    PREDICT,
    PREDICT_PRODUCT,
    PREDICT_V2,
    TOKEN,
    gateway_settings,
    running_gateway,
)
from tests.support.pictures import grey_jpeg

SECRET = "a-secret-key-for-the-tests-of-tokens"
KEYS = TokenKeys(SECRET.encode())
Answer = httpx.Response


@dataclass(frozen=True)
class Door:
    """A gateway."""

    client: httpx.AsyncClient

    async def ask(self, authorization: str | bytes | None, path: str = PREDICT) -> Answer:
        value = authorization.encode("ascii") if isinstance(authorization, str) else authorization
        headers = {} if value is None else {b"Authorization": value}
        return await self.client.post(path, headers=headers, files={"file": grey_jpeg(1)})


def settings_for(backend: FakeBackend, url: str, **changes: object) -> Settings:
    return gateway_settings(
        backend.target, secret_key=SECRET, database_url=url, database_wait_seconds=0, **changes
    )


@asynccontextmanager
async def doors(settings: Settings, number: int = 1) -> AsyncIterator[list[Door]]:
    """Replicas of one gateway."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(number):
            url = await stack.enter_async_context(running_gateway(settings))
            client = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
            opened.append(Door(await stack.enter_async_context(client)))
        yield opened


def problem(answer: Answer, status: int, slug: str) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["type"] == f"urn:sportvision:problem:{slug}"
    return found


async def until(reached: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await reached():
            await asyncio.sleep(0.01)


async def test_raw_and_bearer_beside_the_tokens_of_the_settings(
    backend: FakeBackend, database_url: str, database: Database
) -> None:
    new = await new_token(database, keys=KEYS)
    async with doors(settings_for(backend, database_url)) as (door,):
        for authorization in (
            new.secret,
            f"Bearer {new.secret}",
            f"bearer  {new.secret}",
            f"Bearer {TOKEN}",
        ):
            assert (await door.ask(authorization)).status_code == 200
        refused: list[tuple[str | bytes | None, str]] = [
            (None, "carries no token"),
            ("Bearer", "carries no token"),
            (f"Bearer {invented_token()}", "revoked, or it has expired"),
            ("Bearer something-else", "not known here"),
            (f"Bearer {new.secret[:-1]}", "checksum does not fit"),
            (f"Bearer {new.secret[:-1]}\u00e9".encode("latin-1"), "checksum does not fit"),
        ]
        for header, words in refused:
            found = problem(await door.ask(header), 401, "unauthorized")
            assert words in found["detail"]
            assert new.secret[:-1] not in str(found)


async def test_a_token_is_good_for_its_scopes_only(
    backend: FakeBackend, database_url: str, database: Database
) -> None:
    new = await new_token(database, keys=KEYS, scopes=frozenset({Scope.PRODUCT, Scope.USAGE}))
    async with doors(settings_for(backend, database_url)) as (door,):
        answer = await door.ask(f"Bearer {new.secret}")
        found = problem(answer, 403, "missing-scope")
        assert found["needed_scope"] == "sport"
        assert 'no scope "sport", only product, usage' in found["detail"]
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="sport"'
        problem(await door.ask(new.secret, PREDICT_V2), 403, "missing-scope")
        assert (await door.ask(f"Bearer {new.secret}", PREDICT_PRODUCT)).status_code != 403
        assert (await door.ask(f"Bearer {TOKEN}")).status_code == 200


async def test_an_expired_token_is_refused(
    backend: FakeBackend, database_url: str, database: Database
) -> None:
    new = await new_token(database, keys=KEYS, expires_at=now() + timedelta(seconds=0.5))
    async with doors(settings_for(backend, database_url)) as (door,):

        async def refused() -> bool:
            return (await door.ask(new.secret)).status_code == 401

        await until(refused)


async def test_a_revocation_reaches_every_replica_by_the_database(
    backend: FakeBackend, database_url: str, database: Database
) -> None:
    new = await new_token(database, keys=KEYS)
    async with doors(settings_for(backend, database_url, token_changes_seconds=0.3), 2) as replicas:
        for door in replicas:
            assert (await door.ask(new.secret)).status_code == 200
        async with database.write() as session:
            await revoke_token(session, new.row.id, OPERATOR)
        revoked = asyncio.get_running_loop().time()
        for door in replicas:

            async def refused(door: Door = door) -> bool:
                return (await door.ask(new.secret)).status_code == 401

            await until(refused)
        assert asyncio.get_running_loop().time() - revoked < 5


async def test_a_revocation_reaches_every_replica_by_redis(
    backend: FakeBackend, database_url: str, database: Database, redis_url: str
) -> None:
    new = await new_token(database, keys=KEYS)
    # Without the news this would take ten minutes.
    settings = settings_for(backend, database_url, token_changes_seconds=600, redis_url=redis_url)
    async with doors(settings, 2) as replicas, open_news(redis_url) as news:
        for door in replicas:
            assert (await door.ask(new.secret)).status_code == 200
        async with database.write() as session:
            await revoke_token(session, new.row.id, OPERATOR)
        for door in replicas:

            async def refused(door: Door = door) -> bool:
                # Told again, for nobody knows when the replicas have subscribed.
                await news.tell(new.row.id)
                return (await door.ask(new.secret)).status_code == 401

            await until(refused)


async def test_while_the_database_is_away(backend: FakeBackend, request: pytest.FixtureRequest) -> None:
    with own_postgres(request) as server:
        await migrating.upgrade(server.url)
        database = Database(server.url)
        known, unknown = await new_token(database, keys=KEYS), await new_token(database, keys=KEYS)
        await database.close()
        settings = settings_for(
            backend, server.url, token_cache_seconds=0.1, token_stale_seconds=600, database_timeout_seconds=2
        )
        async with doors(settings) as (door,):
            assert (await door.ask(known.secret)).status_code == 200
            server.stop()
            for _ in range(10):
                assert (await door.ask(known.secret)).status_code == 200
            answer = await door.ask(unknown.secret)
            found = problem(answer, 503, "service-unavailable")
            assert "It is not refused: try again" in found["detail"]
            assert int(answer.headers["retry-after"]) > 0
            assert (await door.ask(TOKEN)).status_code == 200
            assert problem(await door.ask(unknown.secret[:-1]), 401, "unauthorized")
            server.start()

            async def let_in() -> bool:
                return (await door.ask(unknown.secret)).status_code == 200

            await until(let_in)


async def test_the_last_use_is_written(backend: FakeBackend, database_url: str, database: Database) -> None:
    account_id: uuid.UUID = await new_account(database)
    used, idle = [await new_token(database, account_id, keys=KEYS) for _ in range(2)]
    before = now()
    async with doors(settings_for(backend, database_url)) as (door,):
        for _ in range(5):
            await door.ask(used.secret)
    # Written at the end, long before its time.
    async with database.read() as session:
        rows = {row.id: row for row in await list_tokens(session, account_id)}
    last = rows[used.row.id].last_used_at
    assert last is not None
    assert before - timedelta(seconds=1) < last < now()
    assert rows[idle.row.id].last_used_at is None
