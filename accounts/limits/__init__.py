"""Limits: rates, quotas and places, counted in memory or, for all replicas together, in Redis."""

from accounts.limits.limiter import Limiter, LimitsUnavailable, OnFailure
from accounts.limits.memory import MemoryLimiter
from accounts.limits.opening import open_limiter
from accounts.limits.rules import Decision, Places, Quota, Rate, Rule, Standing

__all__ = [
    "Decision",
    "Limiter",
    "LimitsUnavailable",
    "MemoryLimiter",
    "OnFailure",
    "Places",
    "Quota",
    "Rate",
    "Rule",
    "Standing",
    "open_limiter",
]
