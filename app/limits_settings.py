"""Settings of how much callers may do, and of how it is counted."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class LimitsSettings(BaseModel):
    """Plans, limits and usage. Part of `app.settings.Settings`."""

    plans_file: Annotated[
        Path | None, Field(description="The plans, as TOML; without it, those of accounts/plans.toml.")
    ] = None
    static_tokens_plan: Annotated[str, Field(description="The plan of each token in SPORTVISION_TOKENS.")] = (
        "unlimited"
    )
    limits_on_failure: Annotated[
        Literal["open", "closed"],
        Field(
            description="While Redis is away: open counts in each process by itself, closed answers limited requests "
            "with 503."
        ),
    ] = "open"
    limits_timeout_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="What Redis may take to count; beyond it, it counts as away, and nobody waits for it.",
        ),
    ] = 0.25
    usage_flush_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="Usage is written so often; what was counted since is lost where the process is killed.",
        ),
    ] = 5.0
    usage_flush_requests: Annotated[
        int, Field(ge=1, description="Usage is written sooner where so many requests wait for it.")
    ] = 1000
