"""Is the gateway alive, and can it answer? For load balancers and Kubernetes' probes."""

from fastapi import APIRouter

from app.openapi import problem_responses
from app.schemas import Alive, Ready, ReadyModel
from app.services import ServicesDep

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="get_health", summary="Is the gateway alive?")
async def healthz() -> Alive:
    """Answer as soon as the event loop can: no model is asked."""
    return Alive()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Are the models available?",
    responses=problem_responses(503),
)
async def readyz(services: ServicesDep) -> Ready:
    """Ask the model server for every model; 503 with the reason where one is not AVAILABLE."""
    live = await services.sport_model.refresh()
    return Ready(models=[ReadyModel(name=services.sport_model.name, version=live.version)])
