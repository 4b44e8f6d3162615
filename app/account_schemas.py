"""Bodies of requests and answers about accounts and the mailing list, as the OpenAPI document describes them."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_TOKEN = "sv_" + "0" * 36  # an example that no checksum fits
_MOMENT = "2026-03-05T12:00:00Z"
_ID = "7f9c24e8-3b12-4fef-91e0-5c2a4c3f1d8b"

Email = Annotated[
    str,
    Field(
        max_length=320,
        description="An e-mail address, alone. Letters beyond ASCII are understood on both sides of the @.",
        examples=["ada@example.org"],
    ),
]


class SignUpRequest(BaseModel):
    """Whose account it is."""

    model_config = ConfigDict(extra="forbid")

    email: Email


class SubscriptionRequest(BaseModel):
    """Who wants the news."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    source: Annotated[
        str,
        Field(
            min_length=1,
            max_length=80,
            pattern=r"^[\w .,:/()-]+$",
            description="Where the address was entered, such as a page's name; kept with the consent.",
            examples=["example.org front page"],
        ),
    ] = "API"


class MailPromised(BaseModel):
    """The same for every address, whether it is known here or not."""

    status: Literal["accepted"] = "accepted"
    detail: Annotated[
        str,
        Field(
            description="What happens next.",
            examples=["A mail is on its way. Follow the link in it within 24 hours."],
        ),
    ]


class Confirmation(BaseModel):
    """A link that can be followed. Looking at it does not use it up: mail programs look at links, too."""

    email: Annotated[str, Field(description="The address that it was sent to.", examples=["ada@example.org"])]
    expires_at: Annotated[datetime, Field(description="Until when.", examples=[_MOMENT])]
    how: Annotated[
        str, Field(description="What to do.", examples=["Send a POST to this URL to confirm the address."])
    ]


class SignedInAnswer(BaseModel):
    """An account, and a token with which to manage it."""

    account_id: Annotated[uuid.UUID, Field(description="The account.", examples=[_ID])]
    created: Annotated[bool, Field(description="Whether it was made just now.")]
    token: Annotated[
        str,
        Field(
            description="With the scopes account and usage: make tokens for use with it. Shown this once.",
            examples=[_TOKEN],
        ),
    ]
    expires_at: Annotated[
        datetime, Field(description="From when on the token is refused.", examples=[_MOMENT])
    ]


class AccountAnswer(BaseModel):
    """The account of the token."""

    id: Annotated[uuid.UUID, Field(description="Its id.", examples=[_ID])]
    email: Annotated[
        str | None,
        Field(
            description="Its address; null where an operator made it without.", examples=["ada@example.org"]
        ),
    ]
    plan: Annotated[str | None, Field(description="Its plan; null for the default.", examples=["free"])]
    created_at: Annotated[datetime, Field(description="When it was made.", examples=[_MOMENT])]


class TokenRequest(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100, description="What you call it.", examples=["our web shop"])]
    scopes: Annotated[
        list[Literal["sport", "product", "usage"]],
        Field(
            min_length=1,
            max_length=3,
            description="What it may be used for. Managing the account is not among it: that is for the token behind "
            "a mailed link.",
        ),
    ] = ["sport", "product", "usage"]
    expires_in_days: Annotated[
        float | None,
        Field(gt=0, le=3650, description="How long it works; null for ever.", examples=[90]),
    ] = None


class RotationRequest(BaseModel):
    """How a token is replaced."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=30 * 86_400,
            description="How long the old token goes on, so that its users can change over; 0 ends it at once.",
            examples=[3600],
        ),
    ] = 3600


class TokenAnswer(BaseModel):
    """What is known of a token; never the token itself."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[uuid.UUID, Field(description="Its id.", examples=[_ID])]
    name: Annotated[str, Field(description="What you call it.", examples=["our web shop"])]
    hint: Annotated[str, Field(description="Its last four characters.", examples=["x7Qz"])]
    scopes: Annotated[list[str], Field(description="What it may be used for.", examples=[["sport", "usage"]])]
    created_at: Annotated[datetime, Field(description="When it was made.", examples=[_MOMENT])]
    expires_at: Annotated[
        datetime | None, Field(description="From when on it is refused; null for never.", examples=[_MOMENT])
    ]
    last_used_at: Annotated[
        datetime | None,
        Field(
            description="When it was last used, to within half a minute; null for never.", examples=[_MOMENT]
        ),
    ]
    revoked_at: Annotated[
        datetime | None, Field(description="Since when it is refused; null where it is not.", examples=[None])
    ]


class TokenList(BaseModel):
    """All tokens of the account, oldest first; also the revoked and the expired."""

    data: list[TokenAnswer]


class NewTokenAnswer(TokenAnswer):
    """A token that was just made."""

    token: Annotated[
        str,
        Field(
            description="The token. It is kept nowhere and cannot be shown again: keep it safe.",
            examples=[_TOKEN],
        ),
    ]


class ExportAnswer(BaseModel):
    """All that is kept of an account. Columns are those of the database; more may come with later versions."""

    model_config = ConfigDict(extra="allow")

    account: Annotated[dict[str, Any], Field(description="The account.")]
    tokens: Annotated[list[dict[str, Any]], Field(description="Its tokens, without the tokens themselves.")]
    usage: Annotated[list[dict[str, Any]], Field(description="What they were used for, day by day.")]
    mails: Annotated[
        list[dict[str, Any]], Field(description="Mails to it and to its address that are remembered.")
    ]
    links: Annotated[
        list[dict[str, Any]],
        Field(description="Links in mails to it and to its address, without what would open them."),
    ]
    subscriptions: Annotated[
        list[dict[str, Any]], Field(description="Its address on the mailing list, with the consent.")
    ]
    suppression: Annotated[
        dict[str, Any] | None,
        Field(description="Since when, and why, the address is not written to; null where it may be."),
    ]
    audit_log: Annotated[
        list[dict[str, Any]],
        Field(
            description="What was done with the account, by whom: the newest 1,000 entries, oldest of them first."
        ),
    ]
    audit_log_entries: Annotated[
        int,
        Field(description="How many entries the log has of it, beside that of this export.", examples=[12]),
    ]


class Subscribed(BaseModel):
    """The address is on the mailing list."""

    status: Literal["subscribed"] = "subscribed"


class Unsubscribed(BaseModel):
    """The address is not on the mailing list, and no message will go to it."""

    status: Literal["unsubscribed"] = "unsubscribed"


class UnsubscribeLink(BaseModel):
    """An unsubscribe link that is ours. Looking at it does nothing."""

    how: Annotated[
        str, Field(description="What to do.", examples=["Send a POST to this URL to leave the list."])
    ]
