"""The words of the command line for mails and for the mailing list."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from accounts.commands import mail, mailing_list
from accounts.commands.context import Command

#: Adds a command by its name and a line of help.
Add: TypeAlias = Callable[[str, Command, str], ArgumentParser]


def add_list_words(add: Add) -> None:
    """Add `list …`."""
    add("status", mailing_list.show, "tell how many are on it")
    export = add("export", mailing_list.export, "print those who may be written to, as CSV")
    export.add_argument("--all", action="store_true", help="everybody with a consent, also those who left")
    send = add("send", mailing_list.send, "send a message to all; run it again where it was broken off")
    send.add_argument("file", type=Path, help="the message, in Markdown; its first heading is its subject")
    send.add_argument("--subject", help="in place of the heading")
    send.add_argument("--again", action="store_true", help="also where the same was sent before")
    send.add_argument("--dry-run", action="store_true", help="only tell to how many it would go")
    remove = add("remove", mailing_list.remove, "take an address off it for good")
    remove.add_argument("email", help="the address")
    remove.add_argument(
        "--reason",
        choices=("unsubscribed", "bounced", "complaint"),
        default="unsubscribed",
        help="after unsubscribed, a new consent of its owner's counts; after the others no mail of any kind goes "
        "there (default: %(default)s)",
    )


def add_mail_words(add: Add) -> None:
    """Add `mail …`."""
    add("status", mail.show, "tell how many wait, were sent, failed or were dropped")
    add("retry", mail.retry, "queue again what was given up")
