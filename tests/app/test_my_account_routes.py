"""What the holder of an account does with it, over HTTP, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.self_service import Desk, check_problem, open_desk, self_service_settings

ADA = "ada@example.org"


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(self_service_settings(database_url, tmp_path / "mails")) as desk:
        yield desk


async def test_tokens_are_rotated_and_revoked(desk: Desk) -> None:
    session = await desk.sign_in(ADA)
    made = (
        await desk.client.post("/accounts/me/tokens", json={"name": "shop", "expires_in_days": 10})
    ).json()
    path = f"/accounts/me/tokens/{made['id']}"
    rotated = await desk.client.post(f"{path}/rotate", json={"grace_seconds": 0})
    assert rotated.status_code == 201
    new = rotated.json()
    assert (new["name"], new["scopes"]) == ("shop", made["scopes"])
    assert new["token"] != made["token"]
    assert (await predict(desk, made["token"])).status_code == 401
    assert (await predict(desk, new["token"])).status_code == 415
    assert "revoked or expired" in check_problem(
        await desk.client.post(f"{path}/rotate"), 422, "token-refused"
    )
    assert (await desk.client.delete(f"/accounts/me/tokens/{new['id']}")).status_code == 204
    assert (await predict(desk, new["token"])).status_code == 401
    # The token of this very request.
    tokens = (await desk.client.get("/accounts/me/tokens")).json()["data"]
    own = next(one for one in tokens if one["hint"] == str(session["token"])[-4:])
    answer = await desk.client.post(f"/accounts/me/tokens/{own['id']}/rotate")
    assert "cannot be rotated" in check_problem(answer, 422, "token-refused")
    assert (await desk.client.delete(f"/accounts/me/tokens/{own['id']}")).status_code == 204
    check_problem(await desk.client.get("/accounts/me"), 401, "unauthorized")


async def predict(desk: Desk, token: str) -> httpx.Response:
    """415 without a picture, once the token was let in."""
    return await desk.client.post("/sportclassifier/predict/", headers={"Authorization": token})


async def test_nobody_sees_or_touches_another_s_tokens(desk: Desk) -> None:
    await desk.sign_in(ADA)
    made = (await desk.client.post("/accounts/me/tokens", json={"name": "shop"})).json()
    await desk.sign_in("eve@example.org")
    assert made["id"] not in (await desk.client.get("/accounts/me/tokens")).text
    path = f"/accounts/me/tokens/{made['id']}"
    check_problem(await desk.client.delete(path), 404, "unknown-token")
    check_problem(await desk.client.post(f"{path}/rotate"), 404, "unknown-token")
    assert (await predict(desk, made["token"])).status_code == 415


@pytest.mark.parametrize(
    ("body", "slug", "words"),
    [
        ({"name": "x", "scopes": ["account"]}, "invalid-body", "scopes"),
        ({"name": "x", "scopes": []}, "invalid-body", "scopes"),
        ({"name": "x", "scope": "sport"}, "invalid-body", "scope"),
        ({"name": "x", "expires_in_days": -1}, "invalid-body", "expires_in_days"),
        ({"name": " \n "}, "token-refused", "name"),
        ({}, "invalid-body", "name"),
    ],
)
async def test_tokens_that_cannot_be(
    sqlite_url: str, tmp_path: Path, body: dict[str, object], slug: str, words: str
) -> None:
    async with open_desk(self_service_settings(sqlite_url, tmp_path / "mails")) as desk:
        await desk.sign_in(ADA)
        answer = await desk.client.post("/accounts/me/tokens", json=body)
        assert words in check_problem(answer, 422, slug)


async def test_an_account_is_exported_and_deleted_whole(desk: Desk) -> None:
    await desk.subscribe(ADA)
    session = await desk.sign_in(ADA)
    made = (await desk.client.post("/accounts/me/tokens", json={"name": "shop"})).json()
    answer = await desk.client.get("/accounts/me/export")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    export = answer.json()
    assert export["account"]["email"] == ADA
    assert [token["name"] for token in export["tokens"]] == ["Signed in by mail", "shop"]
    assert export["subscriptions"][0]["consent_source"] == "API"
    assert {entry["action"] for entry in export["audit_log"]} >= {"account.make", "token.make"}
    assert export["suppression"] is None
    for secret in (made["token"], session["token"]):
        assert str(secret) not in answer.text
    assert "digest" not in answer.text
    assert (await desk.client.delete("/accounts/me")).status_code == 204
    check_problem(await desk.client.get("/accounts/me"), 401, "unauthorized")
    assert (await predict(desk, made["token"])).status_code == 401
    again = await desk.sign_in(ADA)
    assert again["created"] is True
    assert again["account_id"] != session["account_id"]
    export = (await desk.client.get("/accounts/me/export")).json()
    assert export["subscriptions"] == []
    assert export["suppression"]["reason"] == "deleted"


async def test_an_account_is_exported_a_few_times_an_hour(sqlite_url: str, tmp_path: Path) -> None:
    async with open_desk(self_service_settings(sqlite_url, tmp_path / "mails")) as desk:
        await desk.sign_in(ADA)
        for _ in range(5):
            export = (await desk.client.get("/accounts/me/export")).json()
        assert [mail["kind"] for mail in export["mails"]] == ["account.confirm"]
        assert [link["purpose"] for link in export["links"]] == ["account.confirm"]
        assert export["audit_log_entries"] == len(export["audit_log"])
        refused = await desk.client.get("/accounts/me/export")
        assert "5 times an hour" in check_problem(refused, 429, "too-many-exports")
        assert 0 < int(refused.headers["Retry-After"]) <= 720
        # The account of another, from the same network.
        await desk.sign_in("eve@example.org")
        assert (await desk.client.get("/accounts/me/export")).status_code == 200


async def test_static_tokens_have_no_account(desk: Desk) -> None:
    desk.client.headers["Authorization"] = "a-token-for-the-tests"
    check_problem(await desk.client.get("/accounts/me"), 403, "account-needed")
