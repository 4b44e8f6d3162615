"""From words and addresses to the bytes of a message (RFC 5322), in which no word can become a header."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any, Final

from accounts.addresses import EmailAddress

# RFC 5322, section 2.1.1: no line may be longer, without its end.
_MAX_LINE: Final = 998
_VERBATIM: Final = frozenset({"message-id", "list-id", "list-unsubscribe", "list-unsubscribe-post"})


class _Policy(EmailPolicy):
    """Leaves the headers that machines read on one line.

    The standard library would turn a URL that is too long for a line of 78 characters into an encoded word
    (RFC 2047), in which no mail program looks for one.
    """

    def fold(self, name: str, value: Any) -> str:
        """Write a header as text."""
        return self._on_one_line(name, value) or super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Write a header as bytes."""
        line = self._on_one_line(name, value)
        return super().fold_binary(name, value) if line is None else line.encode("ascii")

    def _on_one_line(self, name: str, value: object) -> str | None:
        # The value was checked for line breaks when it was set.
        return f"{name}: {value}{self.linesep}" if name.lower() in _VERBATIM else None


_SMTP: Final = _Policy(linesep="\r\n")
_SMTPUTF8: Final = _Policy(linesep="\r\n", utf8=True)


@dataclass(frozen=True, slots=True)
class Body:
    """The same words twice.

    Attributes:
        text: Plain text.
        html: A whole HTML document.
    """

    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom the mails are from.

    Attributes:
        address: The address; its domain is also the right side of every Message-ID.
        name: What mail programs show in place of the address.
    """

    address: EmailAddress
    name: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail before it is addressed.

    Attributes:
        subject: One line.
        body: The words.
        headers: What is said of this mail beside the usual headers, by name.
    """

    subject: str
    body: Body
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadyMail:
    """What a mail server takes.

    Attributes:
        key: The id of the mail: the same in every attempt to send it, and the left side of its Message-ID.
        sender: The envelope's sender.
        recipient: The envelope's recipient.
        content: The message, with CRLF line ends and no line beyond 998 bytes.
        needs_smtputf8: Whether an address in it is not ASCII before its @, so that only a server with SMTPUTF8
            (RFC 6531) can take it.
    """

    key: str
    sender: str
    recipient: str
    content: bytes
    needs_smtputf8: bool


def compose(
    letter: Letter, *, key: str, sender: Sender, recipient: EmailAddress, made: datetime
) -> ReadyMail:
    """Address a letter. The same arguments give the same bytes, so that a mail sent twice is seen to be one.

    Args:
        letter: What it says.
        key: The mail's id, of letters, digits and hyphens.
        sender: Whom it is from.
        recipient: Whom it is for.
        made: When it was written, with a time zone; not when it is sent.

    Raises:
        ValueError: A header would hold a line break.
    """
    message = EmailMessage(policy=_SMTP)
    message["From"] = _mailbox(sender.name, sender.address)
    message["To"] = _mailbox("", recipient)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(made)
    domain = sender.address.envelope.rpartition("@")[2]
    message["Message-ID"] = f"<{key}@{domain}>"
    for name, value in letter.headers.items():
        message[name] = value
    message.set_content(letter.body.text, cte=_encoding(letter.body.text))
    message.add_alternative(letter.body.html, subtype="html", cte=_encoding(letter.body.html))
    # The standard library draws boundaries by chance; the text of the mail must not depend on it.
    message.set_boundary(f"=_{key}")
    needs_smtputf8 = sender.address.ascii_form is None or recipient.ascii_form is None
    return ReadyMail(
        key=key,
        sender=sender.address.envelope,
        recipient=recipient.envelope,
        content=message.as_bytes(policy=_SMTPUTF8 if needs_smtputf8 else _SMTP),
        needs_smtputf8=needs_smtputf8,
    )


def _mailbox(name: str, address: EmailAddress) -> Address:
    # In two parts, for the standard library takes a whole address in ASCII only.
    username, _, domain = address.envelope.rpartition("@")
    return Address(name, username, domain)


def _encoding(text: str) -> str:
    # As it is where it can be: who reads the file of a mail must be able to copy the link in it. Anything else in
    # ASCII too, since not every server takes eight bits.
    plain = text.isascii() and all(len(line) <= _MAX_LINE for line in text.splitlines())
    return "7bit" if plain else "quoted-printable"
