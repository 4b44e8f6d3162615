"""The body of the answer about use, as the OpenAPI document describes it."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field

UsageOf = Literal["token", "account"]


class Limit(BaseModel):
    """One limit of the plan, and what is left of it now."""

    name: Annotated[str, Field(description="As in the header RateLimit.", examples=["images"])]
    unit: Annotated[
        Literal["requests", "images", "concurrent requests"], Field(description="What is counted.")
    ]
    quota: Annotated[int, Field(description="How much there is.", examples=[20000])]
    window_seconds: Annotated[
        int | None,
        Field(description="In which time it comes back; null for concurrent requests.", examples=[86400]),
    ]
    remaining: Annotated[int, Field(ge=0, description="What is left.", examples=[19734])]
    reset_seconds: Annotated[
        int | None,
        Field(description="Seconds until all of it is back; null for concurrent requests.", examples=[40211]),
    ]


class DayOfUsage(BaseModel):
    """What was used on one day, in UTC."""

    day: date
    requests: Annotated[int, Field(description="Requests that were let in.")]
    images: Annotated[int, Field(description="Pictures that were classified. These count against the plan.")]
    refused: Annotated[int, Field(description="Requests that a limit refused.")]
    failed: Annotated[int, Field(description="Requests that failed by a fault of the service (5xx).")]


class Usage(BaseModel):
    """What the caller may use and has used."""

    plan: Annotated[str, Field(description="The plan's name.", examples=["standard"])]
    limits: Annotated[list[Limit], Field(description="The plan's limits; none where it has none.")]
    recorded: Annotated[
        bool,
        Field(
            description="Whether days are kept: those of tokens of accounts are, those of the operator's own not."
        ),
    ]
    data: Annotated[
        list[DayOfUsage],
        Field(
            description="The days on which anything was used, oldest first. What other replicas have counted in the "
            "last seconds may be missing."
        ),
    ]
