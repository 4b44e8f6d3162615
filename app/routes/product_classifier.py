"""Which sport product is in the picture, and which sports is it for?"""

from collections.abc import Sequence

from fastapi import Request, Response

from accounts.tokens.scopes import Scope
from app.batch_schemas import ProductPicture, ProductPredictions, place_of
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
    return ProductPrediction(data=_products(ranking, top_k, threshold))


@router.post(
    "/productclassifier/predict/batch/",
    **picture_operation(
        "predict_product_batch", "Which sport product is in each of several pictures?", PICTURES_UPLOAD
    ),
)
async def predict_product_batch(
    request: Request,
    response: Response,
    services: ServicesDep,
    top_k: TopK = DEFAULT_TOP_K,
    threshold: Threshold = 0.0,
) -> ProductPredictions:
    """Name the likeliest types of product of each picture, in the order of the pictures.

    The field `files` comes once for each picture. They go to the model together, so that one version answers for all
    of them. A picture that cannot be read has a problem in its place, and the others have their answers all the same;
    the status is then still 200.

    The headers are those of the single form. In `Server-Timing`, `queue` and `decode` are sums over the pictures.
    """
    outcomes = await rank_uploads(request, response, services, services.product_classifier)

    def read(ranking: Sequence[RankedType]) -> list[ProductProbability]:
        return _products(ranking, top_k, threshold)

    return ProductPredictions(data=[ProductPicture(**place_of(outcome, read)) for outcome in outcomes])


def _products(ranking: Sequence[RankedType], top_k: int, threshold: float) -> list[ProductProbability]:
    return [_product(ranked) for ranked in likeliest(ranking, top_k, threshold)]


def _product(ranked: RankedType) -> ProductProbability:
    return ProductProbability(
        type=ranked.name,
        probability=round(ranked.probability, 4),
        sports_list=[
            SportsGroupProbability(probability=round(group.probability, 4), sports_group=group.name)
            for group in ranked.groups
        ],
    )
