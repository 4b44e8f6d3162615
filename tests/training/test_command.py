import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.pictures import write_class_folders
from training import shipping
from training.backbones import BackboneSettings, build_backbone
from training.command import main, size_of
from training.errors import ExportError
from training.head import HeadSettings
from training.served import ExportedModel
from training.settings import TrainSettings

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


@pytest.mark.parametrize(("text", "size"), [("224", (224, 224)), ("96x64", (96, 64))])
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["large", "0", "96x-1", "1x2x3"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=text):
        size_of(text)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("train", "--epochs"),
        ("finetune", "--epochs"),
        ("finetune", "--patience"),
        ("finetune", "--batch"),
    ],
)
def test_there_is_at_least_one_pass_and_one_picture_in_a_step(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, option, "0"])
    assert f"argument {option}: '0' is no whole number from 1 on" in capsys.readouterr().err


def test_without_a_validation_part_no_head_can_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["train", *(f"--{name}={tmp_path / 'none'}" for name in ("data", "cache", "run"))]
    assert main([*given, "--validation", "0"]) == 1
    assert "No picture is in the validation part" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*given, "--test", "1"])
    assert "'1' is no share" in capsys.readouterr().err


def test_train_publishes_a_version_and_a_second_run_gives_the_same_from_the_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_class_folders(tmp_path / "data", each=8)
    weights = tmp_path / "random.weights.h5"
    build_backbone(BackboneSettings("MobileNet", "none", 32, 32)).save_weights(weights)
    options: dict[str, object] = {
        "--data": tmp_path / "data",
        "--cache": tmp_path / "cache",
        "--models": tmp_path / "models",
        "--backbone": "MobileNet",
        "--backbone-weights": weights,
        "--size": 32,
        "--crops": 0,
        "--alike-cosine": 1.1,
        "--epochs": 2,
        "--run": tmp_path / "first",
    }

    def arguments() -> list[str]:
        pairs = [str(part) for pair in options.items() for part in pair]
        return ["train", *pairs, "--hidden", "0", "8", "--weight-decay", "0.1"]

    assert main(arguments()) == 0
    assert "published" in capsys.readouterr().out
    assert ExportedModel(tmp_path / "models" / "sport_classifier" / "1").height == 32
    settings = TrainSettings.from_json(json.loads((tmp_path / "first" / "run.json").read_text())["settings"])
    assert [(head.hidden, head.weight_decay) for head in settings.heads] == [(0, 0.1), (8, 0.1)]
    assert settings.heads[0].mixup == HeadSettings().mixup

    def decode(*_: object, **__: object) -> None:
        raise AssertionError("the cache was not used")

    monkeypatch.setattr("training.hashing.decode_picture", decode)
    monkeypatch.setattr("training.features.decode_picture", decode)
    options["--run"] = tmp_path / "second"
    del options["--models"]
    assert main(arguments()) == 0
    for name in ("head.npz", "split.csv"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()
    assert [child.name for child in (tmp_path / "models" / "sport_classifier").iterdir()] == ["1"]


def test_what_a_person_can_mend_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--data", str(tmp_path / "none"), "--cache", str(tmp_path), "--run", str(tmp_path)]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("task", "more", "name"),
    [
        ("sport", [], "sport_classifier"),
        ("product", [], "product_classifier"),
        ("product", ["--name", "shoes"], "shoes"),
    ],
)
def test_a_model_goes_by_its_task_unless_it_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: str,
    more: list[str],
    name: str,
) -> None:
    def published(_run: Path, _root: Path, directory: Path, **_: Any) -> Path:
        raise ExportError(f"into {directory}")

    monkeypatch.setattr(shipping, "export_run", published)
    given = ["export", *(f"--{folder}={tmp_path / folder}" for folder in ("run", "data", "models"))]
    assert main([*given, "--task", task, *more]) == 1
    assert capsys.readouterr().err.endswith(f"error: into {tmp_path / 'models' / name}\n")


def test_products_are_not_published_by_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [f"--{folder}={tmp_path / folder}" for folder in ("data", "cache", "run", "models")]
    assert main(["train", *folders, "--task", "product"]) == 1
    assert "Train without --models, then `python -m training finetune --targets" in capsys.readouterr().err
