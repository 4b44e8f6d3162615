from pathlib import Path

import pytest

from accounts.limits import Places, Quota, Rate
from accounts.plans import Plan, PlansFileError, load_plans


def test_the_plans_that_come_with_it() -> None:
    plans = load_plans()
    name, standard = plans.named(None)
    assert name == plans.default == "standard"
    assert [type(rule) for rule in standard.rules(60)] == [Rate, Quota, Places]
    assert plans.named("unlimited")[1].rules(60) == ()


def test_a_plan_that_is_there_no_more_is_the_default_one() -> None:
    assert load_plans().named("of last year") == load_plans().named(None)


def test_a_plan_as_rules() -> None:
    plan = Plan(requests_per_minute=60, burst=20, images_per_day=500, concurrent_requests=4)
    assert plan.rules(45) == (
        Rate("requests", amount=60, seconds=60, burst=20),
        Quota("images", quota=500, seconds=86_400),
        Places("concurrent", quota=4, lease_seconds=45),
    )
    assert plan.rules(45)[0].window == 20  # type: ignore[union-attr]


def test_without_a_burst_a_minute_s_requests_may_come_at_once() -> None:
    assert Plan(requests_per_minute=7).rules(1) == (Rate("requests", amount=7, seconds=60, burst=7),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('default = "a"\n[plans.b]\n', 'default = "a" names no plan; there are b'),
        (
            'default = "a"\n[plans.a]\nburst = 4\n',
            "plans.a: burst has no meaning without requests_per_minute",
        ),
        (
            'default = "a"\n[plans.a]\nimages_per_day = 0\n',
            "plans.a.images_per_day: .*greater than or equal to 1",
        ),
        ('default = "a"\n[plans.a]\nimages_per_day = "9"\n', "plans.a.images_per_day: .*valid integer"),
        ('default = "a"\n[plans.a]\nimages_a_day = 9\n', "plans.a.images_a_day: Extra inputs"),
        ('default = "a"\n[plans."A b"]\n', "plans.A b: String should match"),
        ('default = "a"\n', "plans: Field required"),
        ("default = ", "is no TOML"),
    ],
)
def test_a_file_that_is_not_as_it_must_be(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "plans.toml"
    path.write_text(content, "utf-8")
    with pytest.raises(PlansFileError, match=said):
        load_plans(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlansFileError, match=r"nowhere\.toml cannot be read: No such file"):
        load_plans(tmp_path / "nowhere.toml")
