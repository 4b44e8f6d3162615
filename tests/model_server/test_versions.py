from pathlib import Path

import pytest

from model_server.versions import VersionPolicy, find_versions


def test_numbered_children_are_versions(tmp_path: Path) -> None:
    for name in ("1", "20", "003", "v4", "5-staged", "-6", "x", "9223372036854775808", "٣"):
        (tmp_path / name).mkdir()
    assert find_versions(tmp_path) == {1: tmp_path / "1", 3: tmp_path / "003", 20: tmp_path / "20"}


def test_a_missing_base_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_versions(tmp_path / "missing")


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (VersionPolicy(), {10}),
        (VersionPolicy(latest=2), {9, 10}),
        (VersionPolicy(latest=9), {1, 9, 10}),
        (VersionPolicy(all=True), {1, 9, 10}),
        (VersionPolicy(specific=frozenset({1, 5})), {1}),
        (VersionPolicy(specific=frozenset()), set()),
    ],
)
def test_policies(policy: VersionPolicy, chosen: set[int]) -> None:
    assert policy.choose([10, 1, 9]) == chosen
    assert policy.choose([]) == set()
