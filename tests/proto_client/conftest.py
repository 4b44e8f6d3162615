"""A fake server with one model, and a client of it."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from proto_client import ModelServerClient
from tests.support.fake_backend import FakeBackend

TIMEOUT = 20.0


def picture(height: int = 32, width: int = 32, colour: int = 200) -> NDArray[np.uint8]:
    return np.full((1, height, width, 3), colour, np.uint8)


@pytest.fixture
async def backend() -> AsyncIterator[FakeBackend]:
    async with FakeBackend() as backend:
        backend.add_version("sports", 1)
        yield backend


@pytest.fixture
async def client(backend: FakeBackend) -> AsyncIterator[ModelServerClient]:
    async with ModelServerClient(backend.target) as client:
        yield client
