from collections.abc import AsyncIterator

import httpx
import pytest

from app.settings import Settings
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, gateway_client, gateway_settings

CLASSES = (("74", "Baseball"), ("76", "Cricket"), ("289", "Lacrosse"), ("66", "Skiing"))


@pytest.fixture
async def backend() -> AsyncIterator[FakeBackend]:
    """A model server with version 1 of the sport model, input 48 × 32 (height × width)."""
    async with FakeBackend() as fake:
        fake.add_version(MODEL, 1, height=48, width=32, classes=CLASSES)
        yield fake


@pytest.fixture
def settings(backend: FakeBackend) -> Settings:
    return gateway_settings(backend.target)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_client(settings) as client:
        yield client
