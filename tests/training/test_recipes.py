"""A recipe must stay one that the commands take."""

import shlex
import tomllib
from pathlib import Path

import pytest

from training.command import _parser

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_commands_are_ones_that_training_takes(path: Path) -> None:
    recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    assert recipe["step"]
    made: set[str] = set()
    for step in recipe["step"]:
        words = shlex.split(step["command"])
        assert words[:3] == ["python", "-m", "training"]
        options = vars(_parser().parse_args(words[3:]))
        if options.get("start") is not None:
            assert str(options["start"]) in made, "a step starts from a run that no step before it made"
        made.add(str(options.get("run")))
    assert recipe["expected"].keys() >= {"main_set", "all", "seconds", "memory_gb", "machine"}
