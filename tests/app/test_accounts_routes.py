"""Accounts over HTTP, from the address to the deletion, on both databases."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from accounts.database import Database
from accounts.tables.base import now
from accounts.tables.mail import Link
from accounts.tokens.news import News
from tests.support.self_service import Desk, check_problem, open_desk, path_in, self_service_settings, text_of

ADA = "ada@example.org"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(self_service_settings(database_url, tmp_path / "mails")) as desk:
        yield desk


async def test_from_an_address_to_a_token_that_works(desk: Desk) -> None:
    asked = await desk.client.post("/accounts", json={"email": "Ada@Example.org"})
    assert asked.status_code == 202
    assert asked.json() == {
        "status": "accepted",
        "detail": "A mail is on its way. Follow the link in it within 24 hours.",
    }
    mail = await desk.mailbox.wait("Ada@example.org")
    assert mail["Subject"] == "Confirm your address for Sport Vision"
    path = path_in(mail)
    looked = await desk.client.get(path)
    assert looked.json()["email"] == "Ada@example.org"
    # Mail programs look at links before people do.
    assert (await desk.client.get(path)).status_code == 200
    assert (await desk.client.head(path)).status_code in {200, 405}
    confirmed = await desk.client.post(path)
    assert confirmed.status_code == 200
    assert confirmed.headers["cache-control"] == "no-store"
    session = confirmed.json()
    assert session["created"] is True
    desk.client.headers["Authorization"] = f"Bearer {session['token']}"
    mine = (await desk.client.get("/accounts/me")).json()
    assert (mine["id"], mine["email"], mine["plan"]) == (session["account_id"], "Ada@example.org", None)
    made = await desk.client.post("/accounts/me/tokens", json={"name": "shop", "scopes": ["sport"]})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    token = made.json()
    assert (token["name"], token["scopes"], token["expires_at"]) == ("shop", ["sport"], None)
    assert token["token"].endswith(token["hint"])
    # Good for what it is for, and for nothing else.
    desk.client.headers["Authorization"] = token["token"]
    check_problem(await desk.client.get("/accounts/me"), 403, "missing-scope")
    assert (await desk.client.post("/sportclassifier/predict/")).status_code == 415


async def test_a_known_address_gets_another_mail_and_the_same_answer(desk: Desk) -> None:
    first = await desk.client.post("/accounts", json={"email": ADA})
    await desk.client.post(path_in(await desk.mailbox.wait(ADA)))
    second = await desk.client.post("/accounts", json={"email": "ADA@example.org"})
    assert (second.status_code, second.content) == (first.status_code, first.content)
    private = {"date", "x-request-id"}
    assert {k: v for k, v in second.headers.items() if k not in private} == {
        k: v for k, v in first.headers.items() if k not in private
    }
    # It goes as the owner spelled it, not as somebody else did.
    mail = await desk.mailbox.wait(ADA, 2)
    assert mail["Subject"] == "Your Sport Vision account"
    assert "You have one already" in text_of(mail)
    signed_in = (await desk.client.post(path_in(mail))).json()
    assert signed_in["created"] is False


async def test_a_sign_in_ends_the_one_before_and_leaves_other_tokens(desk: Desk) -> None:
    first = await desk.sign_in(ADA)
    made = (await desk.client.post("/accounts/me/tokens", json={"name": "shop"})).json()
    second = await desk.sign_in(ADA)
    assert second["account_id"] == first["account_id"]
    tokens = (await desk.client.get("/accounts/me/tokens")).json()["data"]
    assert [(one["name"], one["revoked_at"] is None) for one in tokens] == [
        ("Signed in by mail", False),
        ("shop", True),
        ("Signed in by mail", True),
    ]
    assert tokens[1]["id"] == made["id"]
    assert all("token" not in one and "digest" not in one for one in tokens)
    desk.client.headers["Authorization"] = f"Bearer {first['token']}"
    check_problem(await desk.client.get("/accounts/me"), 401, "unauthorized")


async def test_links_that_are_used_expired_foreign_or_damaged(desk: Desk, database_url: str) -> None:
    await desk.client.post("/accounts", json={"email": ADA})
    path = path_in(await desk.mailbox.wait(ADA))
    assert (await desk.client.post(path)).status_code == 200
    for answer in (await desk.client.post(path), await desk.client.get(path)):
        assert "works once" in check_problem(answer, 410, "link-used")
    check_problem(await desk.client.post(path[:-1]), 404, "unknown-link")
    check_problem(
        await desk.client.post(f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}"), 404, "unknown-link"
    )
    check_problem(await desk.client.get(path.replace("/accounts", "/mailing-list")), 404, "unknown-link")
    await desk.client.post("/mailing-list/subscriptions", json={"email": ADA})
    path = path_in(await desk.mailbox.wait(ADA, 2))
    database = Database(database_url)
    async with database.write() as session:
        await session.execute(update(Link).values(expires_at=now()))
    await database.close()
    for answer in (await desk.client.get(path), await desk.client.post(path)):
        assert "not followed in time" in check_problem(answer, 410, "link-expired")


async def test_one_link_followed_by_many_at_once_is_followed_once(desk: Desk) -> None:
    await desk.client.post("/accounts", json={"email": ADA})
    path = path_in(await desk.mailbox.wait(ADA))
    answers = await asyncio.gather(*(desk.client.post(path) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 410, 410, 410, 410, 410]


async def test_two_links_of_one_address_make_one_account(desk: Desk) -> None:
    for _ in range(2):
        await desk.client.post("/accounts", json={"email": ADA})
    await desk.mailbox.wait(ADA, 2)
    paths = [path_in(mail) for mail in desk.mailbox.to(ADA)]
    answers = await asyncio.gather(*(desk.client.post(path) for path in paths))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["account_id"] for answer in answers}) == 1
    assert sorted(answer.json()["created"] for answer in answers) == [False, True]


async def test_browsers_get_pages_with_a_button(desk: Desk) -> None:
    await desk.client.post("/accounts", json={"email": ADA})
    path = path_in(await desk.mailbox.wait(ADA))
    page = await desk.client.get(path, headers=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<form method="post"><button type="submit">Confirm your address</button></form>' in page.text
    assert ADA in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "form-action 'self'" in page.headers["content-security-policy"]
    form = {"Content-Type": "application/x-www-form-urlencoded", **BROWSER}
    done = await desk.client.post(path, headers=form)
    assert done.status_code == 200
    assert "<code>sv_" in done.text
    again = await desk.client.post(path, headers=form)
    assert again.status_code == 410
    assert "The link was used already" in again.text
    assert "<form" not in again.text


async def test_bad_bodies(desk: Desk) -> None:
    for text in ("ada", "ada@example.org\r\nBcc: eve@example.org", "Ada <ada@example.org>", ""):
        detail = check_problem(
            await desk.client.post("/accounts", json={"email": text}), 422, "invalid-email"
        )
        assert "as in ada@example.org" in detail
    for answer in (
        await desk.client.post("/accounts", json={}),
        await desk.client.post("/accounts", json={"email": 3}),
        await desk.client.post("/accounts", json={"email": ADA, "admin": True}),
        await desk.client.post("/accounts", content=b"{", headers={"Content-Type": "application/json"}),
        await desk.client.post("/accounts", data={"email": ADA}),
        await desk.client.post("/accounts"),
    ):
        check_problem(answer, 422, "invalid-body")
        assert ADA not in answer.text
    big = json.dumps({"email": ADA, "x": "x" * 20_000}).encode()
    check_problem(await desk.client.post("/accounts", content=big), 413, "content-too-large")
    assert desk.mailbox.all() == []


async def test_asking_is_limited_by_address_and_by_network(sqlite_url: str, tmp_path: Path) -> None:
    settings = self_service_settings(
        sqlite_url,
        tmp_path / "mails",
        mails_per_address_per_hour=2,
        mails_per_network_per_hour=4,
        trusted_proxies=["127.0.0.0/8"],
    )

    async with open_desk(settings) as desk:

        async def ask(path: str, address: str, source: str) -> httpx.Response:
            headers = {"X-Forwarded-For": source}
            return await desk.client.post(path, json={"email": address}, headers=headers)

        assert (await ask("/accounts", ADA, "2001:db8::1")).status_code == 202
        assert (await ask("/mailing-list/subscriptions", ADA, "2001:db8::2")).status_code == 202
        refused = await ask("/accounts", "ADA@example.org", "192.0.2.1")
        assert "for this address" in check_problem(refused, 429, "too-many-mails")
        assert 0 < int(refused.headers["Retry-After"]) <= 1800
        # From one /64, whatever the address in it.
        assert (await ask("/accounts", "b@example.org", "2001:db8::ffff:3")).status_code == 202
        assert (await ask("/accounts", "c@example.org", "2001:db8:0:0:4::")).status_code == 202
        refused = await ask("/accounts", "d@example.org", "2001:db8::5")
        assert "your network" in check_problem(refused, 429, "too-many-mails")
        assert (await ask("/accounts", "d@example.org", "2001:db8:0:1::5")).status_code == 202


async def test_nobody_pretends_to_be_another_network(sqlite_url: str, tmp_path: Path) -> None:
    settings = self_service_settings(
        sqlite_url, tmp_path / "mails", mails_per_network_per_hour=2, trusted_proxies=["192.0.2.0/24"]
    )
    async with open_desk(settings) as desk:
        answers = [
            await desk.client.post(
                "/accounts",
                json={"email": f"{number}@example.org"},
                headers={"X-Forwarded-For": f"198.51.100.{number}"},
            )
            for number in range(3)
        ]
    assert [answer.status_code for answer in answers] == [202, 202, 429]


async def test_where_sign_up_is_closed_nobody_can_tell(sqlite_url: str, tmp_path: Path) -> None:
    async with open_desk(self_service_settings(sqlite_url, tmp_path / "mails")) as desk:
        await desk.sign_in(ADA)
    async with open_desk(self_service_settings(sqlite_url, tmp_path / "closed", sign_up=False)) as desk:
        unknown = await desk.client.post("/accounts", json={"email": "eve@example.org"})
        known = await desk.client.post("/accounts", json={"email": ADA})
        assert (unknown.status_code, unknown.content) == (known.status_code, known.content)
        await desk.mailbox.wait(ADA)
        assert desk.mailbox.to("eve@example.org") == []


async def test_no_address_and_no_secret_is_logged(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_desk(self_service_settings(sqlite_url, tmp_path / "mails")) as desk:
        await desk.subscribe(ADA)
        session = await desk.sign_in(ADA)
        link = path_in(desk.mailbox.to(ADA)[-1]).rpartition("/")[2]
        await desk.client.post("/accounts", json={"email": "not an address of ada"})
        await desk.client.get("/accounts/me/export")
        await desk.client.delete("/accounts/me")
    # What the test's own client logs is its own business.
    ours = [
        record.getMessage() + str(record.__dict__)
        for record in caplog.records
        if not record.name.startswith("http")
    ]
    written = "\n".join(ours)
    assert "app.access" in written
    assert "example.org" not in written.replace("sport.example.org", "").replace(
        "sport-vision@example.org", ""
    )
    assert "of ada" not in written
    assert link not in written
    assert str(session["token"]) not in written


async def test_a_token_that_is_revoked_again_is_no_news(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[uuid.UUID | None] = []
    heard = News.heard

    def note(news: News, identity: uuid.UUID | None) -> None:
        told.append(identity)
        heard(news, identity)

    await desk.sign_in(ADA)
    made = (await desk.client.post("/accounts/me/tokens", json={"name": "shop"})).json()
    monkeypatch.setattr(News, "heard", note)
    for _ in range(3):
        assert (await desk.client.delete(f"/accounts/me/tokens/{made['id']}")).status_code == 204
    assert told == [uuid.UUID(made["id"])]
