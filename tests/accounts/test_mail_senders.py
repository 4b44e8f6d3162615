"""The senders against a real SMTP server, well and badly behaved, and a real folder."""

import asyncio
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accounts.addresses import EmailAddress
from accounts.mail.composing import Body, Letter, ReadyMail, Sender, compose
from accounts.mail.folder_sender import FolderSender
from accounts.mail.senders import MailDeferred, MailRefused
from accounts.mail.smtp_sender import SmtpSender, SmtpServer, TlsMode
from tests.support.mail_server import PASSWORD, USER, MailServer, client_tls
from tests.support.processes import free_port


def mail(to: str = "ada@example.com", key: str = "one", text: str = "Hello.\n.\n..and more\n") -> ReadyMail:
    return compose(
        Letter("News", Body(text, "<p>Hello.</p>")),
        key=key,
        sender=Sender(EmailAddress.parse("no-reply@example.org"), "Sport Vision"),
        recipient=EmailAddress.parse(to),
        made=datetime(2026, 3, 5, tzinfo=UTC),
    )


def smtp(server: MailServer, tls: TlsMode = "none", timeout: float = 10) -> SmtpServer:
    return SmtpServer("127.0.0.1", server.port, tls, timeout=timeout, local_hostname="gateway.example.org")


async def send(server: SmtpServer, *mails: ReadyMail) -> None:
    async with SmtpSender(server).connect() as connection:
        for one in mails:
            await connection.deliver(one)


async def test_mails_arrive_as_they_were_over_one_connection() -> None:
    async with MailServer() as server:
        await send(smtp(server), mail(), mail("eve@example.com", "two"))
        assert server.connections == 1
    first, second = server.received
    assert (first.sender, first.recipient) == ("no-reply@example.org", "ada@example.com")
    assert first.content == mail().content
    assert first.text.splitlines() == ["Hello.", ".", "..and more"]
    assert second.recipient == "eve@example.com"


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_tls_with_a_login(tls: TlsMode) -> None:
    async with MailServer(tls=tls, login=tls == "starttls") as server:
        settings = replace(smtp(server, tls), certificates=client_tls())
        if server.login:
            settings = replace(settings, username=USER.decode(), password=PASSWORD.decode())
        await send(settings, mail())
    assert server.received[0].tls
    assert server.received[0].login == (USER.decode() if server.login else None)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_no_way_to_send(tls: TlsMode) -> None:
    async with MailServer(tls=tls) as server:
        with pytest.raises(MailDeferred, match="certificate") as deferred:
            await send(smtp(server, tls), mail())
    assert deferred.value.whole_connection
    assert not server.received


async def test_starttls_is_never_done_without() -> None:
    async with MailServer() as server:
        with pytest.raises(MailDeferred, match="STARTTLS"):
            await send(smtp(server, "starttls"), mail())
    assert not server.received


async def test_a_login_that_is_refused_is_for_the_operator_and_costs_no_mail() -> None:
    async with MailServer(tls="starttls", login=True) as server:
        settings = replace(smtp(server, "starttls"), certificates=client_tls(), username="x", password="y")
        with pytest.raises(MailDeferred, match="535") as deferred:
            await send(settings, mail())
    assert deferred.value.whole_connection


async def test_a_server_that_is_away() -> None:
    with pytest.raises(MailDeferred) as deferred:
        await send(SmtpServer("127.0.0.1", free_port(), "none", timeout=5), mail())
    assert deferred.value.whole_connection


async def test_a_server_that_greets_with_a_refusal() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 Not today\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(MailDeferred, match="554 Not today") as deferred:
            await send(SmtpServer("127.0.0.1", port, "none", timeout=5), mail())
    assert deferred.value.whole_connection


@pytest.mark.parametrize("code", ["450", "451", "452"])
async def test_a_recipient_that_is_deferred_does_not_hinder_the_next(code: str) -> None:
    async with (
        MailServer(recipient_answers={"ada@example.com": f"{code} Try later"}) as server,
        SmtpSender(smtp(server)).connect() as connection,
    ):
        with pytest.raises(MailDeferred, match=f"{code} Try later") as deferred:
            await connection.deliver(mail())
        assert not deferred.value.whole_connection
        await connection.deliver(mail("eve@example.com"))
    assert [one.recipient for one in server.received] == ["eve@example.com"]


