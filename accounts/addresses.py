"""E-mail addresses as people give them, and the form in which two of them are the same."""

import unicodedata
from dataclasses import dataclass
from typing import Self

from email_validator import EmailNotValidError, validate_email


class InvalidAddress(ValueError):
    """The text is no e-mail address. Its message is for the caller and does not repeat the text."""


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """A well-formed address. Whether anybody reads what is sent there, only a confirmed link can tell.

    Attributes:
        written: As its owner wrote it, in Unicode's form NFC, with a lower-case domain: where mails go, for the part
            before the @ is the business of the server there (RFC 5321, section 2.3.11).
        key: What decides whether two addresses are the same: all of it in lower case. No server in use tells
            people apart by the case of their letters, and one person must not get two accounts by it.
        ascii_form: With the domain as ASCII (IDNA 2008), which any mail server takes; None where the part before the
            @ is not ASCII. Such a mail needs a server with SMTPUTF8 (RFC 6531).
    """

    written: str
    key: str
    ascii_form: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address. Nothing is looked up: what DNS says would tell others whom we are about to write to.

        Raises:
            InvalidAddress: It is malformed, too long, or cannot be reached from elsewhere (`user@localhost`).
        """
        try:
            found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=True, strict=True)
        except EmailNotValidError as error:
            raise InvalidAddress(str(error)) from error
        written = found.normalized
        # Lower case may fall out of NFC, as that of İ does; two spellings of a key would be two accounts. It is not
        # case folding, which would make one address of straße@ and strasse@.
        key = unicodedata.normalize("NFC", written.lower())
        return cls(written, key, found.ascii_email)

    @property
    def domain(self) -> str:
        """The part behind the @, in Unicode."""
        return self.written.rpartition("@")[2]

    @property
    def envelope(self) -> str:
        """The form for SMTP: ASCII where there is one."""
        return self.written if self.ascii_form is None else self.ascii_form
