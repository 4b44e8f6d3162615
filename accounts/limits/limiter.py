"""What every limiter can do, and the errors it has."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from accounts.limits.rules import Decision, Rule

NOTHING: Final[Mapping[str, int]] = {}

#: What happens while Redis is away; see `accounts.limits.failover.FailoverLimiter`.
OnFailure = Literal["open", "closed"]


class LimitsUnavailable(Exception):
    """Nobody can count just now, and the setting says to let nobody pass meanwhile."""


class Limiter(Protocol):
    """Counts what subjects do, and says when it is too much."""

    async def hit(self, subject: str, rules: Sequence[Rule], costs: Mapping[str, int] = NOTHING) -> Decision:
        """Take from every rule, or from none where one of them refuses. Exact under concurrency.

        Args:
            subject: Who is counted: a token's id, say, or "signup:192.0.2.0/24". It is part of a key in Redis, so
                put no secret into it, and a digest rather than an e-mail address.
            rules: What is to be taken from; names are unique.
            costs: By rule's name how much is taken; 1 where it is not named, and always 1 of `Places`. 0 only looks.

        Raises:
            LimitsUnavailable: See there.
        """
        ...

    async def release(self, decision: Decision, refunds: Mapping[str, int] = NOTHING) -> None:
        """Free the places that a hit holds, and put back what it took from quotas and was not needed.

        A quota whose window is over is left alone. It never fails: what cannot be given back ends by its lease.

        Args:
            decision: What `hit` said.
            refunds: By rule's name how much of a `Quota` is put back.
        """
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


def costs_of(rules: Sequence[Rule], costs: Mapping[str, int]) -> list[int]:
    """Lay out the costs in the order of the rules."""
    return [costs.get(rule.name, 1) for rule in rules]
