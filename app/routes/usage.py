"""What the caller may use and has used."""

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response, Security

from accounts.limits import Places, Quota, Standing
from accounts.tokens.scopes import Scope
from app.auth import Caller, TokenBearer
from app.openapi import problem_responses
from app.services import ServicesDep
from app.usage_schemas import DayOfUsage, Limit, Usage, UsageOf

router = APIRouter(tags=["usage"])

_MAX_DAYS: Final = 366


@router.get(
    "/usage",
    operation_id="get_usage",
    summary="What the token may use and has used",
    responses=problem_responses(401, 403, 422, 503),
)
async def get_usage(
    response: Response,
    services: ServicesDep,
    caller: Annotated[Caller, Security(TokenBearer(Scope.USAGE))],
    days: Annotated[int, Query(ge=1, le=_MAX_DAYS, description="How many days back, today included.")] = 30,
    of: Annotated[UsageOf, Query(description="Of this token, or of all tokens of its account.")] = "token",
) -> Usage:
    """Tell what the plan allows, what is left of it now, and what was used day by day (UTC).

    Asking is not limited, and counts for nothing.
    """
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    used = await services.limits.used(caller, since, whole_account=of == "account")
    plan, standings = await services.limits.look(caller)
    response.headers["Cache-Control"] = "no-store"
    return Usage(
        plan=plan,
        limits=[_limit(standing) for standing in standings],
        recorded=used is not None,
        data=[
            DayOfUsage(
                day=day,
                requests=counts.requests,
                images=counts.images,
                refused=counts.refused,
                failed=counts.failed,
            )
            for day, counts in (used or {}).items()
        ],
    )


def _limit(standing: Standing) -> Limit:
    rule = standing.rule
    places = isinstance(rule, Places)
    return Limit(
        name=rule.name,
        unit="concurrent requests" if places else "images" if isinstance(rule, Quota) else "requests",
        quota=rule.quota,
        window_seconds=None if isinstance(rule, Places) else rule.window,
        remaining=standing.remaining,
        reset_seconds=None if places else math.ceil(standing.reset),
    )
