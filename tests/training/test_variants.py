import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from training import finetune_command
from training.errors import TrainingError
from training.finetune_settings import FinetuneSettings
from training.search import variants
from training.search.tasks import Figures
from training.search.variants import WHOLE, Variant, as_markdown, run_ablation, summary

Ablate = Callable[..., list[dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Trained:
    """In place of a fine-tuning: its first answers are right as often as it drops features."""

    settings: FinetuneSettings

    def identity(self) -> Mapping[str, Any]:
        return {"settings": self.settings.as_json()}

    def attempt(self, settings: FinetuneSettings, seed: int, _after: Any) -> Figures:
        return Figures(1.0, settings.dropout + seed / 100, 0.9, 1)


@pytest.fixture
def ablate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ablate:
    """Runs `ablate` without any training, in the same folder each time."""
    parser = argparse.ArgumentParser()
    finetune_command.add_options(parser)
    parser.add_argument("--size", default=(32, 32))
    variants.add_options(parser)
    monkeypatch.setattr(
        variants, "_task", lambda options, _: Trained(finetune_command.settings_from(options))
    )

    def parse(words: Sequence[str]) -> argparse.Namespace:
        return parser.parse_args(words, argparse.Namespace(given=list(words)))

    def run(*words: str) -> list[dict[str, Any]]:
        folders = [f"--{name}={tmp_path / name}" for name in ("start", "data", "cache", "run")]
        return run_ablation(parse([*folders, *words]), parse)

    return run


def test_a_variant_has_a_name_and_options() -> None:
    assert Variant.read("no mixing: --mixup 0 --cutmix 0") == Variant(
        "no mixing", ("--mixup", "0", "--cutmix", "0")
    )
    for wrong in ("no mixing", ": --mixup 0", "no mixing:", f"{WHOLE}: --mixup 0"):
        with pytest.raises(argparse.ArgumentTypeError):
            Variant.read(wrong)


def test_variants_are_compared_with_the_whole_of_the_same_seed() -> None:
    def row(name: str, seed: int, top1: float, loss: float) -> dict[str, object]:
        return {
            "name": name,
            "options": [],
            "seed": seed,
            "top1": top1,
            "top3": 0.9,
            "loss": loss,
            "epochs": 2,
        }

    rows = summary(
        [
            row(WHOLE, 0, 0.80, 0.7),
            row("other", 0, 0.78, 0.8),
            row("not asked yet", 1, 0.5, 0.9),
            row(WHOLE, 1, 0.84, 0.6),
            row("other", 1, 0.80, 0.8),
            row("early", 0, 0.90, 0.7),
        ]
    )
    figures = {one["name"]: one for one in rows}
    assert list(figures) == [WHOLE, "other", "not asked yet", "early"]
    assert figures["other"]["top1_gain"] == pytest.approx(-0.03)
    assert figures["other"]["loss_gain"] == pytest.approx(0.15)
    assert figures["early"]["top1_gain"] == pytest.approx(0.1), "only against the seed that it has"
    assert "| other |  | 2 | 79.0% ± 1.41 | -3.0 |" in as_markdown(rows)


def test_unseen_pictures_have_columns_of_their_own() -> None:
    def row(name: str, unseen: float | None) -> dict[str, object]:
        figures = {"top1": 0.8, "top3": 0.9, "loss": 0.7, "epochs": 2}
        return {
            "name": name,
            "options": [],
            "seed": 0,
            **figures,
            "unseen_top1": unseen,
            "unseen_top3": unseen,
        }

    table = as_markdown(summary([row(WHOLE, 0.5), row("other", 0.375)]))
    assert "| 37.5% | -12.5 | 37.5% |" in table.replace(" ± nan", "")
    assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "unseen" not in as_markdown(summary([row(WHOLE, None), row("other", None)]))


def test_a_table_has_the_trainings_of_its_own_call_alone(ablate: Ablate, tmp_path: Path) -> None:
    ablate("--seeds", "2", "--dropout", "0.2", "--variant", "less: --dropout 0.1")
    # The same names for other settings, and a seed less.
    rows = ablate("--seeds", "1", "--dropout", "0.6", "--variant", "less: --dropout 0.5")
    assert [(row["name"], row["seeds"], row["top1"].mean) for row in rows] == [
        (WHOLE, [0], 0.6),
        ("less", [0], 0.5),
    ]
    kept = json.loads((tmp_path / "run" / "ablation.json").read_text())["trainings"]
    assert len(kept) == 6, "what was trained before stays"


def test_a_training_that_is_there_is_not_made_again(ablate: Ablate, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ablate("--variant", "less: --dropout 0.1")

    def fail(*_: Any) -> Figures:
        raise AssertionError

    monkeypatch.setattr(Trained, "attempt", fail)
    assert ablate("--variant", "less: --dropout 0.1") == first


def test_a_variant_that_runs_away_is_told_and_the_others_are_compared(
    ablate: Ablate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = Trained.attempt

    def run_away(self: Trained, settings: FinetuneSettings, seed: int, after: Any) -> Figures:
        if settings.dropout == 0.1:
            raise optuna.TrialPruned("no finite answers")
        return attempt(self, settings, seed, after)

    monkeypatch.setattr(Trained, "attempt", run_away)
    words = ("--seeds", "1", "--variant", "less: --dropout 0.1", "--variant", "more: --dropout 0.5")
    assert [row["name"] for row in ablate(*words)] == [WHOLE, "more"]
    assert "less, seed 0: no finite answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--on-validation", "x: with --on-validation nothing is left"),
        ("--seed 7", "x: --seed is one for all trainings"),
        ("--seeds 7", "x: --seeds is one for all trainings"),
        ("--run elsewhere", "x: --run is one for all trainings"),
    ],
)
def test_what_cannot_be_varied_is_refused_before_any_training(
    ablate: Ablate, tmp_path: Path, option: str, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        ablate("--variant", "less: --dropout 0.1", "--variant", f"x: {option}")
    with pytest.raises(TrainingError, match=f"{WHOLE}: with --on-validation"):
        ablate("--on-validation", "--variant", "less: --dropout 0.1")
    assert not (tmp_path / "run").exists()
