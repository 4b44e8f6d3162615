"""The bodies of answers, as the OpenAPI document describes them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class SportProbability(BaseModel):
    """One sport that the picture may show."""

    id: Annotated[str, Field(description="The sport's id in the catalogue.", examples=["74"])]
    name: Annotated[str, Field(description="The sport's name.", examples=["Baseball"])]
    probability: Annotated[float, Field(ge=0, le=1, description="Rounded to four places.", examples=[0.9923])]


class SportPrediction(BaseModel):
    """The likeliest sports, highest probability first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {"id": "74", "name": "Baseball", "probability": 0.9923},
                        {"id": "76", "name": "Cricket", "probability": 0.0062},
                        {"id": "289", "name": "Lacrosse", "probability": 0.0011},
                    ]
                }
            ]
        }
    )

    data: list[SportProbability]


class NestedSports(BaseModel):
    """What the second form of the answer has under `data`."""

    sport: Annotated[
        list[SportProbability], Field(description="The likeliest sports, highest probability first.")
    ]


class NestedSportPrediction(BaseModel):
    """The likeliest sports in the second form: one level deeper, and otherwise the same."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": {
                        "sport": [
                            {"id": "74", "name": "Baseball", "probability": 0.9923},
                            {"id": "76", "name": "Cricket", "probability": 0.0062},
                            {"id": "289", "name": "Lacrosse", "probability": 0.0011},
                        ]
                    }
                }
            ]
        }
    )

    data: NestedSports


class SportsGroupProbability(BaseModel):
    """What a product of the type may be for."""

    probability: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Given the type: the groups of a type sum to 1. Rounded to four places.",
            examples=[0.9417],
        ),
    ]
    sports_group: Annotated[
        str,
        Field(
            description="The group's name; where it stands for several sports, they are joined by commas.",
            examples=["Inline skating", "Hiking,Walking,Camping,Sledding"],
        ),
    ]


class ProductProbability(BaseModel):
    """One type of product that the picture may show."""

    type: Annotated[str, Field(description="The type's name.", examples=["skates"])]
    probability: Annotated[float, Field(ge=0, le=1, description="Rounded to four places.", examples=[0.9999])]
    sports_list: Annotated[
        list[SportsGroupProbability],
        Field(description="All sports groups that exist for the type, highest probability first."),
    ]


class ProductPrediction(BaseModel):
    """The likeliest types of product, highest probability first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {
                            "type": "skates",
                            "probability": 0.9895,
                            "sports_list": [
                                {"probability": 0.9417, "sports_group": "Inline skating"},
                                {"probability": 0.0583, "sports_group": "Figure skating"},
                            ],
                        },
                        {
                            "type": "boots",
                            "probability": 0.0104,
                            "sports_list": [
                                {"probability": 1.0, "sports_group": "Hiking,Walking,Camping,Sledding"}
                            ],
                        },
                        {
                            "type": "racket",
                            "probability": 0.0001,
                            "sports_list": [
                                {"probability": 0.664, "sports_group": "Tennis"},
                                {"probability": 0.3034, "sports_group": "Badminton"},
                                {"probability": 0.0326, "sports_group": "Table tennis"},
                            ],
                        },
                    ]
                }
            ]
        }
    )

    data: list[ProductProbability]


class Alive(BaseModel):
    """The gateway's process answers."""

    status: Literal["alive"] = "alive"


class ReadyModel(BaseModel):
    """A model that is AVAILABLE on the model server."""

    name: str
    version: Annotated[int, Field(description="The version that answers now.")]


class MissingModel(BaseModel):
    """A model that cannot be asked now, and without which the gateway is ready all the same."""

    name: str
    reason: Annotated[str, Field(description="What the model server says of it.")]


class Ready(BaseModel):
    """Every model that the gateway needs can be asked."""

    status: Literal["ready"] = "ready"
    models: list[ReadyModel]
    missing: Annotated[
        list[MissingModel],
        Field(
            description="Models whose endpoints answer 503 now; the setting READY_NEEDS does not name them."
        ),
    ]


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
