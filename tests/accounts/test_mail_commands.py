"""`python -m accounts list …` and `mail …`, on both databases."""

import asyncio
import csv
import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from accounts.commands.line import main
from accounts.database import Database
from accounts.tables.audit import AuditEntry
from accounts.tables.mail import OutboxMail
from accounts.tables.mailing_list import Subscription
from tests.support.commands import SECRET

Run = Callable[..., tuple[int, str, str]]
MOMENT = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("SPORTVISION_DATABASE_URL", database_url)
    monkeypatch.setenv("SPORTVISION_SECRET_KEY", SECRET)
    for name in ("ENVIRONMENT", "REDIS_URL", "ACCOUNTS", "PREVIOUS_SECRET_KEY"):
        monkeypatch.delenv(f"SPORTVISION_{name}", raising=False)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.fixture
def message(tmp_path: Path) -> str:
    file = tmp_path / "message.md"
    file.write_text("# News of March\n\nA *new* model.\n", "utf-8")
    return str(file)


def told(run: Run, *arguments: str) -> Any:
    code, out, err = run("--json", *arguments)
    assert (code, err) == (0, "")
    return json.loads(out)


def on_database(database_url: str, act: Callable[[Database], Any]) -> Any:
    async def once() -> Any:
        database = Database(database_url)
        try:
            return await act(database)
        finally:
            await database.close()

    return asyncio.run(once())


@pytest.fixture
def readers(database_url: str) -> None:
    async def add(database: Database) -> None:
        async with database.write() as session:
            session.add_all(
                Subscription(
                    email=f"{name}@example.org",
                    email_key=f"{name}@example.org",
                    requested_at=MOMENT,
                    consented_at=MOMENT,
                    consent_source="front page",
                    unsubscribed_at=MOMENT if name == "left" else None,
                )
                for name in ("ada", "eve", "left")
            )

    on_database(database_url, add)


@pytest.mark.usefixtures("readers")
def test_a_message_is_sent_to_the_list_once(run: Run, message: str, database_url: str) -> None:
    dry = told(run, "list", "send", message, "--dry-run")
    assert dry == {"subject": "News of March", "readers": 2}
    assert told(run, "mail", "status") == {}
    sent = told(run, "list", "send", message)
    assert (sent["mails"], sent["resumed"]) == (2, False)
    code, _, err = run("list", "send", message)
    assert code == 1
    assert "was sent on" in err
    assert "--again" in err
    assert told(run, "list", "send", message, "--again")["mails"] == 2
    assert told(run, "mail", "status") == {"queued": 4}

    async def look(database: Database) -> list[str]:
        async with database.read() as session:
            return list(await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))

    assert on_database(database_url, look) == ["list.send", "list.send"]


@pytest.mark.usefixtures("readers")
def test_the_list_is_exported_with_the_consents(run: Run) -> None:
    code, out, _ = run("list", "export")
    assert code == 0
    rows = sorted(csv.DictReader(io.StringIO(out)), key=lambda row: row["email"])
    assert [row["email"] for row in rows] == ["ada@example.org", "eve@example.org"]
    assert rows[0]["consented_at"] == "2026-03-05T12:00:00+00:00"
    assert rows[0]["consent_source"] == "front page"
    assert len(told(run, "list", "export", "--all")) == 3
    assert told(run, "list", "status") == {"subscribed": 2, "unsubscribed": 1, "suppressed": 0}


@pytest.mark.usefixtures("readers")
def test_an_operator_takes_an_address_off_for_good(run: Run, message: str) -> None:
    code, out, _ = run("list", "remove", "ADA@example.org", "--reason", "complaint")
    assert (code, out) == (0, "The address is off the list, and is kept off it.\n")
    assert [row["email"] for row in told(run, "list", "export")] == ["eve@example.org"]
    assert told(run, "list", "status") == {"subscribed": 1, "unsubscribed": 2, "suppressed": 1}
    assert told(run, "list", "send", message)["mails"] == 1


def test_what_was_given_up_is_queued_again(run: Run, database_url: str) -> None:
    async def add(database: Database) -> None:
        async with database.write() as session:
            session.add_all(OutboxMail(kind="test", recipient="a@example.org") for _ in range(3))
        async with database.write() as session:
            await session.execute(update(OutboxMail).values(state="failed"))

    on_database(database_url, add)
    code, out, _ = run("mail", "status")
    assert (code, out) == (0, "failed: 3\n")
    assert run("mail", "retry")[1] == "3 mails are queued again.\n"
    assert told(run, "mail", "status") == {"queued": 3}


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (b"No heading", [], "has no subject"),
        (b"# Only a heading\n\n", [], "no words"),
        (b"Words.", ["--subject", "a\nb"], "on one line"),
        (b"\xff\xfe\x00", [], "cannot be read"),
        (None, [], "cannot be read"),
    ],
)
def test_messages_that_cannot_be_sent(
    run: Run, tmp_path: Path, content: bytes | None, arguments: list[str], words: str
) -> None:
    file = tmp_path / "bad.md"
    if content is not None:
        file.write_bytes(content)
    code, out, err = run("list", "send", str(file), *arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert "Traceback" not in err
