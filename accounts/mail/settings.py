"""Settings of mails, of sign-up, and of the mailing list."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from accounts.addresses import EmailAddress, InvalidAddress

#: Of use only in files that nobody gets; wherever mails are sent, a real one must be set.
_NOBODY: Final = "sport-vision@example.org"
_PORTS: Final = {"tls": 465, "starttls": 587, "none": 25}


class MailSettings(BaseModel):
    """Part of `app.settings.Settings`, and of the command line's."""

    public_url: Annotated[
        str | None,
        Field(
            description="Where callers reach this service, as in https://sport.example.org: what links in mails "
            "begin with. Left out, it is http://127.0.0.1 with the port."
        ),
    ] = None
    mail_from: Annotated[str, Field(description="The address that mails are from.")] = _NOBODY
    mail_from_name: Annotated[
        str, Field(max_length=100, description="What mail programs show in its place.")
    ] = "Sport Vision"
    mail_folder: Annotated[
        Path, Field(description="Without an SMTP server, mails are files in this folder, and none is sent.")
    ] = Path("var/mails")
    smtp_host: Annotated[
        str | None, Field(min_length=1, description="The mail server; its certificate must be for this name.")
    ] = None
    smtp_port: Annotated[
        int | None,
        Field(ge=1, le=65535, description="Left out: 465 with tls, 587 with starttls, 25 with none."),
    ] = None
    smtp_tls: Annotated[
        Literal["starttls", "tls", "none"],
        Field(
            description="tls from the first byte, or starttls before anything is said; a server that has neither "
            "gets no mail unless this is none."
        ),
    ] = "starttls"
    smtp_username: Annotated[
        str | None, Field(description="To log in with, where the server asks for it.")
    ] = None
    smtp_password: Annotated[SecretStr | None, Field(description="To log in with.")] = None
    smtp_hello: Annotated[
        str | None, Field(description="How to greet the mail server; left out, with this machine's name.")
    ] = None
    smtp_ca_file: Annotated[
        Path | None,
        Field(
            description="Certificates (PEM) to believe in place of the system's, for a mail server of one's own."
        ),
    ] = None
    smtp_timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="For one mail; beyond it, it is tried again later.")
    ] = 30.0
    mail_poll_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="How often a gateway looks for mails that others have queued; its own go out at once.",
        ),
    ] = 5.0
    mail_give_up_hours: Annotated[
        float,
        Field(
            gt=0,
            description="A mail that the server keeps deferring is given up after this time. While the server is "
            "away, none is.",
        ),
    ] = 120.0

    sign_up: Annotated[
        bool,
        Field(
            description="Anybody may make an account. Switched off, operators make them; those who have one can "
            "still sign in."
        ),
    ] = True
    link_hours: Annotated[
        float, Field(gt=0, le=720, description="How long a link in a mail can be followed.")
    ] = 24.0
    session_hours: Annotated[
        float, Field(gt=0, le=720, description="How long the token works that one signs in with.")
    ] = 24.0
    mails_per_address_per_hour: Annotated[
        int,
        Field(ge=1, description="Mails that can be asked for to one address, by sign-ups and subscriptions."),
    ] = 5
    mails_per_network_per_hour: Annotated[
        int,
        Field(
            ge=1,
            description="Sign-ups and subscriptions from one IPv4 address, or one /64 of IPv6.",
        ),
    ] = 30

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                "SPORTVISION_PUBLIC_URL must be a scheme, a host and perhaps a port and a path, as in "
                "https://sport.example.org"
            )
        if not url.isascii() or any(character.isspace() for character in url):
            raise ValueError("SPORTVISION_PUBLIC_URL must be ASCII; write a host of other letters as xn--…")
        return url.rstrip("/")

    @field_validator("mail_from")
    @classmethod
    def _check_mail_from(cls, text: str) -> str:
        try:
            address = EmailAddress.parse(text)
        except InvalidAddress as error:
            raise ValueError(f"SPORTVISION_MAIL_FROM must be an e-mail address: {error}") from error
        if address.ascii_form is None:
            raise ValueError(
                "SPORTVISION_MAIL_FROM must be ASCII before its @, or few servers would take mails"
            )
        return text

    @field_validator("mail_from_name")
    @classmethod
    def _check_mail_from_name(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("SPORTVISION_MAIL_FROM_NAME must be printable, on one line")
        return text

    @model_validator(mode="after")
    def _check_smtp(self) -> Self:
        if self.smtp_host is None:
            return self
        if self.mail_from == _NOBODY or self.public_url is None:
            raise ValueError(
                "SPORTVISION_SMTP_HOST is set, so mails will reach people: set SPORTVISION_MAIL_FROM and "
                "SPORTVISION_PUBLIC_URL too"
            )
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("set SPORTVISION_SMTP_USERNAME and SPORTVISION_SMTP_PASSWORD both, or neither")
        if self.smtp_username is not None and self.smtp_tls == "none":
            raise ValueError(
                "SPORTVISION_SMTP_TLS is none, which would show the password to the network: use starttls or tls"
            )
        return self

    @property
    def smtp_port_or_default(self) -> int:
        """The mail server's port."""
        return _PORTS[self.smtp_tls] if self.smtp_port is None else self.smtp_port
