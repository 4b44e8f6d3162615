"""What Prometheus asks for."""

from fastapi import APIRouter, Response

from app.errors import MetricsOff
from app.metrics.exposition import CONTENT_TYPE
from app.services import ServicesDep

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(services: ServicesDep) -> Response:
    """Answer with all metrics, in Prometheus' text format. Open, as scrapers inside a cluster expect it."""
    if services.exposition is None:
        raise MetricsOff("This gateway keeps no metrics: its operator has set SPORTVISION_METRICS=false.")
    live = {model.name: model.live_version for model in services.served_models.values()}
    return Response(await services.exposition.write(live), media_type=CONTENT_TYPE)
