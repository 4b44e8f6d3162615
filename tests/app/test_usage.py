"""GET /usage, on SQLite and on PostgreSQL."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts import migrating
from accounts.database import Database, DatabaseAway
from accounts.tables import DailyUsage
from accounts.tokens.keys import TokenKeys
from accounts.tokens.making import NewToken
from accounts.tokens.scopes import Scope
from tests.accounts.people import new_account, new_token
from tests.app.test_errors import assert_problem
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import PREDICT, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg
from tests.support.plans import plans_file

SECRET = "a-secret-key-for-the-tests-of-usage"
KEYS = TokenKeys(SECRET.encode())
NO_USE: dict[str, int] = {"requests": 0, "images": 0, "refused": 0, "failed": 0}


@asynccontextmanager
async def gateway(
    backend: FakeBackend, url: str, folder: Path, token: str, **changes: object
) -> AsyncIterator[httpx.AsyncClient]:
    plan: dict[str, int | bool] = {"requests_per_minute": 60, "burst": 20, "images_per_day": 3}
    settings = gateway_settings(
        backend.target,
        secret_key=SECRET,
        database_url=url,
        plans_file=plans_file(folder, small=plan, unlimited={}),
        **changes,
    )
    async with gateway_client(settings, token) as client:
        yield client


async def token_of(database: Database, account: uuid.UUID | None = None, **given: Any) -> NewToken:
    return await new_token(database, account, keys=KEYS, **given)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


async def test_what_the_plan_allows_what_is_left_and_what_was_used(
    backend: FakeBackend, database_url: str, database: Database, tmp_path: Path
) -> None:
    token = (await token_of(database)).secret
    async with gateway(backend, database_url, tmp_path, token) as client:
        before = (await client.get("/usage")).json()
        assert (before["plan"], before["recorded"], before["data"]) == ("small", True, [])
        begun = today()
        pictures = [grey_jpeg(0), b"no picture", grey_jpeg(1), grey_jpeg(2), grey_jpeg(3)]
        statuses = [(await client.post(PREDICT, files={"file": one})).status_code for one in pictures]
        assert statuses == [200, 415, 200, 200, 429]
        # At once, though nothing need be written yet.
        answer = await client.get("/usage")
        assert answer.headers["cache-control"] == "no-store"
        found = answer.json()
        requests, images = found["limits"]
        assert requests | {"remaining": 0, "reset_seconds": 0} == {
            "name": "requests",
            "unit": "requests",
            "quota": 20,
            "window_seconds": 20,
            "remaining": 0,
            "reset_seconds": 0,
        }
        assert (images["name"], images["quota"], images["window_seconds"]) == ("images", 3, 86_400)
        if today() == begun:
            assert images["remaining"] == 0
            assert found["data"] == [{"day": begun, "requests": 4, "images": 3, "refused": 1, "failed": 0}]


async def test_it_is_kept_when_the_gateway_stops(
    backend: FakeBackend, database_url: str, database: Database, tmp_path: Path
) -> None:
    token = (await token_of(database)).secret
    async with gateway(backend, database_url, tmp_path, token, usage_flush_seconds=3600) as client:
        await client.post(PREDICT, files={"file": grey_jpeg(0)})
    async with gateway(backend, database_url, tmp_path, token) as client:
        (day,) = (await client.get("/usage")).json()["data"]
        assert day == NO_USE | {"day": day["day"], "requests": 1, "images": 1}


async def test_the_days_that_are_asked_for_of_a_token_or_of_its_account(
    backend: FakeBackend, database_url: str, database: Database, tmp_path: Path
) -> None:
    account = await new_account(database)
    first, second = await token_of(database, account), await token_of(database, account)
    stranger = await token_of(database)
    now = datetime.now(UTC).date()
    async with database.write() as session:
        for token, owner in ((first, account), (second, account), (stranger, stranger.row.account_id)):
            for age in (0, 3, 40):
                session.add(
                    DailyUsage(
                        token_id=token.row.id,
                        account_id=owner,
                        day=now - timedelta(days=age),
                        requests=1,
                        images=10,
                    )
                )
    async with gateway(backend, database_url, tmp_path, first.secret) as client:

        async def images(**query: str | int) -> list[int]:
            answer = await client.get("/usage", params=query)
            assert answer.status_code == 200
            return [day["images"] for day in answer.json()["data"]]

        if datetime.now(UTC).date() == now:
            assert await images() == [10, 10]
            assert await images(days=3) == [10]
            assert await images(days=366) == [10, 10, 10]
            assert await images(of="account") == [20, 20]
            assert await images(of="account", days=1) == [20]
        for query in ({"days": 0}, {"days": 367}, {"of": "everybody"}):
            assert_problem(
                await client.get("/usage", params=query), 422, "invalid-parameter", "Change the query"
            )


async def test_who_may_ask(
    backend: FakeBackend, database_url: str, database: Database, tmp_path: Path
) -> None:
    without = await token_of(database, scopes=frozenset({Scope.SPORT}))
    async with gateway(backend, database_url, tmp_path, without.secret) as client:
        assert_problem(await client.get("/usage"), 403, "missing-scope", 'no scope "usage"')
        client.headers["Authorization"] = ""
        assert_problem(await client.get("/usage"), 401, "unauthorized", "carries no token")


async def test_the_operator_s_own_tokens_have_a_plan_but_no_days(client: httpx.AsyncClient) -> None:
    await client.post(PREDICT, files={"file": grey_jpeg(0)})
    assert (await client.get("/usage")).json() == {
        "plan": "unlimited",
        "limits": [],
        "recorded": False,
        "data": [],
    }


async def test_with_the_database_away_pictures_go_on_and_this_waits(
    backend: FakeBackend, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrating.upgrade(sqlite_url)
    database = Database(sqlite_url)
    token = (await token_of(database)).secret
    await database.close()

    def away(*_: object) -> None:
        raise DatabaseAway("gone")

    async with gateway(backend, sqlite_url, tmp_path, token, usage_flush_seconds=0.01) as client:
        assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 200
        with monkeypatch.context() as patch:
            patch.setattr(Database, "read", away)
            patch.setattr(Database, "write", away)
            assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 200
            answer = await client.get("/usage")
            assert_problem(answer, 503, "service-unavailable", "Nothing is lost")
            assert answer.headers["retry-after"] == "2"
        async with asyncio.timeout(20):
            while (answer := await client.get("/usage")).status_code != 200:
                await asyncio.sleep(0.01)
        assert sum(day["images"] for day in answer.json()["data"]) == 2
