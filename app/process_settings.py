"""Settings of the gateway as a process: its connections, its end, and its traces."""

from typing import Annotated

from pydantic import BaseModel, Field


class ProcessSettings(BaseModel):
    """What no single request is concerned with. Part of `app.settings.Settings`."""

    max_connections: Annotated[
        int,
        Field(
            ge=10,
            description="Open connections, in each worker process; beyond it, the one that has been idle for longest "
            "is closed.",
        ),
    ] = 2000
    header_timeout_seconds: Annotated[
        float,
        Field(gt=0, description="For a request's head to come in; beyond it, the connection is closed."),
    ] = 10.0
    keep_alive_seconds: Annotated[
        int,
        Field(
            ge=1,
            description="How long an idle connection stays open. Longer than the proxy in front keeps its own, or "
            "the proxy sends requests into connections that are just being closed.",
        ),
    ] = 75
    drain_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="After SIGTERM the gateway says for so long that it is not ready, and answers all the same: "
            "the time that load balancers need to notice.",
        ),
    ] = 5.0
    stop_seconds: Annotated[
        int, Field(ge=1, description="After that, for what is still in flight; what takes longer is cut off.")
    ] = 30

    tracing: Annotated[
        bool,
        Field(
            description="Send OpenTelemetry traces over OTLP/HTTP to where OTEL_EXPORTER_OTLP_ENDPOINT says."
        ),
    ] = False
    tracing_sample_ratio: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The share of requests that is traced, where the caller's traceparent has not decided.",
        ),
    ] = 1.0
