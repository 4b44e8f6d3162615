from collections.abc import AsyncIterator

import httpx
import pytest

from app.settings import Settings
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import (
    ENDPOINTS,
    MODEL,
    PRODUCT_MODEL,
    Endpoint,
    gateway_client,
    gateway_settings,
)

CLASSES = (("74", "Baseball"), ("76", "Cricket"), ("289", "Lacrosse"), ("66", "Skiing"))
TYPES = {
    "skates": (("Ice hockey", "10071"), ("Inline skating", "10240"), ("Figure skating", "10210")),
    "sports shoes": (("Running", "10109"), ("Hiking,Walking,Camping,Sledding", "10062,10329,10027,10120")),
    "boots": (("Snowboarding", "10121"),),
    "bicycle": (
        ("Road cycling", "282"),
        ("BMX", "10018"),
        ("Mountain biking", "10088"),
        ("Fitness", "10211"),
    ),
}


@pytest.fixture(params=ENDPOINTS, ids=["sport", "product"])
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """Every picture endpoint in turn: for what they must all do alike."""
    found: Endpoint = request.param
    return found


@pytest.fixture
async def backend() -> AsyncIterator[FakeBackend]:
    """A model server with version 1 of the sport model and of the product model, inputs 48 × 32 (height × width)."""
    async with FakeBackend() as fake:
        fake.add_version(MODEL, 1, height=48, width=32, classes=CLASSES)
        fake.add_product_version(PRODUCT_MODEL, 1, height=48, width=32, types=TYPES)
        yield fake


@pytest.fixture
def settings(backend: FakeBackend) -> Settings:
    return gateway_settings(backend.target)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_client(settings) as client:
        yield client
