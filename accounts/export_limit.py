"""How often all that is kept of an account can be asked for: it is read from many tables, and long."""

import uuid
from typing import Final

from accounts.limits import Limiter, Rate

EXPORTS_PER_HOUR: Final = 5
_RULE: Final = Rate("exports", EXPORTS_PER_HOUR, 3600.0, EXPORTS_PER_HOUR)


class ExportedTooOften(Exception):
    """Nothing is exported for now.

    Attributes:
        retry_after: Whole seconds after which another try can pass.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"exported too often; again in {retry_after} s")
        self.retry_after = retry_after


class ExportLimit:
    """Counts the exports of each account by itself."""

    def __init__(self, limiter: Limiter) -> None:
        """Set the limit.

        Args:
            limiter: Counts, for all replicas where it is shared.
        """
        self._limiter = limiter

    async def check(self, account_id: uuid.UUID) -> None:
        """Count an export.

        Raises:
            ExportedTooOften: The limit is reached.
            accounts.limits.LimitsUnavailable: See there.
        """
        decision = await self._limiter.hit(f"export:{account_id}", (_RULE,))
        if not decision.allowed:
            raise ExportedTooOften(decision.retry_after)
