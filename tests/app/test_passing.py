"""The passage of one request: several images, what is given back, and what is counted."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from accounts.limits import Decision, LimitsUnavailable, MemoryLimiter
from accounts.plans import Plan, Plans
from accounts.tokens.scopes import ALL_SCOPES
from accounts.usage_counts import Counts
from app.auth import Caller
from app.errors import CorruptPicture, ServiceUnavailable
from app.limits.fields import QuotaExceeded
from app.limits.passing import Limits
from app.metrics.recorder import Recorder

ACCOUNT = uuid.uuid4()
PLANS = Plans(
    default="small",
    plans={
        "small": Plan(images_per_day=10, concurrent_requests=1),
        "large": Plan(images_per_day=100),
        "family": Plan(images_per_day=10, together=True),
        "free": Plan(),
    },
)


@dataclass
class Ledger:
    """Adds up what it is told."""

    counts: Counts = field(default_factory=Counts)

    def count(self, token_id: uuid.UUID, account_id: uuid.UUID, counts: Counts) -> None:
        assert account_id == ACCOUNT
        self.counts.add(counts)


class Closed(MemoryLimiter):
    async def hit(self, *_: object, **__: object) -> Decision:
        raise LimitsUnavailable


def caller(plan: str | None = None) -> Caller:
    token = uuid.uuid4()
    return Caller(str(token), ALL_SCOPES, token, ACCOUNT, plan)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def limits(ledger: Ledger) -> Limits:
    return limits_of(MemoryLimiter(), ledger)


def limits_of(limiter: MemoryLimiter, ledger: Ledger) -> Limits:
    return Limits(
        limiter,
        PLANS,
        static_plan="free",
        lease_seconds=60,
        retry_after=2,
        recorder=Recorder(),
        ledger=ledger,  # type: ignore[arg-type]
    )


async def left(limits: Limits, who: Caller) -> Mapping[str, int]:
    _, standings = await limits.look(who)
    return {standing.rule.name: standing.remaining for standing in standings}


async def test_a_request_with_several_images_costs_as_many(limits: Limits, ledger: Ledger) -> None:
    who, headers = caller(), dict[str, str]()
    async with limits.passage(who, headers) as passage:
        await passage.take(4)
        assert await left(limits, who) == {"images": 6, "concurrent": 0}
        passage.answered(4)
    assert await left(limits, who) == {"images": 6, "concurrent": 1}
    assert headers["RateLimit"].startswith('"images";r=6;t=')
    assert headers["RateLimit"].endswith('"concurrent";r=1')
    assert ledger.counts == Counts(requests=1, images=4)


async def test_images_of_it_that_were_not_answered_do_not_count(limits: Limits, ledger: Ledger) -> None:
    who, headers = caller(), dict[str, str]()
    async with limits.passage(who, headers) as passage:
        await passage.take(7)
        passage.answered(2)
    assert await left(limits, who) == {"images": 8, "concurrent": 1}
    assert headers["RateLimit"].startswith('"images";r=8;t=')
    assert ledger.counts == Counts(requests=1, images=2)


async def test_more_images_than_are_left_are_refused_whole(limits: Limits, ledger: Ledger) -> None:
    who, headers = caller(), dict[str, str]()
    async with limits.passage(who, headers) as passage:
        await passage.take(8)
        passage.answered(8)
    with pytest.raises(QuotaExceeded, match="of which 1 are left: too few") as caught:
        async with limits.passage(who, headers) as passage:
            await passage.take(3)
    assert int(caught.value.headers["Retry-After"]) >= 1
    assert caught.value.headers["RateLimit-Policy"].startswith('"images";q=10;w=86400')
    assert await left(limits, who) == {"images": 2, "concurrent": 1}
    assert ledger.counts == Counts(requests=2, images=8)


async def test_more_images_than_the_plan_ever_has_are_refused_without_a_time(limits: Limits) -> None:
    who = caller()
    with pytest.raises(QuotaExceeded, match=r'needs 12 of the limit "images", .* has 10 in all') as caught:
        async with limits.passage(who, {}) as passage:
            await passage.take(12)
    assert "Retry-After" not in caught.value.headers
    assert await left(limits, who) == {"images": 10, "concurrent": 1}


async def test_a_bad_picture_costs_no_image_and_is_no_fault_of_ours(limits: Limits, ledger: Ledger) -> None:
    who = caller()
    with pytest.raises(CorruptPicture) as caught:
        async with limits.passage(who, {}):
            raise CorruptPicture("damaged")
    assert caught.value.headers["RateLimit"].startswith('"images";r=10;t=')
    assert await left(limits, who) == {"images": 10, "concurrent": 1}
    assert ledger.counts == Counts(requests=1)


@pytest.mark.parametrize("fault", [ServiceUnavailable("away", retry_after=1), RuntimeError("a bug")])
async def test_our_faults_are_counted_as_such(limits: Limits, ledger: Ledger, fault: Exception) -> None:
    who = caller()
    with pytest.raises(type(fault)):
        async with limits.passage(who, {}):
            raise fault
    assert await left(limits, who) == {"images": 10, "concurrent": 1}
    assert ledger.counts == Counts(requests=1, failed=1)


async def test_a_refused_request_is_counted_as_that_only(limits: Limits, ledger: Ledger) -> None:
    who = caller()
    async with limits.passage(who, {}):
        with pytest.raises(QuotaExceeded, match="as many are running"):
            async with limits.passage(who, {}):
                pass
    assert ledger.counts == Counts(requests=1, refused=1)


async def test_a_plan_that_is_not_there_is_told_of_once(
    limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        limits.allowance(caller("of last year"))
    limits.allowance(caller("large"))
    assert [record.message for record in caplog.records] == [
        'there is no plan "of last year", which a token or account has: it has "small" instead'
    ]


async def test_which_plan_holds(limits: Limits) -> None:
    assert limits.allowance(caller()).plan == "small"
    assert limits.allowance(caller("large")).plan == "large"
    assert limits.allowance(caller("of last year")).plan == "small"
    static = Caller("static:abc", ALL_SCOPES)
    assert (limits.allowance(static).plan, limits.allowance(static).rules) == ("free", ())
    assert await limits.look(static) == ("free", ())


async def test_a_plan_may_count_all_tokens_of_an_account_together(limits: Limits) -> None:
    for who in (caller("family"), caller("family")):
        async with limits.passage(who, {}) as passage:
            passage.answered()
    assert await left(limits, caller("family")) == {"images": 8}
    assert await left(limits, caller("large")) == {"images": 100}


async def test_where_nobody_can_count(ledger: Ledger) -> None:
    limits = limits_of(Closed(), ledger)
    with pytest.raises(ServiceUnavailable, match="cannot be counted just now"):
        async with limits.passage(caller(), {}):
            pass
    with pytest.raises(ServiceUnavailable):
        await limits.look(caller())
    # Whoever has no limits needs nobody to count.
    async with limits.passage(caller("free"), {}) as passage:
        passage.answered()
    assert ledger.counts == Counts(requests=1, images=1)
