"""The commands `search`, `ablate` and `seeds`, on small pictures."""

import json
import shlex
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.training.pictures import write_class_folders
from training.backbones import BackboneSettings, build_backbone
from training.command import _parser, main
from training.finetune_command import settings_from
from training.search.run import BEST, PAGE
from training.search.variants import RESULTS, TABLE, WHOLE
from training.tensorboard import read_scalars

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, and a backbone's weights."""
    place = tmp_path_factory.mktemp("searching")
    write_class_folders(place / "data")
    keras.utils.set_random_seed(1)
    build_backbone(BackboneSettings("MobileNet", "none", 32, 32)).save_weights(place / "random.weights.h5")
    return place


def words(*values: object) -> list[str]:
    return [str(value) for value in values]


def options_of(place: Path, run: str) -> list[str]:
    data = words("--data", place / "data", "--cache", place / "cache", "--run", place / run)
    backbone = words("--backbone", "MobileNet", "--backbone-weights", place / "random.weights.h5")
    split = words("--size", 32, "--validation", 0.25, "--test", 0.2, "--alike-cosine", 1.1)
    return [*data, *backbone, *split, "--crops", "1", "--epochs", "3", "--final-on-train-only"]


def found_by(place: Path, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / run / BEST).read_text())
    return found


def test_the_best_head_is_repeated_by_the_command_that_the_search_gives(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options_of(place, "heads")
    drawing = words("--trials", 4, "--finalists", 1, "--seeds", 2, "--keep", "layers", "hidden")
    assert main(["search", "train", *given, "--hidden", "8", *drawing]) == 0
    found = found_by(place, "heads")
    printed = capsys.readouterr().out
    assert found["best"]["command"] in printed
    assert found["trials"]["finished"] == 4
    assert found["best"]["settings"]["head"]["hidden"] == 8
    assert (place / "heads" / PAGE).is_file()
    assert len(found["finalists"][0]["seeds"]) == 2

    command = shlex.split(found["best"]["command"])
    assert command[:4] == ["python", "-m", "training", "train"]
    assert not {"--trials", "--keep", "--seeds"} & set(command)
    assert main(command[3:]) == 0
    record = json.loads((place / "heads" / "best" / "run.json").read_text())
    assert record["chosen"]["settings"] == found["best"]["settings"]["head"]
    assert record["chosen"]["loss"] == pytest.approx(found["best"]["validation"]["loss"], rel=1e-4)
    assert record["chosen"]["epochs"] == found["best"]["validation"]["epochs"]

    curves = read_scalars(place / "heads" / "best" / "tensorboard" / "head-0")
    assert min(value for _, value in curves["loss/validation"]) == pytest.approx(record["chosen"]["loss"])
    final = read_scalars(place / "heads" / "best" / "tensorboard" / "head")
    assert [step for step, _ in final["loss/training"]] == list(range(1, record["chosen"]["epochs"] + 1))


def test_seeds_gives_the_mean_and_the_spread_of_each_head(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["seeds", *options_of(place, "seeds"), "--hidden", "0", "--seeds", "2", "--seed", "5"]) == 0
    assert "2 seeds: top-1 " in capsys.readouterr().out
    (row,) = json.loads((place / "seeds" / "seeds.json").read_text())["heads"]
    assert row["seeds"] == [5, 6]
    assert row["top1"]["mean"] == pytest.approx(sum(one["top1"] for one in row["candidates"]) / 2)
    assert row["loss"]["deviation"] > 0


def test_settings_of_fine_tuning_are_searched_from_a_run(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *options_of(place, "start"), "--hidden", "0"]) == 0
    data = words("--start", place / "start", "--data", place / "data", "--cache", place / "cache")
    fixed = words("--size", 32, "--epochs", 2, "--batch", 8, "--unfreeze", "conv_pw_13", "--room", 1)
    weights = words("--backbone-weights", place / "random.weights.h5")
    given = [*data, *fixed, *weights, "--run", str(place / "tuning")]
    drawing = words("--trials", 2, "--pruner", "none", "--keep", "unfreeze")
    assert main(["search", "finetune", *given, *drawing]) == 0
    found = found_by(place, "tuning")
    assert found["trials"] == {"finished": 2, "pruned": 0, "failed": 0}
    assert found["best"]["settings"]["unfreeze"] == "conv_pw_13"
    assert list((place / "tuning" / "trials").iterdir()) == [], "what trials wrote is not kept"

    command = shlex.split(found["best"]["command"])
    assert command[3] == "finetune"
    options = _parser().parse_args(command[3:])
    assert settings_from(options).as_json() == found["best"]["settings"]
    assert options.run == place / "tuning" / "best"
    assert str(options.backbone_weights) == str(place / "random.weights.h5")

    assert main(["search", "finetune", *given, *drawing, "--on-validation"]) == 1
    assert "nothing is left to choose by" in capsys.readouterr().err
    changed = [*given, *drawing, "--averaging", "0.5"]
    assert main(["search", "finetune", *changed]) == 1
    assert "of another search (different: settings)" in capsys.readouterr().err


def test_an_ablation_trains_each_variant_once_and_goes_on(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *options_of(place, "whole"), "--hidden", "0"]) == 0
    given = [
        "ablate",
        *words("--start", place / "whole", "--data", place / "data", "--cache", place / "cache"),
        *words("--size", 32, "--epochs", 1, "--batch", 8, "--unfreeze", "conv_pw_13", "--room", 1),
        *words("--backbone-weights", place / "random.weights.h5", "--run", place / "ablated"),
        *words("--variant", "no mixing: --mixup 0 --cutmix 0", "--seeds", 1),
        *words("--unseen", place / "whole" / "split.csv"),
    ]
    assert main(given) == 0
    first = json.loads((place / "ablated" / RESULTS).read_text())["trainings"]
    assert [(row["name"], row["seed"]) for row in first] == [(WHOLE, 0), ("no mixing", 0)]
    assert first[0]["identity"]["settings"]["mixing"]["mixup"] > 0
    assert first[1]["identity"]["settings"]["mixing"]["mixup"] == 0
    assert all(0 <= row["unseen_top1"] <= row["unseen_top3"] <= 1 for row in first)

    assert main([*given, "--variant", "no dropout: --dropout 0"]) == 0
    after = json.loads((place / "ablated" / RESULTS).read_text())["trainings"]
    assert after[:2] == first, "what was there is not trained again"
    assert [row["name"] for row in after[2:]] == ["no dropout"]
    assert "| no dropout | `--dropout 0` | 1 |" in (place / "ablated" / TABLE).read_text()

    capsys.readouterr()
    assert main([*given, "--on-validation"]) == 1
    assert "nothing is left to compare by" in capsys.readouterr().err
    assert main([*given, "--variant", "no mixing: --mixup 0"]) == 1
    assert "same name" in capsys.readouterr().err
    wrong = words("--run", place / "none", "--variant", "less: --unfreeze no_such_layer")
    assert main([*given, *wrong]) == 1
    assert "no layer 'no_such_layer' to unfreeze from" in capsys.readouterr().err
    assert not (place / "none").exists(), "told before anything is trained"
