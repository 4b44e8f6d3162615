"""What every picture endpoint does alike: parameters, upload, classification, headers, and their description."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security

from accounts.tokens.scopes import Scope
from app.auth import TokenBearer
from app.classifier import Classification
from app.deadline import HEADER, HEADER_PARAMETER, Patience
from app.disconnect import run_while_connected
from app.errors import DeadlineExceeded, ModelNotConfigured, UploadTimeout
from app.middleware.observation import ANSWERED, Answered
from app.model_label import HEADER as MODEL_LABEL
from app.model_label import after_answer, asked_label, note_model_label
from app.openapi import PICTURE_UPLOAD, RATE_LIMIT_HEADERS, problem_responses
from app.rankings import RankedT
from app.services import Services
from app.settings import Settings
from app.traffic import LabelledClassifier
from app.upload import most_bytes, read_picture

DEFAULT_TOP_K = 3

TopK = Annotated[int, Query(ge=1, le=20, description="How many to name at most.")]
Threshold = Annotated[float, Query(ge=0, le=1, description="Leave out what is less probable than this.")]


def picture_router(tag: str, scope: Scope) -> APIRouter:
    """Make the router of a picture endpoint: whoever calls it needs a token with the scope."""
    return APIRouter(tags=[tag], dependencies=[Security(TokenBearer(scope)), Depends(note_model_label)])


def picture_operation(operation_id: str, summary: str) -> dict[str, Any]:
    """Describe the operation, for the route's decorator."""
    return {
        "operation_id": operation_id,
        "summary": summary,
        "responses": {
            200: {"headers": RATE_LIMIT_HEADERS},
            **problem_responses(401, 403, 408, 413, 415, 422, 429, 502, 503, 504),
        },
        "openapi_extra": {**PICTURE_UPLOAD, "parameters": [HEADER_PARAMETER]},
    }


async def rank_upload(
    request: Request,
    response: Response,
    services: Services,
    classifier: LabelledClassifier[RankedT] | None,
) -> tuple[RankedT, ...]:
    """Read the picture of a request and classify it, unless a limit is reached or the caller goes away.

    The headers of the response tell which version of which model answered (`X-Model-Version`, `X-Model-Name`), under
    which label (`X-Model-Label`), and where the time went (`Server-Timing`, in milliseconds).

    Returns:
        The model's ranking, likeliest first and uncut.

    Raises:
        app.errors.Problem: There is no answer; each kind is a subclass of its own.
    """
    if classifier is None:
        raise ModelNotConfigured(
            "This gateway has no model for this endpoint: its operator has switched it off. The catalogue and the "
            "other endpoints are not touched by that."
        )
    async with services.limits.passage(request.state.caller, response.headers) as passage:
        ranking = await _rank(request, response, services, classifier)
        passage.answered()
        return ranking


async def _rank(
    request: Request,
    response: Response,
    services: Services,
    classifier: LabelledClassifier[RankedT],
) -> tuple[RankedT, ...]:
    patience = Patience.of(request)
    settings, recorder, model = services.settings, services.recorder, classifier.served.name
    with services.admission.let_in(most_bytes(request, settings.max_upload_bytes)) as place:
        started = time.perf_counter()
        with services.tracing.stage("read", model):
            picture = await _read_in_time(request, settings, patience)
        read_seconds = time.perf_counter() - started
        place.shrink(len(picture))
        recorder.uploaded(len(picture))
        recorder.stage("read", model, read_seconds)
        deadline = patience.deadline(settings.predict_timeout_seconds)
        work = classifier.classify(picture, asked_label(request), deadline=deadline)
        answer = await run_while_connected(request, work)
    classifier.shadow_later(after_answer(request), picture, answer)
    for likeliest in answer.ranking[:1]:
        recorder.predicted(
            model=model, version=answer.version, class_id=likeliest.id, probability=likeliest.probability
        )
    setattr(request.state, ANSWERED, Answered(model, answer.version, time.perf_counter()))
    response.headers["X-Model-Name"] = answer.model
    response.headers["X-Model-Version"] = str(answer.version)
    response.headers[MODEL_LABEL] = answer.label
    response.headers["Server-Timing"] = _server_timing(read_seconds, answer)
    return answer.ranking


async def _read_in_time(request: Request, settings: Settings, patience: Patience) -> bytes:
    try:
        return await read_picture(
            request, settings.max_upload_bytes, patience.within(settings.upload_timeout_seconds)
        )
    except UploadTimeout as error:
        if not patience.over:
            raise
        raise DeadlineExceeded(
            f"The upload was not over within the {patience.asked:g} seconds that {HEADER} allows. Allow more, or "
            "scale the picture down."
        ) from error


def _server_timing(read_seconds: float, answer: Classification[RankedT]) -> str:
    timings = answer.timings
    stages = {
        "read": read_seconds,
        "queue": timings.queue,
        "decode": timings.decode,
        "inference": timings.inference,
    }
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in stages.items())
