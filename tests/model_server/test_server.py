"""Polling the configuration and loading a version, with stand-ins for the core and for the model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from model_server import server
from model_server.config import read_config_file
from model_server.core import ServerCore
from model_server.errors import failed_precondition
from model_server.flags import Flags
from model_server.servable import Servable


class Core:
    """Notes what it is asked to apply, and may refuse it."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.asked = 0
        self.refuses = False

    def reload(self, config: Any) -> None:
        self.asked += 1
        if self.refuses:
            raise failed_precondition("not yet")
        self.applied.append(config.model_config_list.config[0].name)

    async def asked_more(self, times: int) -> None:
        async with asyncio.timeout(60):
            end = self.asked + times
            while self.asked < end:
                await asyncio.sleep(0.002)

    async def applies(self, *names: str) -> None:
        async with asyncio.timeout(60):
            while self.applied != list(names):
                await asyncio.sleep(0.002)


def _write(path: Path, name: str) -> None:
    staged = path.with_suffix(".staged")
    staged.write_text(f'model_config_list {{ config {{ name: "{name}" }} }}', encoding="utf-8")
    staged.rename(path)


@asynccontextmanager
async def _polled(path: Path, core: Core) -> AsyncIterator[None]:
    flags = Flags(model_config_file=path, model_config_file_poll_wait_seconds=0.002)
    booted = read_config_file(path)
    polling = asyncio.create_task(server._poll_config(flags, cast("ServerCore[Servable]", core), booted))
    yield
    polling.cancel()
    with suppress(asyncio.CancelledError):
        await polling


@pytest.fixture
def path(tmp_path: Path) -> Path:
    _write(tmp_path / "models.config", "one")
    return tmp_path / "models.config"


async def test_a_refused_file_is_tried_at_each_look_and_complained_of_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    core = Core()
    core.refuses = True
    async with _polled(path, core):
        _write(path, "two")
        await core.asked_more(3)
        core.refuses = False
        await core.applies("two")
    assert caplog.text.count("not applied: not yet") == 1


async def test_a_file_put_back_after_a_refusal_is_applied_too(path: Path) -> None:
    core = Core()
    core.refuses = True
    async with _polled(path, core):
        # A reload may fail with half of it in force: a new model that does not load.
        _write(path, "two")
        await core.asked_more(1)
        _write(path, "one")
        await core.asked_more(1)
        core.refuses = False
        await core.applies("one")


def test_whatever_a_warm_up_raises_closes_the_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed: list[Path] = []

    class Fake:
        def __init__(self, path: Path, _config: Any) -> None:
            self.path = path

        def close(self) -> None:
            closed.append(self.path)

    def fails(_servable: Any, _path: Path) -> int:
        raise KeyError("nope:0")

    monkeypatch.setattr(server, "Servable", Fake)
    monkeypatch.setattr(server, "warm_up", fails)
    with pytest.raises(KeyError, match="nope:0"):
        server._Loader(Flags())("m", 1, tmp_path)
    assert closed == [tmp_path]
