"""Which sport product is in the picture, and which sports is it for?"""

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
from app.rankings import RankedType, likeliest
from app.schemas import ProductPrediction, ProductProbability, SportsGroupProbability
from app.services import ServicesDep

router = picture_router("product classifier", Scope.PRODUCT)


@router.post(
    "/productclassifier/predict/",
    **picture_operation("predict_product", "Which sport product is in the picture, and for which sports?"),
)
async def predict_product(
    request: Request,
    response: Response,
    services: ServicesDep,
    top_k: TopK = DEFAULT_TOP_K,
    threshold: Threshold = 0.0,
) -> ProductPrediction:
    """Name the likeliest types of product, highest probability first, each with all its sports groups.

    `top_k` and `threshold` are about types. The probabilities of a type's groups are given the type, so that they sum
    to 1 (before rounding) however improbable the type is. `GET /products/types` lists all types and groups.

    The headers tell which version of which model answered (`X-Model-Version`, `X-Model-Name`), under which label
    (`X-Model-Label`), and where the time went (`Server-Timing`, in milliseconds).
    """
    ranking = await rank_upload(request, response, services, services.product_classifier)
    return ProductPrediction(data=[_product(ranked) for ranked in likeliest(ranking, top_k, threshold)])


def _product(ranked: RankedType) -> ProductProbability:
    return ProductProbability(
        type=ranked.name,
        probability=round(ranked.probability, 4),
        sports_list=[
            SportsGroupProbability(probability=round(group.probability, 4), sports_group=group.name)
            for group in ranked.groups
        ],
    )
