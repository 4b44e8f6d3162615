"""Which sport is in the picture?"""

from fastapi import Request, Response

from accounts.tokens.scopes import Scope
from app.picture_endpoint import (
    DEFAULT_TOP_K,
    Threshold,
    TopK,
    picture_operation,
    picture_router,
    rank_upload,
)
from app.rankings import RankedClass, likeliest
from app.schemas import SportPrediction, SportProbability
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
    return SportPrediction(
        data=[_sport(ranked, services.catalogue) for ranked in likeliest(ranking, top_k, threshold)]
    )


def _sport(ranked: RankedClass, catalogue: Catalogue) -> SportProbability:
    # The model was exported with the ids of its day; the catalogue knows what has become of them since.
    sport = catalogue.by_id(ranked.id)
    return SportProbability(
        id=ranked.id if sport is None else sport.id,
        name=ranked.name,
        probability=round(ranked.probability, 4),
    )
