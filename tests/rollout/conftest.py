"""A configuration file, and two model servers that stand as it says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rollout.rolling_backend import RollingBackend
from tests.rollout.rollouts import CONFIG


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "models.config"
    file.write_text(CONFIG, "utf-8")
    return file


@pytest.fixture
async def servers() -> AsyncIterator[list[RollingBackend]]:
    async with RollingBackend() as one, RollingBackend() as two:
        for server in (one, two):
            server.serve(3, stable=3, canary=3)
        yield [one, two]
