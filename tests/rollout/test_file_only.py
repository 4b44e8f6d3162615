"""Without servers to tell, one step at a time is written, each of them safe beside the one before."""

from pathlib import Path

import pytest

from rollout.errors import RolloutError
from tests.rollout.rollouts import CONFIG, in_file, moving, text_of


async def test_without_servers_one_step_is_written_at_a_time(path: Path) -> None:
    async with moving(path, []) as mover:
        with pytest.raises(RolloutError, match="First: promote --label canary"):
            await mover.promote("stable", 4)
        assert text_of(path) == CONFIG
        await mover.promote("canary", 4)
        assert in_file(path) == ({3, 4}, {"stable": 3, "canary": 4})
        await mover.promote("stable", 4)
        assert in_file(path) == ({3, 4}, {"stable": 4, "canary": 4, "previous": 3})
        await mover.rollback("stable")
        # Servers that are not replaced yet go on to name version 4 as the stable one.
        assert in_file(path) == ({3, 4}, {"stable": 3, "canary": 3})
        await mover.promote("stable", 3)
        assert in_file(path) == ({3}, {"stable": 3, "canary": 3})


async def test_each_written_step_is_safe_beside_the_one_before(path: Path) -> None:
    """A gateway takes the stable version from one server and sends the picture to another."""
    steps: list[tuple[str, str, int]] = [
        ("promote", "canary", 4),
        ("rollback", "canary", 0),
        ("promote", "canary", 4),
        ("promote", "stable", 4),
        ("rollback", "stable", 0),
        ("promote", "canary", 5),
        ("promote", "stable", 5),
        ("promote", "canary", 6),
        ("promote", "stable", 6),
        ("promote", "stable", 5),
        ("rollback", "stable", 0),
        ("rollback", "canary", 0),
        ("promote", "stable", 6),
        ("promote", "stable", 6),
    ]
    async with moving(path, []) as mover:
        for command, label, version in steps:
            before, old = in_file(path)
            await (mover.promote(label, version) if command == "promote" else mover.rollback(label))
            after, new = in_file(path)
            assert before is not None
            assert after is not None
            assert {old["stable"], new["stable"]} <= before & after, (command, label, version)
            assert set(new.values()) <= after, (command, label, version)
            if label == "canary":
                # The same holds for those who ask for the trial.
                assert {old["canary"], new["canary"]} <= after, (command, label, version)


async def test_versions_whose_trial_is_over_are_let_go_a_step_later(path: Path) -> None:
    said: list[str] = []
    async with moving(path, [], say=said.append) as mover:
        await mover.promote("canary", 4)
        assert "stays" not in said[-1]
        await mover.promote("canary", 5)
        assert in_file(path) == ({3, 4, 5}, {"stable": 3, "canary": 5})
        assert said[-1] == (
            "Version 4 stays, for servers that still name it; once all are replaced, promote --label canary "
            "--version 5 lets it go."
        )
        await mover.rollback("canary")
        assert in_file(path) == ({3, 5}, {"stable": 3, "canary": 3})
        assert "Version 5 stays" in said[-1]
        await mover.promote("canary", 6)
        assert in_file(path) == ({3, 6}, {"stable": 3, "canary": 6})
        await mover.rollback("canary")
        assert "Version 6 stays" in said[-1]
        assert said[-1].endswith("promote --label canary --version 3 lets it go.")
        await mover.promote("canary", 3)
        assert "stays" not in said[-1]
    assert text_of(path) == CONFIG
