"""What every picture endpoint does alike: parameters, upload, classification, headers, and their description."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security

from accounts.tokens.scopes import Scope
from app.auth import TokenBearer
from app.classifier import Classification, Outcome
from app.deadline import HEADER, HEADER_PARAMETER, Patience
from app.disconnect import run_while_connected
from app.errors import DeadlineExceeded, ModelNotConfigured, Problem, UploadTimeout
from app.limits.passing import Passage
from app.middleware.observation import ANSWERED, Answered
from app.model_label import HEADER as MODEL_LABEL
from app.model_label import after_answer, asked_label, note_model_label
from app.openapi import PICTURE_UPLOAD, RATE_LIMIT_HEADERS, problem_responses
from app.rankings import RankedT
from app.services import Services
from app.settings import Settings
from app.timings import Timings
from app.traffic import LabelledClassifier
from app.upload import most_bytes, read_picture, read_pictures

DEFAULT_TOP_K = 3

TopK = Annotated[int, Query(ge=1, le=20, description="How many to name at most.")]
Threshold = Annotated[float, Query(ge=0, le=1, description="Leave out what is less probable than this.")]


def picture_router(tag: str, scope: Scope) -> APIRouter:
    """Make the router of a picture endpoint: whoever calls it needs a token with the scope."""
    return APIRouter(tags=[tag], dependencies=[Security(TokenBearer(scope)), Depends(note_model_label)])


def picture_operation(
    operation_id: str, summary: str, upload: dict[str, Any] = PICTURE_UPLOAD
) -> dict[str, Any]:
    """Describe the operation, for the route's decorator; `upload` is its request body."""
    return {
        "operation_id": operation_id,
        "summary": summary,
        "responses": {
            200: {"headers": RATE_LIMIT_HEADERS},
            **problem_responses(401, 403, 408, 413, 415, 422, 429, 502, 503, 504),
        },
        "openapi_extra": {**upload, "parameters": [HEADER_PARAMETER]},
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
    classifier = _configured(classifier)
    async with services.limits.passage(request.state.caller, response.headers) as passage:
        (outcome,) = await _classify_upload(request, response, services, classifier, passage, several=False)
        if isinstance(outcome, Problem):
            raise outcome
        passage.answered()
        return outcome.ranking


async def rank_uploads(
    request: Request,
    response: Response,
    services: Services,
    classifier: LabelledClassifier[RankedT] | None,
) -> list[tuple[RankedT, ...] | Problem]:
    """Do the same with the pictures of a request that holds several; they go to the model in one call.

    The times in `Server-Timing` are sums over the pictures, but for the model's, which is that of the one call.

    Returns:
        For each picture, in order, the model's ranking, or the problem where that picture cannot be read.

    Raises:
        app.errors.Problem: There is no answer for any.
    """
    classifier = _configured(classifier)
    async with services.limits.passage(request.state.caller, response.headers) as passage:
        outcomes = await _classify_upload(request, response, services, classifier, passage, several=True)
        passage.answered(sum(not isinstance(outcome, Problem) for outcome in outcomes))
        return [outcome if isinstance(outcome, Problem) else outcome.ranking for outcome in outcomes]


def _configured(classifier: LabelledClassifier[RankedT] | None) -> LabelledClassifier[RankedT]:
    if classifier is None:
        raise ModelNotConfigured(
            "This gateway has no model for this endpoint: its operator has switched it off. The catalogue and the "
            "other endpoints are not touched by that."
        )
    return classifier


async def _classify_upload(
    request: Request,
    response: Response,
    services: Services,
    classifier: LabelledClassifier[RankedT],
    passage: Passage,
    *,
    several: bool,
) -> list[Outcome[RankedT]]:
    patience = Patience.of(request)
    settings, recorder, model = services.settings, services.recorder, classifier.served.name
    with services.admission.let_in(most_bytes(request, settings.max_upload_bytes)) as place:
        started = time.perf_counter()
        with services.tracing.stage("read", model):
            pictures = await _read_in_time(request, settings, patience, several=several)
        read_seconds = time.perf_counter() - started
        place.shrink(sum(map(len, pictures)))
        for picture in pictures:
            recorder.uploaded(len(picture))
        recorder.stage("read", model, read_seconds)
        if several:
            await passage.take(len(pictures))
        deadline = patience.deadline(settings.predict_timeout_seconds)
        work = classifier.classify_all(pictures, asked_label(request), deadline=deadline)
        outcomes = await run_while_connected(request, work)
    answers = [outcome for outcome in outcomes if not isinstance(outcome, Problem)]
    if answers:
        later = after_answer(request)
        for picture, outcome in zip(pictures, outcomes, strict=True):
            if not isinstance(outcome, Problem):
                classifier.shadow_later(later, picture, outcome)
        _note(request, response, services, read_seconds, answers)
    return outcomes


def _note(
    request: Request,
    response: Response,
    services: Services,
    read_seconds: float,
    answers: Sequence[Classification[RankedT]],
) -> None:
    """Tell metrics, the access log and the caller who answered, which is one version for all pictures."""
    first = answers[0]
    for answer in answers:
        for likeliest in answer.ranking[:1]:
            services.recorder.predicted(
                model=answer.model,
                version=answer.version,
                class_id=likeliest.id,
                probability=likeliest.probability,
            )
    setattr(request.state, ANSWERED, Answered(first.model, first.version, time.perf_counter()))
    response.headers["X-Model-Name"] = first.model
    response.headers["X-Model-Version"] = str(first.version)
    response.headers[MODEL_LABEL] = first.label
    response.headers["Server-Timing"] = _server_timing(read_seconds, [answer.timings for answer in answers])


async def _read_in_time(
    request: Request, settings: Settings, patience: Patience, *, several: bool
) -> list[bytes]:
    most, seconds = settings.max_upload_bytes, patience.within(settings.upload_timeout_seconds)
    try:
        if several:
            return await read_pictures(request, most, seconds, most=settings.max_batch_pictures)
        return [await read_picture(request, most, seconds)]
    except UploadTimeout as error:
        if seconds >= settings.upload_timeout_seconds:
            raise
        raise DeadlineExceeded(
            f"The upload was not over within the {patience.asked:g} seconds that {HEADER} allows. Allow more, or "
            "scale the picture down."
        ) from error


def _server_timing(read_seconds: float, timings: Sequence[Timings]) -> str:
    queue = sum(one.queue for one in timings)
    decode = sum(one.decode for one in timings)
    return (
        f"read;dur={read_seconds * 1000:.1f}, queue;dur={queue * 1000:.1f}, decode;dur={decode * 1000:.1f}, "
        f"inference;dur={timings[0].inference * 1000:.1f}"
    )
