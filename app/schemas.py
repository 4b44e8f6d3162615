"""The bodies of answers, as the OpenAPI document describes them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class SportProbability(BaseModel):
    """One sport that the picture may show."""

    id: Annotated[str, Field(description="The sport's id in the catalogue.", examples=["74"])]
    name: Annotated[str, Field(description="The sport's name.", examples=["Baseball"])]
    probability: Annotated[float, Field(ge=0, le=1, description="Rounded to four places.", examples=[0.9923])]


class SportPrediction(BaseModel):
    """The likeliest sports, highest probability first."""

    data: list[SportProbability]


class Alive(BaseModel):
    """The gateway's process answers."""

    status: Literal["alive"] = "alive"


class ReadyModel(BaseModel):
    """A model that is AVAILABLE on the model server."""

    name: str
    version: Annotated[int, Field(description="The version that answers now.")]


class Ready(BaseModel):
    """Every model can be asked."""

    status: Literal["ready"] = "ready"
    models: list[ReadyModel]


class ProblemDetails(BaseModel):
    """What went wrong and what to change (RFC 9457)."""

    type: Annotated[
        str,
        Field(
            description="Stable name of the problem.", examples=["urn:sportvision:problem:corrupt-picture"]
        ),
    ]
    title: Annotated[str, Field(description="The problem's kind, in a few words.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What is wrong with this request, and what to change.")]
    request_id: Annotated[str | None, Field(description="As in the header X-Request-ID.")] = None
