"""The mailing list over HTTP, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from accounts.audit import Actor
from accounts.database import Database
from accounts.links import LinkKeys
from accounts.list_sending import Message, list_figures, send_to_list
from accounts.tables.base import now
from accounts.tables.mailing_list import Subscription
from tests.support.scrape import scrape
from tests.support.self_service import (
    SECRET,
    Desk,
    check_problem,
    open_desk,
    path_in,
    self_service_settings,
    text_of,
)

ADA = "ada@example.org"
BROWSER = {"Accept": "text/html"}
KEYS = LinkKeys(SECRET.encode())


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(self_service_settings(database_url, tmp_path / "mails")) as desk:
        yield desk


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def send_news(database: Database, number: int) -> None:
    await send_to_list(database, KEYS, Actor.operator("me"), Message(f"News {number}", "Read this."))


async def test_on_the_list_by_two_steps_and_off_it_by_one(desk: Desk, database: Database) -> None:
    asked = await desk.client.post("/mailing-list/subscriptions", json={"email": ADA, "source": "front page"})
    assert asked.status_code == 202
    confirmation = await desk.mailbox.wait(ADA)
    assert confirmation["Subject"] == "Confirm your subscription to Sport Vision's news"
    assert (await list_figures(database))["subscribed"] == 0
    path = path_in(confirmation)
    assert (await desk.client.get(path)).json()["email"] == ADA
    assert "<button" in (await desk.client.get(path, headers=BROWSER)).text
    assert (await list_figures(database))["subscribed"] == 0
    assert (await desk.client.post(path)).json() == {"status": "subscribed"}
    async with database.read() as session:
        subscription = (await session.scalars(select(Subscription))).one()
    assert subscription.consent_source == "front page"
    assert subscription.consented_at is not None
    assert subscription.requested_at <= subscription.consented_at
    check_problem(await desk.client.post(path), 410, "link-used")

    await send_news(database, 1)
    news = await desk.mailbox.wait(ADA, 2)
    assert news["Subject"] == "News 1"
    url = news["List-Unsubscribe"].strip("<>")
    assert news["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"Unsubscribe: {url}" in text_of(news)
    path = urlsplit(url).path
    # A person looks first; a mail program does as RFC 8058 says. Neither is logged in.
    assert "<button" in (await desk.client.get(path, headers=BROWSER)).text
    assert (await list_figures(database))["subscribed"] == 1
    one_click = {"List-Unsubscribe": "One-Click"}
    for _ in range(2):
        answer = await desk.client.post(path, data=one_click)
        assert (answer.status_code, answer.json()) == (200, {"status": "unsubscribed"})
    assert "set-cookie" not in answer.headers
    assert await list_figures(database) == {"subscribed": 0, "unsubscribed": 1, "suppressed": 1}
    await send_news(database, 2)

    # A new consent of the address's owner counts again.
    await desk.subscribe(ADA)
    assert await list_figures(database) == {"subscribed": 1, "unsubscribed": 0, "suppressed": 0}
    await send_news(database, 3)
    assert [mail["Subject"] for mail in desk.mailbox.to(ADA)[:2]] == [confirmation["Subject"], "News 1"]
    assert (await desk.mailbox.wait(ADA, 4))["Subject"] == "News 3"


async def test_a_subscriber_who_subscribes_anew_is_told_so_and_nobody_else_is(
    desk: Desk, database: Database
) -> None:
    await desk.subscribe(ADA)
    known = await desk.client.post("/mailing-list/subscriptions", json={"email": "ADA@example.org"})
    unknown = await desk.client.post("/mailing-list/subscriptions", json={"email": "eve@example.org"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    mail = await desk.mailbox.wait(ADA, 2)
    assert mail["Subject"] == "You are subscribed to Sport Vision's news"
    assert (await desk.client.post(path_in(mail))).json() == {"status": "unsubscribed"}
    assert (await list_figures(database))["subscribed"] == 0


async def test_unsubscribing_outlives_the_account_and_the_subscription(
    desk: Desk, database: Database
) -> None:
    await desk.subscribe(ADA)
    async with database.read() as session:
        subscription = (await session.scalars(select(Subscription.id))).one()
    await desk.sign_in(ADA)
    assert (await desk.client.delete("/accounts/me")).status_code == 204
    async with database.read() as session:
        assert (await session.scalars(select(Subscription))).all() == []
    # As if an old copy of the list were put back.
    async with database.write() as session:
        session.add(Subscription(email=ADA, email_key=ADA, consent_source="copy", consented_at=now()))
    await send_news(database, 1)
    path = f"/mailing-list/unsubscribe/{KEYS.unsubscribe_token(subscription)}"
    assert (await desk.client.post(path)).json() == {"status": "unsubscribed"}
    await desk.subscribe("eve@example.org")
    assert not [mail for mail in desk.mailbox.to(ADA) if mail["Subject"] == "News 1"]


async def test_mails_are_counted(desk: Desk) -> None:
    await desk.subscribe(ADA)
    async with asyncio.timeout(10):
        while (await scrape(desk.client)).value("mails_total", outcome="sent") != 1:
            await asyncio.sleep(0.02)
    assert (await scrape(desk.client)).value("mails_held_up") == 0


async def test_links_that_are_not_ours(desk: Desk) -> None:
    for link in ("x", "A" * 43, "a" * 99):
        check_problem(await desk.client.get(f"/mailing-list/unsubscribe/{link}"), 404, "unknown-link")
        check_problem(await desk.client.post(f"/mailing-list/unsubscribe/{link}"), 404, "unknown-link")
        check_problem(await desk.client.post(f"/mailing-list/confirmations/{link}"), 404, "unknown-link")
    page = await desk.client.post("/mailing-list/unsubscribe/x", headers=BROWSER)
    assert page.status_code == 404
    assert "There is no such link" in page.text


@pytest.mark.parametrize("source", ["", "x" * 81, "<script>", "a\nb"])
async def test_sources_that_cannot_be(sqlite_url: str, tmp_path: Path, source: str) -> None:
    async with open_desk(self_service_settings(sqlite_url, tmp_path / "mails")) as desk:
        answer = await desk.client.post("/mailing-list/subscriptions", json={"email": ADA, "source": source})
        check_problem(answer, 422, "invalid-body")
