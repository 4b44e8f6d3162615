"""The header fields `RateLimit-Policy` and `RateLimit`, and what a refusal says.

Both are lists of structured fields (RFC 9651) by draft-ietf-httpapi-ratelimit-headers-11: each item is the name of a
policy as a string, with the parameters q (quota), w (window in seconds) and qu (unit) in the one field, r (remaining)
and t (seconds in which no more than that may be used) in the other. Pictures are no unit that the draft knows, and an
unknown one would make strict clients drop the field; so they are named by a parameter of our own, which the draft
allows where it bears a name like ours.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from accounts.limits import Decision, Places, Quota, Rate, Rule, Standing
from app.errors import Problem

POLICY_FIELD: Final = "RateLimit-Policy"
STANDING_FIELD: Final = "RateLimit"
_IMAGES: Final = 'sportvision-unit="images"'


class QuotaExceeded(Problem):
    """A limit of the caller's plan is reached."""

    status, slug, title = 429, "quota-exceeded", "A limit of the plan is reached"

    def __init__(self, plan: str, decision: Decision, costs: Mapping[str, int]) -> None:
        """Say what is reached and when it is over.

        Args:
            plan: The plan's name.
            decision: The refusal.
            costs: What the request would have taken, by rule.
        """
        impossible = [_impossible(plan, rule, costs[rule.name]) for rule in decision.impossible]
        waiting = [_reached(plan, standing) for standing in decision.refused_by]
        headers = {STANDING_FIELD: standing_field(decision.standings)}
        if not impossible:
            # Where it will never pass, no waiting helps.
            headers["Retry-After"] = str(decision.retry_after)
        super().__init__(
            " ".join(impossible or waiting),
            headers=headers,
            **{"violated-policies": [standing.rule.name for standing in decision.refused_by]},
        )


def _reached(plan: str, standing: Standing) -> str:
    rule, wait = standing.rule, max(1, math.ceil(standing.wait))
    match rule:
        case Rate():
            return (
                f'The plan "{plan}" lets {rule.amount:,} requests pass in {rule.seconds:g} seconds, and '
                f"{rule.burst:,} at once. Send this one again after {wait:,} seconds; the header RateLimit tells how "
                "many are left."
            )
        case Quota():
            return (
                f'The plan "{plan}" has {rule.quota:,} images a day, of which {standing.remaining:,} are left: too '
                f"few for this request. A new day begins at 00:00 UTC, in {wait:,} seconds."
            )
        case Places():
            return (
                f'The plan "{plan}" lets {rule.quota:,} requests run at the same time, and as many are running. Send '
                "this one again when one of them has been answered."
            )


def _impossible(plan: str, rule: Rule, cost: int) -> str:
    return (
        f'The request needs {cost:,} of the limit "{rule.name}", and the plan "{plan}" has {rule.quota:,} in all. '
        "Send less at once."
    )


@lru_cache(maxsize=64)
def policy_field(rules: Sequence[Rule]) -> str:
    """Write `RateLimit-Policy` for a plan's rules."""
    return ", ".join(map(_policy, rules))


def _policy(rule: Rule) -> str:
    match rule:
        case Rate():
            return f'"{rule.name}";q={rule.quota};w={rule.window}'
        case Quota():
            return f'"{rule.name}";q={rule.quota};w={rule.window};{_IMAGES}'
        case Places():
            return f'"{rule.name}";q={rule.quota};qu="concurrent-requests"'


def standing_field(standings: Sequence[Standing], back: Mapping[str, int] | None = None) -> str:
    """Write `RateLimit`.

    Args:
        standings: How the caller stands.
        back: By rule what the request has given back since.
    """
    return ", ".join(
        f'"{one.rule.name}";r={one.remaining + (back or {}).get(one.rule.name, 0)}{_reset(one)}'
        for one in standings
    )


def _reset(standing: Standing) -> str:
    if isinstance(standing.rule, Places):
        return ""
    # As the draft wishes, the same moment as Retry-After where this rule refused.
    seconds = standing.reset if standing.passed else max(1.0, standing.wait)
    return f";t={math.ceil(seconds)}"
