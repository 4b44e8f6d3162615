"""Settings of mails: what cannot be is refused at start, with what to change."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from accounts.mail.folder_sender import FolderSender
from accounts.mail.opening import make_sender, outbox_rules
from accounts.mail.settings import MailSettings
from accounts.mail.smtp_sender import SmtpSender
from tests.support.mail_server import certificate_authority

SMTP = {
    "smtp_host": "mail.example.org",
    "mail_from": "no-reply@example.org",
    "public_url": "https://sport.example.org",
}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"smtp_host": "mail.example.org"}, "set SPORTVISION_MAIL_FROM and SPORTVISION_PUBLIC_URL"),
        ({**SMTP, "public_url": None}, "SPORTVISION_PUBLIC_URL"),
        ({**SMTP, "smtp_username": "me"}, "both, or neither"),
        ({**SMTP, "smtp_username": "me", "smtp_password": "p", "smtp_tls": "none"}, "show the password"),
        ({**SMTP, "smtp_tls": "maybe"}, "starttls"),
        ({"mail_from": "nobody"}, "SPORTVISION_MAIL_FROM must be an e-mail address"),
        ({"mail_from": "jörg@example.org"}, "ASCII before its @"),
        ({"mail_from_name": "a\r\nBcc: eve@example.org"}, "on one line"),
        ({"public_url": "sport.example.org"}, "must be a scheme"),
        ({"public_url": "ftp://sport.example.org"}, "must be a scheme"),
        ({"public_url": "https://sport.example.org/?a=b"}, "must be a scheme"),
        ({"public_url": "https://späße.example.org"}, "xn--"),
        ({"link_hours": 0}, "greater than 0"),
    ],
)
def test_what_cannot_be(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MailSettings.model_validate(values)


def test_without_a_server_mails_are_files(tmp_path: Path) -> None:
    sender = make_sender(MailSettings(mail_folder=tmp_path / "mails"))
    assert isinstance(sender, FolderSender)
    assert sender.describe() == f"files in {tmp_path / 'mails'}; none is sent"


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_a_server_has_the_port_of_its_tls(tls: str, port: int) -> None:
    sender = make_sender(MailSettings.model_validate({**SMTP, "smtp_tls": tls}))
    assert isinstance(sender, SmtpSender)
    assert sender.describe() == f"SMTP server mail.example.org:{port} (TLS: {tls})"


def test_certificates_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    certificate_authority().cert_pem.write_to_path(str(file))
    assert make_sender(MailSettings.model_validate({**SMTP, "smtp_ca_file": file}))
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        make_sender(MailSettings.model_validate({**SMTP, "smtp_ca_file": file}))


def test_an_attempt_ends_well_before_its_lease() -> None:
    settings = MailSettings(smtp_timeout_seconds=7)
    assert outbox_rules(settings).lease.total_seconds() == 21


def test_a_slash_at_the_end_is_one_too_many() -> None:
    assert (
        MailSettings(public_url="https://sport.example.org/api/").public_url
        == "https://sport.example.org/api"
    )
