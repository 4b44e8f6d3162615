"""Settings of canary and shadow: which share of the requests meets a second version of a model."""

from typing import Annotated

from pydantic import BaseModel, Field

#: The label of the version that is on trial.
CANARY_LABEL = "canary"

_Share = Annotated[float, Field(ge=0, le=1)]


class TrafficSettings(BaseModel):
    """How requests are shared out among versions. Part of `app.settings.Settings`."""

    sport_model_canary_share: Annotated[
        _Share,
        Field(
            description="Share of requests, 0 to 1, that the version under the label canary answers. Where it is not "
            "there, the others' version does."
        ),
    ] = 0.0
    product_model_canary_share: Annotated[_Share, Field(description="As for the sport model.")] = 0.0
    sport_model_shadow_share: Annotated[
        _Share,
        Field(
            description="Share of requests, 0 to 1, whose picture a second version classifies too, after the answer "
            "has gone out; how far both agree is recorded."
        ),
    ] = 0.0
    product_model_shadow_share: Annotated[_Share, Field(description="As for the sport model.")] = 0.0
    shadow_label: Annotated[str, Field(min_length=1, description="The label of that second version.")] = (
        CANARY_LABEL
    )
    shadow_concurrency: Annotated[
        int, Field(ge=1, description="Pictures with the second version at a time, of each model and process.")
    ] = 1
    shadow_queue: Annotated[
        int,
        Field(
            ge=1, description="Pictures that may wait for it, of each model and process; more are dropped."
        ),
    ] = 32
    shadow_memory_bytes: Annotated[
        int,
        Field(gt=0, description="Memory of those that wait, of each model and process; more are dropped."),
    ] = 32_000_000
    shadow_timeout_seconds: Annotated[
        float, Field(gt=0, description="For the second version's answer; it is asked once and never again.")
    ] = 5.0
