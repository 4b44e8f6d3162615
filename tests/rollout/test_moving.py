"""Labels move only to what is loaded everywhere, and a rollout that cannot be done leaves all as it was."""

import asyncio
from pathlib import Path

import grpc
import pytest

from rollout.config_file import ConfigFile, locked, specific_versions
from rollout.errors import RolloutError
from rollout.targets import open_targets
from tests.rollout.rolling_backend import MODEL, RollingBackend
from tests.rollout.rollouts import CONFIG, assert_all, moving, text_of, write
from tests.support.fake_backend import Method


async def test_a_version_from_canary_to_stable_and_back(path: Path, servers: list[RollingBackend]) -> None:
    async with moving(path, servers) as mover:
        await mover.promote("canary", 4)
        assert_all(path, servers, {3, 4}, {"stable": 3, "canary": 4})
        await mover.promote("stable", 4)
        assert_all(path, servers, {3, 4}, {"stable": 4, "canary": 4, "previous": 3})
        # The next one lets the one before the last go.
        await mover.promote("stable", 5)
        assert_all(path, servers, {4, 5}, {"stable": 5, "canary": 4, "previous": 4})
        await mover.rollback("stable")
        assert_all(path, servers, {4}, {"stable": 4, "canary": 4})
        with pytest.raises(RolloutError, match="no version to take the label 'stable' back to"):
            await mover.rollback("stable")
    for comment in ("# Ours.", "# Exact versions."):
        assert comment in text_of(path)


async def test_a_bad_version_goes_from_every_label(path: Path, servers: list[RollingBackend]) -> None:
    async with moving(path, servers) as mover:
        await mover.promote("canary", 4)
        await mover.rollback("canary")
        assert_all(path, servers, {3}, {"stable": 3, "canary": 3})
        await mover.promote("canary", 4)
        await mover.promote("stable", 4)
        await mover.rollback("stable")
    assert_all(path, servers, {3}, {"stable": 3, "canary": 3})


async def test_both_versions_are_loaded_everywhere_while_the_label_moves(
    path: Path, servers: list[RollingBackend]
) -> None:
    async with moving(path, servers) as mover:
        await mover.promote("stable", 4)
    for server in servers:
        steps = []
        for config in server.configs:
            (model,) = config.model_config_list.config
            steps.append((specific_versions(model), model.version_labels["stable"]))
        assert steps[:2] == [({3, 4}, 3), ({3, 4}, 4)]
        assert all({3, 4} <= (versions or set()) for versions, _ in steps)


async def test_doing_it_again_changes_nothing(path: Path, servers: list[RollingBackend]) -> None:
    async with moving(path, servers) as mover:
        await mover.promote("stable", 4)
        once = text_of(path)
        await mover.promote("stable", 4)
    assert text_of(path) == once


async def test_a_version_that_cannot_be_loaded_is_taken_back_at_once(
    path: Path, servers: list[RollingBackend]
) -> None:
    servers[1].broken = {4}
    async with moving(path, servers) as mover:
        with pytest.raises(RolloutError, match=r"cannot load version 4 .*Can't parse"):
            await mover.promote("stable", 4)
    assert text_of(path) == CONFIG
    assert_all(path, servers, {3}, {"stable": 3, "canary": 3})


async def test_a_number_that_failed_before_may_be_tried_once_it_loads(
    path: Path, servers: list[RollingBackend]
) -> None:
    """The old failure is still shown in the first moment."""
    servers[0].broken = {4}
    async with moving(path, servers) as mover:
        with pytest.raises(RolloutError):
            await mover.promote("canary", 4)
        servers[0].broken = set()
        await mover.promote("canary", 4)
    assert_all(path, servers, {3, 4}, {"stable": 3, "canary": 4})


