"""The limits that the settings ask for."""

import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from accounts.limits import Limiter, open_limiter
from accounts.plans import load_plans
from app.limits.passing import Limits
from app.metrics.recorder import Recorder
from app.settings import Settings

if TYPE_CHECKING:
    # A gateway without accounts has no use for SQLAlchemy, which is large.
    from accounts.database import Database
    from accounts.usage import UsageLedger

#: Beside what a request may take by the settings: for decoding that waits, and for the answer's making.
_LEASE_MARGIN_SECONDS = 30.0

_log = logging.getLogger(__name__)


async def open_shared_limiter(settings: Settings, recorder: Recorder, stack: AsyncExitStack) -> Limiter:
    """Open the limiter of this process; closed with the stack. One is enough for all that is limited."""
    redis_url = settings.redis_url
    return await stack.enter_async_context(
        open_limiter(
            None if redis_url is None else redis_url.get_secret_value(),
            on_failure=settings.limits_on_failure,
            timeout_seconds=settings.limits_timeout_seconds,
            on_change=lambda alone: recorder.limits_alone(alone=alone),
        )
    )


async def open_limits(
    settings: Settings,
    limiter: Limiter,
    recorder: Recorder,
    stack: AsyncExitStack,
    database: "Database | None",
) -> Limits:
    """Open the limits of callers and the count of what they use; closed with the stack.

    Args:
        settings: The settings.
        limiter: Counts.
        recorder: Takes measurements.
        stack: Closes what is opened.
        database: Where usage is kept; None where there are no accounts.
    """
    plans = load_plans(settings.plans_file)
    lease_seconds = settings.upload_timeout_seconds + settings.predict_timeout_seconds + _LEASE_MARGIN_SECONDS
    if settings.workers > 1 and settings.redis_url is None:
        limited = [name for name, plan in plans.plans.items() if plan.rules(lease_seconds)]
        if limited and (database is not None or settings.static_tokens_plan in limited):
            _log.warning(
                "limits are counted in each of the %d workers by itself, so a caller can do up to %d times what its "
                "plan says: set SPORTVISION_REDIS_URL, or one worker",
                settings.workers,
                settings.workers,
            )
    return Limits(
        limiter,
        plans,
        static_plan=settings.static_tokens_plan,
        lease_seconds=lease_seconds,
        retry_after=settings.retry_after_seconds,
        recorder=recorder,
        ledger=None if database is None else await _ledger(settings, database, stack),
    )


async def _ledger(settings: Settings, database: "Database", stack: AsyncExitStack) -> "UsageLedger":
    from accounts.usage import open_ledger

    return await stack.enter_async_context(
        open_ledger(database, interval=settings.usage_flush_seconds, batch=settings.usage_flush_requests)
    )
