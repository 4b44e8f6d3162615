"""Is the gateway alive, and can it answer? For load balancers and Kubernetes' probes."""

import asyncio

from fastapi import APIRouter

from app.errors import ServiceUnavailable
from app.openapi import problem_responses
from app.schemas import Alive, MissingModel, Ready, ReadyModel
from app.served_model import LiveVersion, ServedModel
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
    """Ask the model server for every model; 503 with the reason where one that is needed is not AVAILABLE.

    Which are needed is a setting (`SPORTVISION_READY_NEEDS`, the sport model by default). One that is not, and is
    away, is named under `missing`: a gateway that can do the rest must not lose its traffic for it. After SIGTERM
    it is 503 too, while requests are still answered.
    """
    if services.draining.begun:
        raise ServiceUnavailable(
            "The gateway is shutting down. Send requests to another one.",
            retry_after=services.settings.retry_after_seconds,
        )
    served = services.served_models
    found = dict(zip(served, await asyncio.gather(*map(_look, served.values())), strict=True))
    ready = Ready(models=[], missing=[])
    for kind, seen in found.items():
        name = served[kind].name
        if isinstance(seen, LiveVersion):
            ready.models.append(ReadyModel(name=name, version=seen.version))
        elif kind in services.settings.ready_needs:
            raise seen
        else:
            ready.missing.append(MissingModel(name=name, reason=seen.detail))
    return ready


async def _look(model: ServedModel) -> LiveVersion | ServiceUnavailable:
    try:
        return await model.refresh()
    except ServiceUnavailable as problem:
        return problem
