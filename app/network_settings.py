"""Settings of what stands between callers and the gateway."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from app.settings_lists import AS_LIST


class NetworkSettings(BaseModel):
    """Proxies. Part of `app.settings.Settings`."""

    trusted_proxies: Annotated[
        tuple[str, ...],
        NoDecode,
        AS_LIST,
        Field(
            description="Addresses and networks of proxies, such as 10.0.0.0/8: what they say in X-Forwarded-For is "
            "believed. A JSON list, or separated by commas. Without yours in it, all callers look like one, and "
            "share the limits of sign-up; with too much in it, callers can pretend to be others."
        ),
    ] = ("127.0.0.1", "::1")

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ValueError(
                    f'SPORTVISION_TRUSTED_PROXIES has "{proxy}", which is no address and no network: {error}'
                ) from error
        return proxies
