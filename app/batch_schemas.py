"""The bodies of answers to several pictures at once."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.errors import Problem, problem_members
from app.schemas import ProductProbability, SportProbability


class PictureProblem(BaseModel):
    """What is wrong with one picture among several, as RFC 9457 names it; the others have their answers."""

    type: Annotated[str, Field(description="Stable name of the problem.")]
    title: Annotated[str, Field(description="The problem's kind, in a few words.")]
    status: Annotated[int, Field(description="The HTTP status that the picture alone would have had.")]
    detail: Annotated[str, Field(description="What is wrong with this picture, and what to change.")]


_Ranking = TypeVar("_Ranking")

_PROBLEM: JsonDict = {
    "type": "urn:sportvision:problem:unsupported-picture",
    "title": "The file is not a picture in a supported format",
    "status": 415,
    "detail": "The file is a PDF file, which is not read here. Send one of: JPEG, PNG, WEBP, GIF, BMP, TIFF.",
}
_Problem = Annotated[
    PictureProblem | None, Field(description="What is wrong with the picture; null where it has an answer.")
]


class SportPicture(BaseModel):
    """The answer to one picture: the sports that it may show, or what is wrong with it."""

    predictions: Annotated[
        list[SportProbability] | None,
        Field(description="The likeliest sports, highest probability first; null where there is a problem."),
    ]
    problem: _Problem


class SportPredictions(BaseModel):
    """An answer for every picture of the request, in its order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {
                            "predictions": [{"id": "74", "name": "Baseball", "probability": 0.9923}],
                            "problem": None,
                        },
                        {"predictions": None, "problem": _PROBLEM},
                    ]
                }
            ]
        }
    )

    data: list[SportPicture]


class ProductPicture(BaseModel):
    """The answer to one picture: the types of product that it may show, or what is wrong with it."""

    predictions: Annotated[
        list[ProductProbability] | None,
        Field(description="The likeliest types, highest probability first; null where there is a problem."),
    ]
    problem: _Problem


class ProductPredictions(BaseModel):
    """An answer for every picture of the request, in its order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {
                            "predictions": [
                                {
                                    "type": "skates",
                                    "probability": 0.9999,
                                    "sports_list": [{"probability": 1.0, "sports_group": "Inline skating"}],
                                }
                            ],
                            "problem": None,
                        },
                        {"predictions": None, "problem": _PROBLEM},
                    ]
                }
            ]
        }
    )

    data: list[ProductPicture]


def place_of(outcome: _Ranking | Problem, read: Callable[[_Ranking], list[Any]]) -> dict[str, Any]:
    """What stands in the place of one picture: its predictions, or its problem, and null for the other.

    Args:
        outcome: The picture's ranking, or what is wrong with it.
        read: Makes predictions of a ranking.

    Returns:
        The members of a `SportPicture` or a `ProductPicture`.
    """
    if isinstance(outcome, Problem):
        return {"predictions": None, "problem": PictureProblem(**problem_members(outcome))}
    return {"predictions": read(outcome), "problem": None}
