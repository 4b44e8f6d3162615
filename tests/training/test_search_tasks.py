"""What becomes of a fine-tuning that a search ends, or that a kill ends; no network is trained here."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from training.classifier import HeadWeights
from training.errors import TrainingError
from training.finetune_settings import FinetuneSettings
from training.head import RanAwayError
from training.runs import FinishedRun
from training.search import tasks
from training.search.tasks import FinetuneSource, FinetuneTask
from training.settings import TrainSettings


@pytest.fixture
def record() -> dict[str, Any]:
    return {"trained_on": {"validation_included": False}, "data": {"fingerprint": "pictures"}}


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any]) -> FinetuneTask:
    """A task whose run is not read, and whose fine-tuning makes two passes of a loss of 2 and 1."""
    layers = [SimpleNamespace(name=f"block_{n}") for n in range(8)]
    run = FinishedRun(record, TrainSettings(), SimpleNamespace(layers=layers), HeadWeights(()))
    monkeypatch.setattr(tasks, "read_run", lambda *_, **__: run)

    def finetune(*paths: Any, after_pass: Any, **_: Any) -> dict[str, Any]:
        folder, settings = paths[3:]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint.npz").touch()
        rows = [{"epoch": n, "validation_loss": 3.0 - n} for n in (1, 2)]
        for row in rows:
            after_pass(row)
        after = rows[-1] | {"validation_top1": 0.5, "validation_top3": 0.75}
        assert settings.seed == 4
        return {"finetuning": [{"after": after, "best_epoch": 2}]}

    monkeypatch.setattr(tasks, "finetune", finetune)
    source = FinetuneSource(tmp_path / "start", tmp_path, tmp_path)
    return FinetuneTask(source, FinetuneSettings(epochs=2), tmp_path / "trials")


def test_an_attempt_gives_the_figures_of_the_kept_pass_and_leaves_nothing(
    task: FinetuneTask, tmp_path: Path
) -> None:
    told: list[float] = []
    found = task.attempt(FinetuneSettings(), 4, lambda row: told.append(row["validation_loss"]))
    assert (found.loss, found.top1, found.top3, found.epochs) == (1.0, 0.5, 0.75, 2)
    assert told == [2.0, 1.0]
    assert list((tmp_path / "trials").iterdir()) == []


def test_an_attempt_that_is_pruned_leaves_nothing(task: FinetuneTask, tmp_path: Path) -> None:
    def prune(_row: dict[str, Any]) -> None:
        raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        task.attempt(FinetuneSettings(), 4, prune)
    assert list((tmp_path / "trials").iterdir()) == []


def test_an_attempt_that_runs_away_counts_as_pruned_and_leaves_nothing(
    task: FinetuneTask, tmp_path: Path
) -> None:
    def run_away(_row: dict[str, Any]) -> None:
        raise RanAwayError("no finite answers")

    with pytest.raises(optuna.TrialPruned, match="no finite answers"):
        task.attempt(FinetuneSettings(), 4, run_away)
    assert list((tmp_path / "trials").iterdir()) == []


def test_an_attempt_that_is_killed_leaves_what_the_next_one_goes_on_from(
    task: FinetuneTask, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def die(_row: dict[str, Any]) -> None:
        raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            task.attempt(FinetuneSettings(), 4, die)
    (left,) = (tmp_path / "trials").iterdir()
    assert (left / "checkpoint.npz").is_file()


def test_a_run_that_has_seen_the_validation_part_cannot_be_searched_from(
    task: FinetuneTask, tmp_path: Path, record: dict[str, Any]
) -> None:
    record["trained_on"]["validation_included"] = True
    with pytest.raises(TrainingError, match="nothing is left to choose by"):
        FinetuneTask(FinetuneSource(tmp_path, tmp_path, tmp_path), FinetuneSettings(), tmp_path)
