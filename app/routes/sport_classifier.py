"""Which sport is in the picture?"""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, Security

from app.auth import TokenBearer
from app.classifier import Classification
from app.disconnect import run_while_connected
from app.openapi import PICTURE_UPLOAD, problem_responses
from app.schemas import SportPrediction, SportProbability
from app.services import ServicesDep
from app.upload import read_picture
from catalogue import Catalogue

router = APIRouter(tags=["sport classifier"], dependencies=[Security(TokenBearer())])

PATH = "/sportclassifier/predict/"


@router.post(
    PATH,
    operation_id="predict_sport",
    summary="Which sport is in the picture?",
    responses=problem_responses(401, 413, 415, 422, 502, 503, 504),
    openapi_extra=PICTURE_UPLOAD,
)
async def predict_sport(
    request: Request,
    response: Response,
    services: ServicesDep,
    top_k: Annotated[int, Query(ge=1, le=20, description="How many sports to name at most.")] = 3,
    threshold: Annotated[
        float, Query(ge=0, le=1, description="Leave out sports less probable than this.")
    ] = 0.0,
) -> SportPrediction:
    """Name the likeliest sports, highest probability first.

    The headers tell which version of which model answered (`X-Model-Version`, `X-Model-Name`) and where the time
    went (`Server-Timing`, in milliseconds).
    """
    started = time.perf_counter()
    picture = await read_picture(request, services.settings.max_upload_bytes)
    read_seconds = time.perf_counter() - started
    answer = await run_while_connected(request, services.sport_classifier.classify(picture))
    response.headers["X-Model-Name"] = answer.model
    response.headers["X-Model-Version"] = str(answer.version)
    response.headers["Server-Timing"] = _server_timing(read_seconds, answer)
    return _prediction(answer, services.catalogue, top_k, threshold)


def _prediction(
    answer: Classification, catalogue: Catalogue, top_k: int, threshold: float
) -> SportPrediction:
    data = []
    for ranked in answer.ranking[:top_k]:
        if ranked.probability < threshold:
            break
        # The model was exported with the ids of its day; the catalogue knows what has become of them since.
        sport = catalogue.by_id(ranked.id)
        data.append(
            SportProbability(
                id=ranked.id if sport is None else sport.id,
                name=ranked.name,
                probability=round(ranked.probability, 4),
            )
        )
    return SportPrediction(data=data)


def _server_timing(read_seconds: float, answer: Classification) -> str:
    timings = answer.timings
    stages = {
        "read": read_seconds,
        "queue": timings.queue,
        "decode": timings.decode,
        "inference": timings.inference,
    }
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in stages.items())
