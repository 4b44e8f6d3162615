"""Settings of the way to the model servers: where they are, what is done about faults, TLS."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from proto_client import (
    BreakerSettings,
    ChannelSettings,
    RetryBudgetSettings,
    RetryPolicy,
    Targets,
    TlsError,
    TlsFiles,
)


class ModelServerSettings(BaseModel):
    """How TensorFlow Serving is reached; docs/resilience.md tells why. Part of `app.settings.Settings`."""

    model_server: Annotated[
        str,
        Field(
            description="Where TensorFlow Serving is: host:port; dns:///name:port for all addresses of a name; or "
            "several host:port with commas between. Calls go to all of them in turn."
        ),
    ] = "127.0.0.1:8500"
    model_server_look_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="How often, in seconds, names in a list of model servers are looked up anew, and files of "
            "TLS checked for renewal.",
        ),
    ] = 10.0

    retry_attempts: Annotated[
        int, Field(ge=1, le=5, description="How often a call to the model servers is tried in all.")
    ] = 4
    retry_attempt_timeout_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="Where there may be several model servers: the first attempt is given up after so many "
            "seconds at most, so that another can answer, and each after it has twice the time; but never sooner "
            "than calls usually take.",
        ),
    ] = 2.0
    retry_budget_share: Annotated[
        float, Field(ge=0, le=1, description="Retries for each call that there may be in the long run.")
    ] = 0.2
    retry_budget_per_second: Annotated[float, Field(ge=0, description="Retries a second on top of that.")] = (
        10.0
    )
    retry_budget_burst: Annotated[
        int, Field(ge=1, description="Retries that are saved up at most, for many faults at the same moment.")
    ] = 256

    breaker: Annotated[
        bool, Field(description="Refuse pictures at once while the model servers do not answer.")
    ] = True
    breaker_window_seconds: Annotated[
        float,
        Field(gt=0, description="Calls of so many seconds are judged. No longer than the usual deadline."),
    ] = 10.0
    breaker_min_calls: Annotated[
        int, Field(ge=1, description="With fewer calls in the window, the breaker stays closed.")
    ] = 5
    breaker_failure_share: Annotated[
        float,
        Field(gt=0, le=1, description="The breaker opens when this share of the window's calls failed."),
    ] = 0.5
    breaker_open_seconds: Annotated[
        float, Field(gt=0, description="How long it is open before it lets one call through to see.")
    ] = 2.0

    model_server_tls: Annotated[
        bool, Field(description="Speak TLS with the model servers; without it, plain text.")
    ] = False
    model_server_tls_ca: Annotated[
        Path | None,
        Field(description="PEM file of the authorities that may sign theirs; without it, the public ones."),
    ] = None
    model_server_tls_certificate: Annotated[
        Path | None, Field(description="PEM file of the gateway's own certificate, for mutual TLS.")
    ] = None
    model_server_tls_key: Annotated[
        Path | None, Field(description="PEM file of its private key, without a password.")
    ] = None
    model_server_tls_server_name: Annotated[
        str | None,
        Field(description="The name in the model servers' certificates, where it is not the target's."),
    ] = None

    @field_validator("model_server")
    @classmethod
    def _check_target(cls, target: str) -> str:
        Targets(target)
        return target

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        files = (self.model_server_tls_ca, self.model_server_tls_certificate, self.model_server_tls_key)
        if not self.model_server_tls:
            if any((*files, self.model_server_tls_server_name)):
                raise ValueError(
                    "there are settings SPORTVISION_MODEL_SERVER_TLS_…, but the gateway would speak plain text: set "
                    "SPORTVISION_MODEL_SERVER_TLS=true, or take them out"
                )
            return self
        if Targets(self.model_server).listed and self.model_server_tls_server_name is None:
            raise ValueError(
                "SPORTVISION_MODEL_SERVER is a list, which has no name that certificates could bear: set "
                "SPORTVISION_MODEL_SERVER_TLS_SERVER_NAME to the one in theirs"
            )
        try:
            self._tls_files().check()
        except TlsError as error:
            raise ValueError(f"{error} See the settings SPORTVISION_MODEL_SERVER_TLS_…") from error
        return self

    @property
    def model_server_tls_files(self) -> TlsFiles | None:
        """The files of TLS; None for plain text."""
        return self._tls_files() if self.model_server_tls else None

    @property
    def model_server_channel(self) -> ChannelSettings:
        """What the client does about faults."""
        budget = RetryBudgetSettings(
            share=self.retry_budget_share,
            per_second=self.retry_budget_per_second,
            burst=self.retry_budget_burst,
        )
        return ChannelSettings(
            look_seconds=self.model_server_look_seconds,
            retry=RetryPolicy(
                attempts=self.retry_attempts,
                attempt_timeout=self.retry_attempt_timeout_seconds,
                budget=budget,
            ),
            breaker=BreakerSettings(
                enabled=self.breaker,
                window=self.breaker_window_seconds,
                min_calls=self.breaker_min_calls,
                failure_share=self.breaker_failure_share,
                open_seconds=self.breaker_open_seconds,
            ),
        )

    def _tls_files(self) -> TlsFiles:
        return TlsFiles(
            ca=self.model_server_tls_ca,
            certificate=self.model_server_tls_certificate,
            key=self.model_server_tls_key,
            server_name=self.model_server_tls_server_name,
        )
