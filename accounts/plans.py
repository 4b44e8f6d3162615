"""Plans: how much a token may do, as data in a TOML file."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from accounts.limits import Places, Quota, Rate, Rule

#: Names of the rules, as they appear in headers, answers and metrics.
REQUESTS: Final = "requests"
IMAGES: Final = "images"
CONCURRENT: Final = "concurrent"

DAY: Final = 86_400
MINUTE: Final = 60

_Positive = Annotated[int, Field(ge=1)]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class PlansFileError(Exception):
    """The file of plans cannot be used; the message names the line's place and what to change."""


class Plan(BaseModel):
    """How much may be done. What is None has no limit.

    Attributes:
        description: For people.
        requests_per_minute: The sustained rate.
        burst: How many may come at once after a pause; where it is left out, as many as come in a minute.
        images_per_day: Pictures that may be classified between two midnights (UTC).
        concurrent_requests: Requests at the same time.
        together: Whether all tokens of an account are counted together rather than each by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    description: str = ""
    requests_per_minute: _Positive | None = None
    burst: _Positive | None = None
    images_per_day: _Positive | None = None
    concurrent_requests: _Positive | None = None
    together: bool = False

    @model_validator(mode="after")
    def _burst_needs_a_rate(self) -> Self:
        if self.burst is not None and self.requests_per_minute is None:
            raise ValueError("burst has no meaning without requests_per_minute: add that, or take burst out")
        return self

    def rules(self, lease_seconds: float) -> tuple[Rule, ...]:
        """Make the rules that a limiter counts by.

        Args:
            lease_seconds: How long a request may take at most; a place that was not freed ends then.
        """
        rules: list[Rule] = []
        if self.requests_per_minute is not None:
            burst = self.requests_per_minute if self.burst is None else self.burst
            rules.append(Rate(REQUESTS, amount=self.requests_per_minute, seconds=MINUTE, burst=burst))
        if self.images_per_day is not None:
            rules.append(Quota(IMAGES, quota=self.images_per_day, seconds=DAY))
        if self.concurrent_requests is not None:
            rules.append(Places(CONCURRENT, quota=self.concurrent_requests, lease_seconds=lease_seconds))
        return tuple(rules)


class Plans(BaseModel):
    """All plans, by name.

    Attributes:
        default: Name of the plan of those who have none of their own.
        plans: The plans.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    default: _Name
    plans: Annotated[Mapping[_Name, Plan], Field(min_length=1)]

    @model_validator(mode="after")
    def _default_is_there(self) -> Self:
        if self.default not in self.plans:
            raise ValueError(f'default = "{self.default}" names no plan; there are {", ".join(self.plans)}')
        return self

    def named(self, name: str | None) -> tuple[str, Plan]:
        """Find a plan; the default one for None, and for a name that is in the file no more.

        Returns:
            Its name, and the plan.
        """
        found = name if name is not None and name in self.plans else self.default
        return found, self.plans[found]


def load_plans(path: Path | None = None) -> Plans:
    """Read a file of plans; the one that comes with this package for None.

    Raises:
        PlansFileError: It cannot be read, is no TOML, or says what cannot be.
    """
    source = files("accounts").joinpath("plans.toml") if path is None else path
    try:
        content: dict[str, Any] = tomllib.loads(source.read_text("utf-8"))
        return Plans.model_validate(content)
    except OSError as error:
        raise PlansFileError(f"The file of plans {source} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlansFileError(f"The file of plans {source} is no TOML: {error}.") from error
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'] if part != '[key]') or 'the file'}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False)
        )
        raise PlansFileError(f"The file of plans {source} is not as it must be. {found}.") from error