async def test_a_version_that_does_not_come_in_time_is_taken_back(
    path: Path, servers: list[RollingBackend]
) -> None:
    servers[0].slow = {4}
    async with moving(path, servers, seconds=0.5) as mover:
        with pytest.raises(RolloutError, match=r"Not done within 0\.5 s: version 4 on .* is LOADING"):
            await mover.promote("stable", 4)
    assert_all(path, servers, {3}, {"stable": 3, "canary": 3})


async def test_one_server_that_refuses_the_label_brings_all_back(
    path: Path, servers: list[RollingBackend]
) -> None:
    servers[1].refused_labels = {"stable"}
    async with moving(path, servers) as mover:
        with pytest.raises(RolloutError, match="does not take the configuration"):
            await mover.promote("stable", 4)
    assert_all(path, servers, {3}, {"stable": 3, "canary": 3})


async def test_a_server_that_is_away_stops_it_before_anything_changes(
    path: Path, servers: list[RollingBackend]
) -> None:
    servers[1].fail(Method.STATUS, grpc.StatusCode.UNAVAILABLE, "gone")
    async with moving(path, servers) as mover:
        with pytest.raises(RolloutError, match="does not answer"):
            await mover.promote("stable", 4)
    assert text_of(path) == CONFIG
    assert not servers[0].configs


async def test_stopping_it_takes_it_back(path: Path, servers: list[RollingBackend]) -> None:
    servers[0].slow = {4}
    async with moving(path, servers) as mover:
        promoting = asyncio.create_task(mover.promote("stable", 4))
        async with asyncio.timeout(20):
            await servers[0].loading.wait()
        promoting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await promoting
    assert_all(path, servers, {3}, {"stable": 3, "canary": 3})


async def test_a_choice_left_to_the_server_becomes_exact(path: Path, servers: list[RollingBackend]) -> None:
    write(path, 'model_config_list { config { name: "sport_classifier" base_path: "/m" } }\n')
    for server in servers:
        server.labels.clear()
    async with moving(path, servers) as mover:
        with pytest.raises(RolloutError, match="First: promote --label stable"):
            await mover.promote("canary", 4)
        await mover.promote("stable", 3)
        assert_all(path, servers, {3}, {"stable": 3})
        await mover.promote("stable", 4)
    assert_all(path, servers, {3, 4}, {"stable": 4, "previous": 3})


async def test_a_file_that_somebody_else_changes_is_left_alone(
    path: Path, servers: list[RollingBackend]
) -> None:
    def meddle(text: str) -> None:
        if text.startswith("Serving"):
            write(path, CONFIG + "# Mine.\n")

    async with moving(path, servers, say=meddle) as mover:
        with pytest.raises(RolloutError, match="Somebody else has changed"):
            await mover.promote("stable", 4)
    assert text_of(path) == CONFIG + "# Mine.\n"


def test_two_rollouts_at_once_are_one_too_many(path: Path) -> None:
    with locked(path), pytest.raises(RolloutError, match="Another rollout is under way"), locked(path):
        pass
    with locked(path):
        pass


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_config_list {", "is no ModelServerConfig"),
        ("", "holds no model_config_list"),
        ('model_config_list { config { name: "x" } }', "names no model 'sport_classifier'; its models: x"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(path: Path, text: str, words: str) -> None:
    write(path, text)
    with pytest.raises(RolloutError, match=words):
        ConfigFile(path).model(MODEL)


@pytest.mark.parametrize(
    "name", ["nothing", ":8500", "host:", "host:eighty", "nowhere.invalid:8500", "a..b:8500"]
)
async def test_what_is_no_address_is_refused(name: str) -> None:
    with pytest.raises(RolloutError, match=r"is no model server's address|has no address"):
        async with open_targets([name]):
            pass


async def test_a_name_stands_for_all_its_addresses_once() -> None:
    async with open_targets(["localhost:8500", "dns:///127.0.0.1:8500", "[::1]:1"]) as targets:
        assert [target.address for target in targets] == ["127.0.0.1:8500", "[::1]:1"]
