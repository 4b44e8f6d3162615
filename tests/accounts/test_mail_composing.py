from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from accounts.addresses import EmailAddress
from accounts.mail.composing import Body, Letter, ReadyMail, Sender, compose
from accounts.mail.letters import already_subscribed, confirm_sign_up, confirm_subscription, sign_in
from accounts.mail.list_letters import list_letter

SENDER = Sender(EmailAddress.parse("no-reply@example.org"), "Sport Vision")
MADE = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
URL = "https://sport.example.org/accounts/confirmations/" + "a" * 43


def composed(letter: Letter, to: str = "ada@example.com") -> tuple[ReadyMail, EmailMessage]:
    ready = compose(letter, key="a-key", sender=SENDER, recipient=EmailAddress.parse(to), made=MADE)
    message = message_from_bytes(ready.content, policy=default)
    assert isinstance(message, EmailMessage)
    return ready, message


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize(
    "letter",
    [
        confirm_sign_up(URL, MADE + timedelta(days=1)),
        sign_in(URL, MADE + timedelta(days=1)),
        confirm_subscription(URL, MADE + timedelta(days=1)),
        already_subscribed(URL),
    ],
)
def test_the_service_s_own_mails_have_every_header_and_their_link(letter: Letter) -> None:
    ready, message = composed(letter)
    assert message["From"] == "Sport Vision <no-reply@example.org>"
    assert message["To"] == "ada@example.com"
    assert message["Date"].datetime == MADE
    assert message["Message-ID"] == "<a-key@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["MIME-Version"] == "1.0"
    assert "List-Unsubscribe" not in message
    assert URL in body(message, "plain").splitlines()
    assert f'href="{URL}"' in body(message, "html")
    assert ready.sender == "no-reply@example.org"
    assert not ready.needs_smtputf8
    # Whoever opens the file of a mail can copy the link.
    assert URL.encode() in ready.content
    assert ready.content.isascii()
    assert b"\n" not in ready.content.replace(b"\r\n", b"")


def test_the_same_mail_twice_is_the_same_bytes() -> None:
    assert composed(sign_in(URL, MADE))[0] == composed(sign_in(URL, MADE))[0]


def test_a_message_to_the_list_has_its_way_out() -> None:
    letter = list_letter(
        "Neue Modelle für alle",
        "# Größer\n\nSee [the notes](https://example.org/notes?a=1&b=2). <script>alert(1)</script>\n\n"
        "[x](javascript:alert)",
        unsubscribe_url=URL,
        list_id="news.example.org",
    )
    ready, message = composed(letter)
    assert message["Subject"] == "Neue Modelle für alle"
    assert message["List-Unsubscribe"] == f"<{URL}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "<news.example.org>"
    assert body(message, "plain").startswith("# Größer")
    assert f"Unsubscribe: {URL}" in body(message, "plain")
    html = body(message, "html")
    assert "<h1>Größer</h1>" in html
    assert 'href="https://example.org/notes?a=1&amp;b=2"' in html
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert f'<a href="{URL}">Unsubscribe</a>' in html
    # On one line and as it is, or some mail programs see none.
    assert f"\r\nList-Unsubscribe: <{URL}>\r\n".encode() in ready.content
    assert ready.content.isascii()


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n"])
def test_no_word_becomes_a_header(break_: str) -> None:
    evil = f"News{break_}Bcc: eve@example.org"
    with pytest.raises(ValueError, match=r"linefeed|CR|header"):
        composed(Letter(evil, Body("text", "html")))
    with pytest.raises(ValueError, match=r"linefeed|CR|header"):
        composed(Letter("News", Body("text", "html"), {"List-Id": evil}))
    _, message = composed(Letter("News", Body(f"text{break_}.{break_}RCPT TO:<eve@example.org>", "html")))
    assert message["Bcc"] is None


def test_a_domain_goes_as_ascii_and_needs_nothing_of_the_server() -> None:
    ready, message = composed(already_subscribed(URL), "ada@münchen.example.org")
    assert not ready.needs_smtputf8
    assert ready.recipient == "ada@xn--mnchen-3ya.example.org"
    assert message["To"] == "ada@xn--mnchen-3ya.example.org"


def test_a_name_beyond_ascii_needs_smtputf8_and_goes_as_it_is() -> None:
    ready, message = composed(already_subscribed(URL), "Jörg@example.org")
    assert ready.needs_smtputf8
    assert ready.recipient == "Jörg@example.org"
    assert "To: Jörg@example.org".encode() in ready.content
    assert message["To"] == "Jörg@example.org"


def test_long_lines_and_other_letters_are_encoded() -> None:
    text = "x" * 2000 + "\n" + "ä" * 500
    ready, message = composed(Letter("s" * 300, Body(text, f"<p>{text}</p>")))
    assert max(len(line) for line in ready.content.split(b"\r\n")) <= 998
    assert body(message, "plain").splitlines() == text.splitlines()
    assert message["Subject"] == "s" * 300
