"""A rollout that ends before its last step is done is finished by the same command."""

import asyncio
from pathlib import Path

import pytest

from rollout.errors import RolloutError
from tests.rollout.rolling_backend import MODEL, RollingBackend
from tests.rollout.rollouts import CONFIG, assert_all, in_file, moving, run, text_of, write
from tests.support.fake_backend import Method

BOTH = CONFIG.replace("versions: 3", "versions: 3 versions: 4")
MOVED = BOTH.replace('"stable" value: 3', '"stable" value: 4').replace('"canary"', '"previous"')


@pytest.fixture
def after_a_move(path: Path, servers: list[RollingBackend]) -> list[RollingBackend]:
    """Version 4 is stable, 3 the one before."""
    write(path, MOVED)
    for server in servers:
        server.serve(3, 4, stable=4, previous=3)
    return servers


async def test_a_step_back_whose_last_step_fails_is_finished_by_itself(
    path: Path, after_a_move: list[RollingBackend]
) -> None:
    servers = after_a_move
    servers[1].unloads = False
    said: list[str] = []
    async with moving(path, servers, say=said.append) as mover:
        with pytest.raises(
            RolloutError, match=r"labels are moved.*Nothing is let go.*Run the same command again"
        ):
            await mover.rollback("stable")
        assert servers[1].available == {3, 4}
        servers[1].unloads = True
        await mover.rollback("stable")
        assert "Nothing to go back to; versions that no label names are let go: 4." in said
        assert_all(path, servers, {3}, {"stable": 3})
        with pytest.raises(RolloutError, match="no version to take the label 'stable' back to"):
            await mover.rollback("stable")


@pytest.mark.parametrize(
    ("text", "stable"),
    [(BOTH, 4), (BOTH, 3), (CONFIG, 3)],
    ids=["the labels are written", "the labels are moved", "the versions are written"],
)
async def test_a_step_back_that_was_killed_is_finished_by_itself(
    path: Path, servers: list[RollingBackend], text: str, stable: int
) -> None:
    write(path, text)
    for server in servers:
        server.serve(3, 4, stable=stable, canary=stable)
    where = ["--model", MODEL, "--config", path]
    targets = [part for server in servers for part in ("--target", server.target)]
    assert await run("rollback", *where, *targets) == 0
    assert_all(path, servers, {3}, {"stable": 3, "canary": 3})


async def test_a_step_back_that_is_stopped_at_its_last_step_says_how_it_is_finished(
    path: Path, after_a_move: list[RollingBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = after_a_move

    async def hang_at_the_third(method: Method) -> None:
        if method is Method.RELOAD and servers[1].calls[method] == 3:
            await asyncio.Event().wait()

    monkeypatch.setattr(servers[1], "before_answer", hang_at_the_third)
    said: list[str] = []
    async with moving(path, servers, say=said.append) as mover:
        rolling = asyncio.create_task(mover.rollback("stable"))
        await servers[1].wait_calls(Method.RELOAD, 3)
        rolling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rolling
        assert said[-1].startswith("The labels are moved")
        assert said[-1].endswith("Run the same command again.")
        await mover.rollback("stable")
    assert_all(path, servers, {3}, {"stable": 3})


async def test_without_servers_nothing_is_let_go_by_doing_it_again(path: Path) -> None:
    """Nobody knows here whether servers that still name version 4 are replaced."""
    write(path, MOVED)
    async with moving(path, []) as mover:
        await mover.rollback("stable")
        once = text_of(path)
        with pytest.raises(RolloutError, match="no version to take the label 'stable' back to"):
            await mover.rollback("stable")
    assert text_of(path) == once
    assert in_file(path) == ({3, 4}, {"stable": 3})
