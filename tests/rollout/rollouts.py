"""What tests of rollouts share: a configuration, a mover of its labels, and what became of both."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rollout.arguments import parser
from rollout.cli import perform
from rollout.config_file import ConfigFile, locked, specific_versions
from rollout.moving import Mover
from rollout.targets import open_targets
from tests.rollout.rolling_backend import MODEL, RollingBackend

CONFIG = """# Ours.
model_config_list {
  config {
    name: "sport_classifier"
    base_path: "/models/sport_classifier"
    model_platform: "tensorflow"
    # Exact versions.
    model_version_policy { specific { versions: 3 } }
    version_labels { key: "stable" value: 3 }
    version_labels { key: "canary" value: 3 }
  }
}
"""


Say = Callable[[str], None]


@asynccontextmanager
async def moving(
    path: Path, servers: list[RollingBackend], *, seconds: float = 20.0, say: Say = lambda _: None
) -> AsyncIterator[Mover]:
    with locked(path):
        async with open_targets([server.target for server in servers]) as targets:
            yield Mover(ConfigFile(path), targets, MODEL, seconds=seconds, say=say)


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def in_file(path: Path) -> tuple[set[int] | None, dict[str, int]]:
    model = ConfigFile(path).model(MODEL)
    return specific_versions(model), dict(model.version_labels)


def assert_all(path: Path, servers: list[RollingBackend], versions: set[int], labels: dict[str, int]) -> None:
    assert in_file(path) == (versions, labels)
    for server in servers:
        assert (server.available, server.labelled()) == (versions, labels)


async def run(*arguments: object) -> int:
    """Runs the command; gives its exit status."""
    return await perform(parser().parse_args([str(one) for one in arguments]))
