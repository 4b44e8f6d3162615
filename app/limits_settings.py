"""Settings of how much callers may do, and of how it is counted."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from accounts.plans import PlansFileError, load_plans


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

    @model_validator(mode="after")
    def _check_plans(self) -> Self:
        try:
            plans = load_plans(self.plans_file)
        except PlansFileError as error:
            raise ValueError(f"SPORTVISION_PLANS_FILE: {error}") from error
        if self.static_tokens_plan not in plans.plans:
            raise ValueError(
                f'SPORTVISION_STATIC_TOKENS_PLAN is "{self.static_tokens_plan}", which is no plan. There are '
                f"{', '.join(plans.plans)}"
            )
        return self
