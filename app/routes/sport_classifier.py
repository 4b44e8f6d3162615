"""Which sport is in the picture?"""

from collections.abc import Sequence

from fastapi import Request, Response

from accounts.tokens.scopes import Scope
from app.batch_schemas import SportPicture, SportPredictions, place_of
from app.openapi import PICTURES_UPLOAD
from app.picture_endpoint import (
    DEFAULT_TOP_K,
    Threshold,
    TopK,
    picture_operation,
    picture_router,
    rank_upload,
    rank_uploads,
)
from app.rankings import RankedClass, likeliest
from app.schemas import NestedSportPrediction, NestedSports, SportPrediction, SportProbability
from app.services import ServicesDep
from catalogue import Catalogue

router = picture_router("sport classifier", Scope.SPORT)


@router.post(
    "/sportclassifier/predict/", **picture_operation("predict_sport", "Which sport is in the picture?")
)
async def predict_sport(
    request: Request,
    response: Response,
    services: ServicesDep,
    top_k: TopK = DEFAULT_TOP_K,
    threshold: Threshold = 0.0,
) -> SportPrediction:
    """Name the likeliest sports, highest probability first.

    The headers tell which version of which model answered (`X-Model-Version`, `X-Model-Name`), under which label
    (`X-Model-Label`), and where the time went (`Server-Timing`, in milliseconds).
    """
    ranking = await rank_upload(request, response, services, services.sport_classifier)
    return SportPrediction(data=_sports(ranking, top_k, threshold, services.catalogue))


@router.post(
    "/v2/sportclassifier/predict/",
    **picture_operation("predict_sport_v2", "Which sport is in the picture? The answer in its second form."),
)
async def predict_sport_v2(
    request: Request,
    response: Response,
    services: ServicesDep,
    top_k: TopK = DEFAULT_TOP_K,
    threshold: Threshold = 0.0,
) -> NestedSportPrediction:
    """Name the likeliest sports, highest probability first, under `data.sport`.

    Request, parameters, headers and problems are those of `POST /sportclassifier/predict/`, and so are the sports;
    only the answer has one level more.
    """
    ranking = await rank_upload(request, response, services, services.sport_classifier)
    sports = _sports(ranking, top_k, threshold, services.catalogue)
    return NestedSportPrediction(data=NestedSports(sport=sports))


@router.post(
    "/sportclassifier/predict/batch/",
    **picture_operation(
        "predict_sport_batch", "Which sport is in each of several pictures?", PICTURES_UPLOAD
    ),
)
async def predict_sport_batch(
    request: Request,
    response: Response,
    services: ServicesDep,
    top_k: TopK = DEFAULT_TOP_K,
    threshold: Threshold = 0.0,
) -> SportPredictions:
    """Name the likeliest sports of each picture, in the order of the pictures.

    The field `files` comes once for each picture. They go to the model together, so that one version answers for all
    of them. A picture that cannot be read has a problem in its place, and the others have their answers all the same;
    the status is then still 200.

    The headers are those of the single form. In `Server-Timing`, `queue` and `decode` are sums over the pictures.
    """
    outcomes = await rank_uploads(request, response, services, services.sport_classifier)

    def read(ranking: Sequence[RankedClass]) -> list[SportProbability]:
        return _sports(ranking, top_k, threshold, services.catalogue)

    return SportPredictions(data=[SportPicture(**place_of(outcome, read)) for outcome in outcomes])


def _sports(
    ranking: Sequence[RankedClass], top_k: int, threshold: float, catalogue: Catalogue
) -> list[SportProbability]:
    return [_sport(ranked, catalogue) for ranked in likeliest(ranking, top_k, threshold)]


def _sport(ranked: RankedClass, catalogue: Catalogue) -> SportProbability:
    # The model was exported with the ids of its day; the catalogue knows what has become of them since.
    sport = catalogue.by_id(ranked.id)
    return SportProbability(
        id=ranked.id if sport is None else sport.id,
        name=ranked.name,
        probability=round(ranked.probability, 4),
    )
