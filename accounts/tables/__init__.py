"""The tables, one module a concept. Importing this package makes them all known to `Base.metadata`."""

from accounts.tables.audit import AuditEntry
from accounts.tables.base import Base
from accounts.tables.identity import Account, Token
from accounts.tables.mail import Link, OutboxMail
from accounts.tables.mailing_list import ListMessage, Subscription, Suppression
from accounts.tables.usage import DailyUsage

__all__ = [
    "Account",
    "AuditEntry",
    "Base",
    "DailyUsage",
    "Link",
    "ListMessage",
    "OutboxMail",
    "Subscription",
    "Suppression",
    "Token",
]
