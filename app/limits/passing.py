"""Letting callers pass as their plans allow.

What counts: a request counts once it is let in, whatever comes of it. An image counts where its answer was there: it
is set aside when the request comes in, and put back where the request is refused further on or fails, be it by a
fault of ours or of the picture. A place is held until the answer is there.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders

from accounts.limits import Decision, Limiter, LimitsUnavailable, Quota, Rule, Standing
from accounts.limits.rules import impossible_rules
from accounts.plans import CONCURRENT, IMAGES, REQUESTS, Plans
from accounts.usage_counts import Counts
from app.auth import Caller
from app.errors import Problem, ServiceUnavailable
from app.limits.fields import POLICY_FIELD, STANDING_FIELD, QuotaExceeded, policy_field, standing_field
from app.metrics.recorder import Recorder

if TYPE_CHECKING:
    # A gateway without accounts has no use for SQLAlchemy, which is large.
    from accounts.usage import UsageLedger

#: Of a response, or of a problem.
AnswerHeaders = MutableHeaders | dict[str, str]

_ONE_PICTURE: Final[Mapping[str, int]] = {REQUESTS: 1, IMAGES: 1, CONCURRENT: 1}
_NOTHING: Final[Mapping[str, int]] = {REQUESTS: 0, IMAGES: 0, CONCURRENT: 0}


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller may do.

    Attributes:
        plan: The plan's name.
        subject: Who is counted: the token, or the account with all its tokens.
        rules: The limits; none of them where the plan sets none.
    """

    plan: str
    subject: str
    rules: tuple[Rule, ...]


class Limits:
    """Knows what every caller may do, and counts what they do."""

    def __init__(
        self,
        limiter: Limiter,
        plans: Plans,
        *,
        static_plan: str,
        lease_seconds: float,
        retry_after: int,
        recorder: Recorder,
        ledger: "UsageLedger | None",
    ) -> None:
        """Make it.

        Args:
            limiter: Counts.
            plans: The plans.
            static_plan: The plan of the settings' own tokens.
            lease_seconds: How long a request may take; a place that was not freed ends then.
            retry_after: Seconds that callers are told to wait where nobody can count.
            recorder: Is told who was refused.
            ledger: Counts what accounts use; None where there are no accounts.
        """
        self._limiter = limiter
        self._plans = plans
        self._static_plan = static_plan
        self._rules = {name: plan.rules(lease_seconds) for name, plan in plans.plans.items()}
        self._retry_after = retry_after
        self._recorder = recorder
        self._ledger = ledger
        # Names of plans that were asked for in vain. Operators choose them, so they are few.
        self._missing: set[str] = set()

    def allowance(self, caller: Caller) -> Allowance:
        """Look up what a caller may do."""
        wanted = self._static_plan if caller.account_id is None else caller.plan
        name, plan = self._plans.named(wanted)
        if wanted is not None and wanted != name and wanted not in self._missing:
            self._missing.add(wanted)
            _log.warning(
                'there is no plan "%s", which a token or account has: it has "%s" instead', wanted, name
            )
        together = plan.together and caller.account_id is not None
        return Allowance(
            name, f"account:{caller.account_id}" if together else caller.subject, self._rules[name]
        )

    def passage(self, caller: Caller, headers: AnswerHeaders) -> "Passage":
        """Make the passage of one picture request; it is entered by `async with`.

        Args:
            caller: Who asks.
            headers: Of the answer; they are given the caller's standing.
        """
        return Passage(self, caller, self.allowance(caller), headers)

    async def hit(
        self,
        allowance: Allowance,
        rules: tuple[Rule, ...],
        costs: Mapping[str, int],
        whole: Mapping[str, int],
    ) -> Decision:
        """Take from the rules.

        Args:
            allowance: Whose.
            rules: From which.
            costs: How much of each now.
            whole: How much of each the request takes in all, with what it took before.

        Raises:
            QuotaExceeded: A limit is reached.
            ServiceUnavailable: Nobody can count, and the settings say to let nobody pass then.
        """
        decision = await self._ask(allowance.subject, rules, costs)
        if not decision.allowed:
            for standing in decision.refused_by:
                self._recorder.limited(standing.rule.name)
            never = impossible_rules(rules, [whole[rule.name] for rule in rules])
            raise QuotaExceeded(allowance.plan, replace(decision, impossible=never), whole)
        return decision

    async def release(self, decision: Decision, refunds: Mapping[str, int]) -> None:
        """Give back what a hit took and was not needed."""
        await self._limiter.release(decision, refunds)

    async def look(self, caller: Caller) -> tuple[str, tuple[Standing, ...]]:
        """Say how a caller stands, and take nothing.

        Returns:
            The plan's name, and how the caller stands with each of its limits.

        Raises:
            ServiceUnavailable: Nobody can count, and the settings say to let nobody pass then.
        """
        allowance = self.allowance(caller)
        if not allowance.rules:
            return allowance.plan, ()
        decision = await self._ask(allowance.subject, allowance.rules, _NOTHING)
        return allowance.plan, decision.standings

    async def used(self, caller: Caller, since: date, *, whole_account: bool) -> Mapping[date, Counts] | None:
        """Look up what was used on each day.

        Args:
            caller: Whose.
            since: The first day.
            whole_account: Of all tokens of the caller's account, rather than of this one.

        Returns:
            The days on which anything was used, in order; None for the settings' own tokens, whose days are not kept.

        Raises:
            ServiceUnavailable: The database does not answer.
        """
        if self._ledger is None or caller.account_id is None:
            return None
        from accounts.database import DatabaseAway

        try:
            if whole_account:
                return await self._ledger.daily(since, account_id=caller.account_id)
            return await self._ledger.daily(since, token_id=caller.token_id)
        except DatabaseAway as error:
            raise ServiceUnavailable(
                "The database that keeps what was used does not answer. Nothing is lost; try again after "
                f"{self._retry_after} seconds.",
                retry_after=self._retry_after,
            ) from error

    async def _ask(self, subject: str, rules: tuple[Rule, ...], costs: Mapping[str, int]) -> Decision:
        try:
            return await self._limiter.hit(subject, rules, costs)
        except LimitsUnavailable as error:
            self._recorder.limited("unavailable")
            raise ServiceUnavailable(
                "What is left of the token's limits cannot be counted just now, and this gateway lets nobody pass "
                f"uncounted. Nothing of this request was read; send it again after {self._retry_after} seconds.",
                retry_after=self._retry_after,
            ) from error

    def count(self, caller: Caller, counts: Counts) -> None:
        """Count what a caller used; that of the settings' own tokens is in the metrics only."""
        if self._ledger is not None and caller.token_id is not None and caller.account_id is not None:
            self._ledger.count(caller.token_id, caller.account_id, counts)