async def test_a_recipient_that_is_refused_does_not_hinder_the_next_and_is_not_named() -> None:
    refusal = {"ada@example.com": "550 5.1.1 <ada@example.com>: no such user as ada@example.com"}
    async with (
        MailServer(recipient_answers=refusal) as server,
        SmtpSender(smtp(server)).connect() as connection,
    ):
        with pytest.raises(MailRefused) as refused:
            await connection.deliver(mail())
        await connection.deliver(mail("eve@example.com"))
    assert str(refused.value) == "550 5.1.1 <[address]>: no such user as [address]"
    assert [one.recipient for one in server.received] == ["eve@example.com"]


async def test_a_mail_that_is_deferred_or_refused() -> None:
    async with (
        MailServer(data_answers=["451 Busy", "554 Looks like spam"]) as server,
        SmtpSender(smtp(server)).connect() as connection,
    ):
        with pytest.raises(MailDeferred, match="451") as deferred:
            await connection.deliver(mail())
        with pytest.raises(MailRefused, match="554"):
            await connection.deliver(mail())
        await connection.deliver(mail())
    assert not deferred.value.whole_connection
    assert len(server.received) == 1


async def test_a_server_that_closes_down() -> None:
    async with MailServer(data_answers=["421 Closing"]) as server:
        with pytest.raises(MailDeferred, match="421") as deferred:
            await send(smtp(server), mail())
    assert deferred.value.whole_connection


async def test_a_sender_that_is_refused_would_be_so_with_every_mail() -> None:
    async with MailServer(sender_answer="553 Not yours") as server:
        with pytest.raises(MailDeferred, match="553") as deferred:
            await send(smtp(server), mail())
    assert deferred.value.whole_connection


async def test_a_server_that_does_not_answer_in_time() -> None:
    async with MailServer() as server:
        server.hold.clear()
        with pytest.raises(MailDeferred) as deferred:
            await send(smtp(server, timeout=0.3), mail())
        assert server.holding.is_set()
    assert deferred.value.whole_connection
    assert not server.received


async def test_a_connection_that_breaks_in_the_middle() -> None:
    async with MailServer() as server:
        server.hold.clear()
        sending = asyncio.create_task(send(smtp(server), mail()))
        await server.holding.wait()
        await server.stop()
        with pytest.raises(MailDeferred) as deferred:
            await sending
        await server.start()
    assert deferred.value.whole_connection


async def test_names_beyond_ascii_go_to_servers_that_know_them() -> None:
    async with MailServer() as server:
        await send(smtp(server), mail("Jörg@münchen.example.org"))
    assert server.received[0].recipient == "Jörg@münchen.example.org"
    assert "SMTPUTF8" in server.received[0].options


async def test_names_beyond_ascii_are_refused_where_the_server_does_not_know_them() -> None:
    async with (
        MailServer(smtputf8=False) as server,
        SmtpSender(smtp(server)).connect() as connection,
    ):
        with pytest.raises(MailRefused, match="SMTPUTF8"):
            await connection.deliver(mail("Jörg@example.org"))
        await connection.deliver(mail("ada@münchen.example.org"))
    assert [one.recipient for one in server.received] == ["ada@xn--mnchen-3ya.example.org"]


async def test_a_folder_takes_mails_as_files_that_only_their_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "mails"
    async with FolderSender(folder).connect() as connection:
        await connection.deliver(mail())
        await connection.deliver(mail())
        await connection.deliver(mail("eve@example.com", "two"))
    assert sorted(path.name for path in folder.iterdir()) == ["one.eml", "two.eml"]
    assert (folder / "one.eml").read_bytes() == mail().content
    assert stat.S_IMODE((folder / "one.eml").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_folder_that_cannot_be_made_or_written_to_defers(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(MailDeferred, match="folder for mails"):
        async with FolderSender(occupied).connect():
            pass
    folder = tmp_path / "mails"
    (folder / "one.eml").mkdir(parents=True)
    async with FolderSender(folder).connect() as connection:
        with pytest.raises(MailDeferred, match="cannot be written"):
            await connection.deliver(mail())
    assert [path.name for path in folder.iterdir()] == ["one.eml"]


def test_what_is_said_of_a_server_holds_no_password() -> None:
    server = SmtpServer("mail.example.org", 465, "tls", username="me", password="very secret")
    assert SmtpSender(server).describe() == "SMTP server mail.example.org:465 (TLS: tls)"
