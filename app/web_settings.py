"""Settings of what browsers are told."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from app.settings_lists import AS_LIST

_ORIGIN: Final = re.compile(r"https?://[^/\s?#@]+")


class WebSettings(BaseModel):
    """What pages of others may do with this service. Part of `app.settings.Settings`."""

    cors_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        AS_LIST,
        Field(
            description="Origins whose pages may call this service from a browser, such as https://example.org: a "
            "JSON list, or separated by commas. * lets all; empty, none."
        ),
    ] = ()
    hsts_seconds: Annotated[
        int,
        Field(
            ge=0,
            description="For how long browsers that came by HTTPS are to use nothing else "
            "(Strict-Transport-Security); 0 does not say so.",
        ),
    ] = 31_536_000

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f'SPORTVISION_CORS_ORIGINS has "{origin}", which no browser sends: an origin is scheme, host and '
                    "port only, as in https://example.org or http://localhost:3000, without a slash at the end"
                )
        return origins