class Passage:
    """One picture request on its way. Made by `Limits.passage`.

    On the way in it sets aside one image, which is right for most; a request with several says so by `take`, as soon
    as it knows.
    """

    def __init__(self, limits: Limits, caller: Caller, allowance: Allowance, headers: AnswerHeaders) -> None:
        self._limits = limits
        self._caller = caller
        self._allowance = allowance
        self._headers = headers
        self._decisions: list[tuple[Decision, int]] = []
        self._answered = 0

    async def __aenter__(self) -> "Passage":
        """Let the request in.

        Raises:
            QuotaExceeded: A limit is reached.
            ServiceUnavailable: Nobody can count, and the settings say to let nobody pass then.
        """
        await self._take(self._allowance.rules, _ONE_PICTURE, _ONE_PICTURE)
        return self

    async def take(self, images: int) -> None:
        """Set aside all images of the request, before anything is done with them.

        Args:
            images: How many it holds in all, at least 1.

        Raises:
            QuotaExceeded: The day's quota has not as many left.
            ServiceUnavailable: As on the way in.
        """
        more = images - 1
        if more > 0:
            quotas = tuple(rule for rule in self._allowance.rules if isinstance(rule, Quota))
            await self._take(quotas, {IMAGES: more}, {IMAGES: images})

    def answered(self, images: int = 1) -> None:
        """Note how many images have been classified: those count, the rest is put back."""
        self._answered = images

    async def _take(
        self, rules: tuple[Rule, ...], costs: Mapping[str, int], whole: Mapping[str, int]
    ) -> None:
        if not rules:
            return
        try:
            decision = await self._limits.hit(self._allowance, rules, costs, whole)
        except QuotaExceeded as problem:
            problem.headers[POLICY_FIELD] = policy_field(self._allowance.rules)
            if not self._decisions:
                self._limits.count(self._caller, Counts(refused=1))
            raise
        self._decisions.append((decision, costs[IMAGES]))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back what was not needed, count what was, and tell the caller how things stand."""
        failed = error is not None and (not isinstance(error, Problem) or error.status >= 500)
        self._limits.count(self._caller, Counts(requests=1, images=self._answered, failed=int(failed)))
        unused = sum(images for _, images in self._decisions) - self._answered
        for decision, images in self._decisions:
            back = min(max(unused, 0), images)
            unused -= back
            await self._limits.release(decision, {IMAGES: back})
        if self._decisions:
            headers = error.headers if isinstance(error, Problem) else self._headers
            self._tell(headers)

    def _tell(self, headers: AnswerHeaders) -> None:
        headers[POLICY_FIELD] = policy_field(self._allowance.rules)
        # A refusal in the midst of it has said already what it found.
        if STANDING_FIELD not in headers:
            standings = {one.rule.name: one for decision, _ in self._decisions for one in decision.standings}
            taken = sum(images for _, images in self._decisions)
            back = {IMAGES: taken - self._answered, CONCURRENT: 1}
            headers[STANDING_FIELD] = standing_field(tuple(standings.values()), back)
