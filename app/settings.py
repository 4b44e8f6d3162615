"""The gateway's settings, read from the environment with the prefix `SPORTVISION_`."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from accounts.mail.settings import MailSettings
from accounts.settings import AccountsSettings
from app.limits_settings import LimitsSettings
from app.model_server_settings import ModelServerSettings
from app.network_settings import NetworkSettings
from app.process_settings import ProcessSettings
from app.settings_lists import AS_LIST
from app.traffic_settings import TrafficSettings
from app.web_settings import WebSettings
from catalogue.product_reading import PRODUCTS_FILE
from catalogue.reading import SPORTS_FILE

ModelKind = Literal["sport", "product"]

MIN_TOKEN_LENGTH = 16


def usable_cpus() -> int:
    """Count the cores that this process may run on, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Settings(
    ProcessSettings,
    NetworkSettings,
    AccountsSettings,
    MailSettings,
    LimitsSettings,
    WebSettings,
    ModelServerSettings,
    TrafficSettings,
    BaseSettings,
):
    """Every setting of the gateway, with its default.

    Raises:
        pydantic.ValidationError: A value is out of range, or a token is missing or too short.
    """

    model_config = SettingsConfigDict(env_prefix="SPORTVISION_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, description="Gateway processes that share the port.")] = 1
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Annotated[
        Literal["text", "json"], Field(description="json writes one object a line, for log collectors.")
    ] = "text"
    metrics: Annotated[bool, Field(description="Measure, and answer at /metrics.")] = True

    tokens: Annotated[
        tuple[SecretStr, ...],
        NoDecode,
        AS_LIST,
        Field(
            description="The bearer tokens that are let in: a JSON list of strings, or separated by commas."
        ),
    ] = ()

    sport_model: Annotated[str, Field(description="The sport model's name on the model server.")] = (
        "sport_classifier"
    )
    sport_model_label: Annotated[
        str | None, Field(description="Ask for the version under this label; without it, for the latest.")
    ] = None
    product_model: Annotated[
        str, Field(description="The product model's name on the model server; empty where there is none.")
    ] = "product_classifier"
    product_model_label: Annotated[str | None, Field(description="As for the sport model.")] = None
    ready_needs: Annotated[
        tuple[ModelKind, ...],
        NoDecode,
        AS_LIST,
        Field(
            min_length=1,
            description="The models without which the gateway is not ready: sport, product or both. The endpoint of "
            "another answers 503 while its model is away, and the rest go on.",
        ),
    ] = ("sport",)
    model_refresh_seconds: Annotated[
        float, Field(gt=0, description="How often the gateway looks which version is live.")
    ] = 1.0
    predict_timeout_seconds: Annotated[
        float, Field(gt=0, description="For one picture: from the upload's end to the model's answer.")
    ] = 10.0
    retry_after_seconds: Annotated[int, Field(ge=1, description="What a 503 tells the caller to wait.")] = 2

    max_upload_bytes: Annotated[int, Field(gt=0, description="Limit of the whole request body.")] = 20_000_000
    max_batch_pictures: Annotated[
        int,
        Field(
            ge=1,
            description="Pictures in one request of the batch form; no more than the model server's max_batch_size "
            "(serving_config/batching.config), or it refuses them.",
        ),
    ] = 32
    upload_timeout_seconds: Annotated[
        float, Field(gt=0, description="For the whole request body to come in; beyond it, 408.")
    ] = 30.0
    max_in_flight: Annotated[
        int,
        Field(
            ge=1,
            description="Picture requests at a time, from the first byte of the body to the answer, in each worker "
            "process; beyond it, 503.",
        ),
    ] = 128
    max_upload_memory_bytes: Annotated[
        int,
        Field(
            gt=0,
            description="Memory for all uploads in flight, in each worker process; beyond it, 503. An upload counts "
            "by its Content-Length, and one that has none by the largest that is allowed.",
        ),
    ] = 256_000_000
    max_pixels: Annotated[int, Field(gt=0, description="Width times height of a picture.")] = 50_000_000
    decode_workers: Annotated[int, Field(ge=1, description="Threads that decode pictures.")] = Field(
        default_factory=usable_cpus
    )
    decode_queue: Annotated[
        int, Field(ge=0, description="Pictures that may wait for a decoding thread; beyond it, 503.")
    ] = 64
    decode_wait_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="A picture that would have to wait for longer for a decoding thread, going by what pictures "
            "took lately, is refused with 503.",
        ),
    ] = 2.0
    inline_decode_pixels: Annotated[
        int,
        Field(
            ge=0,
            description="JPEGs of up to so many pixels are decoded without a thread, which would cost as much as the "
            "decoding; 0 sends all to the threads.",
        ),
    ] = 262_144
    max_large_pictures: Annotated[
        int,
        Field(
            ge=1,
            description="How many pictures of more than large_picture_pixels are decoded at the same time, whatever "
            "the number of threads.",
        ),
    ] = 1
    large_picture_pixels: Annotated[
        int, Field(ge=1, description="Where a picture counts as large, as far as memory goes.")
    ] = 16_000_000

    catalogue_file: Annotated[Path, Field(description="The catalogue of sports.")] = SPORTS_FILE
    products_file: Annotated[
        Path, Field(description="The product types; every sport that they name must be in the catalogue.")
    ] = PRODUCTS_FILE

    @model_validator(mode="after")
    def _check_needs(self) -> Self:
        if "product" in self.ready_needs and not self.product_model:
            raise ValueError(
                "SPORTVISION_READY_NEEDS names product, but SPORTVISION_PRODUCT_MODEL is empty: the gateway would "
                "never be ready. Name the model, or take product out"
            )
        return self

    @model_validator(mode="after")
    def _check_upload_memory(self) -> Self:
        if self.max_upload_memory_bytes < self.max_upload_bytes:
            raise ValueError(
                f"SPORTVISION_MAX_UPLOAD_MEMORY_BYTES is {self.max_upload_memory_bytes:,}, less than one upload may "
                f"take (SPORTVISION_MAX_UPLOAD_BYTES is {self.max_upload_bytes:,}): such an upload could never be "
                "let in. Raise the first or lower the second"
            )
        return self

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        if not self.tokens and not self.accounts_on:
            raise ValueError(
                "no token is set, so nobody could call the API: set SPORTVISION_TOKENS, or SPORTVISION_SECRET_KEY, "
                "with which there are accounts that have tokens. "
                '`python -c "import secrets; print(secrets.token_urlsafe(48))"` makes either'
            )
        if any(len(token.get_secret_value()) < MIN_TOKEN_LENGTH for token in self.tokens):
            raise ValueError(
                f"every token in SPORTVISION_TOKENS must have at least {MIN_TOKEN_LENGTH} characters"
            )
        if any(not token.get_secret_value().isascii() for token in self.tokens):
            raise ValueError("tokens in SPORTVISION_TOKENS must be ASCII, as HTTP headers are")
        return self
