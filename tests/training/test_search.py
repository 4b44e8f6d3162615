import dataclasses
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from tests.training.searching import PLAN, Formula, repeat
from training.errors import TrainingError
from training.search.run import BEST, PAGE, search
from training.search.study import STORAGE, Plan, open_study


class Killed(BaseException):
    pass


def run(task: Formula, folder: Path, plan: Plan = PLAN, **more: Any) -> dict[str, Any]:
    return search(task, folder, plan, repeat, finalists=more.pop("finalists", 0), progress=False, **more)


def trials_of(folder: Path) -> list[optuna.trial.FrozenTrial]:
    with open_study(folder, {**Formula().identity(), "seed": PLAN.seed}, PLAN) as study:
        return study.get_trials()


def test_a_search_begins_with_what_there_is_prunes_and_finds_better(tmp_path: Path) -> None:
    task = Formula()
    found = run(task, tmp_path)
    trials = trials_of(tmp_path)
    assert len(trials) == found["trials"]["finished"] == PLAN.trials
    assert trials[0].params == {"kind": "narrow", "rate": 0.3}
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert 0 < len(pruned) == found["trials"]["pruned"] < PLAN.trials
    assert all(trial.last_step < task.steps for trial in pruned if trial.last_step)
    best = min(trials, key=lambda trial: trial.value or 9)
    assert best.value is not None
    assert trials[0].value is not None
    assert best.value < trials[0].value
    assert found["best"]["trial"] == best.number
    assert found["best"]["validation"]["loss"] == best.value
    assert found["best"]["command"].startswith("again --kind ")
    assert json.loads((tmp_path / BEST).read_text()) == found


def test_a_search_that_was_killed_tries_the_same_as_one_that_was_not(tmp_path: Path) -> None:
    whole, first, second = Formula(), Formula(), Formula()
    run(whole, tmp_path / "whole")

    def die(number: int) -> None:
        if number == 7:
            raise Killed

    first.before = die
    with pytest.raises(Killed):
        run(first, tmp_path / "killed")
    run(second, tmp_path / "killed")
    assert first.tried + second.tried == whole.tried
    states = [trial.state for trial in trials_of(tmp_path / "killed")]
    assert states.count(TrialState.FAIL) == 1
    assert states[7] == TrialState.FAIL
    assert len(states) == PLAN.trials + 1
    bests = [json.loads((tmp_path / name / BEST).read_text())["best"] for name in ("whole", "killed")]
    assert bests[0]["settings"] == bests[1]["settings"]


def test_settings_that_kill_every_time_are_given_up(tmp_path: Path) -> None:
    def die(_number: int) -> None:
        raise Killed

    for _ in range(4):
        with pytest.raises(Killed):
            run(Formula(before=die), tmp_path)
    tried = [trial.params for trial in trials_of(tmp_path)]
    assert tried[:3] == [tried[0]] * 3
    assert tried[3] != tried[0]


def test_a_finished_search_only_writes_its_page_and_more_trials_go_on(tmp_path: Path) -> None:
    run(Formula(), tmp_path)
    (tmp_path / PAGE).unlink()
    again = Formula()
    run(again, tmp_path)
    assert again.tried == []
    assert (tmp_path / PAGE).is_file()
    found = run(again, tmp_path, dataclasses.replace(PLAN, trials=14))
    assert len(again.tried) == 2
    assert found["trials"]["finished"] == 14


def test_the_best_are_tried_with_other_seeds_which_decide(tmp_path: Path) -> None:
    task = Formula()
    found = run(task, tmp_path, finalists=2, seeds=3)
    assert [seed for _, seed in task.tried[PLAN.trials :]] == [4, 5, 6] * 2
    first = found["finalists"][0]
    assert first["seeds"] == [4, 5, 6]
    assert first["loss"]["mean"] == pytest.approx(first["trial_loss"] + 0.02)
    assert first["loss"]["deviation"] == pytest.approx(0.01)
    assert first["top1"]["spelt"] == "90.0% ± 0.00"
    assert found["best"]["trial"] == first["trial"]
    again = Formula()
    assert run(again, tmp_path, finalists=2, seeds=3)["finalists"] == found["finalists"]
    assert again.tried == []


def test_settings_that_run_away_with_another_seed_are_no_finalists(tmp_path: Path) -> None:
    best = run(Formula(), tmp_path)["best"]["settings"]

    class RunsAway(Formula):
        def attempt(self, settings: Any, seed: int, after: Any) -> Any:
            if seed == 5 and self.as_json(settings) == best:
                raise optuna.TrialPruned
            return super().attempt(settings, seed, after)

    found = run(RunsAway(), tmp_path, finalists=2, seeds=3)
    assert len(found["finalists"]) == 1
    assert found["best"]["settings"] != best


@pytest.mark.parametrize("pruner", ["hyperband", "none"])
def test_other_pruners(tmp_path: Path, pruner: str) -> None:
    found = run(Formula(), tmp_path, dataclasses.replace(PLAN, pruner=pruner))
    assert found["trials"]["finished"] == PLAN.trials
    assert (found["trials"]["pruned"] > 0) == (pruner == "hyperband")


def test_no_trial_starts_when_the_time_is_over(tmp_path: Path) -> None:
    task = Formula()
    found = run(task, tmp_path, dataclasses.replace(PLAN, timeout=-1.0))
    assert task.tried == []
    assert found["best"] is None
    assert "No trial has come to its end yet" in (tmp_path / PAGE).read_text()


@pytest.mark.parametrize("row", [{"validation_loss": float("inf")}, {"ran_away": True}])
def test_a_trial_whose_loss_is_no_number_is_pruned(tmp_path: Path, row: dict[str, Any]) -> None:
    class RunsAway(Formula):
        def attempt(self, settings: Any, seed: int, after: Any) -> Any:
            if len(self.tried) % 2:
                self.tried.append((settings, seed))
                after({"epoch": 1, **row})
            return super().attempt(settings, seed, after)

    found = run(RunsAway(), tmp_path, dataclasses.replace(PLAN, trials=4, pruner="none"))
    assert found["trials"]["pruned"] == 2


def test_a_folder_of_another_search_is_refused(tmp_path: Path) -> None:
    run(Formula(), tmp_path, dataclasses.replace(PLAN, trials=1))
    with pytest.raises(TrainingError, match=r"of another search \(different: version\)"):
        run(Formula(version=2), tmp_path)


def test_a_folder_is_searched_by_one_process_at_a_time(tmp_path: Path) -> None:
    with open_study(tmp_path, {}, PLAN), pytest.raises(TrainingError, match="Another search is at work"):
        run(Formula(), tmp_path)


def test_a_damaged_storage_is_named(tmp_path: Path) -> None:
    (tmp_path / STORAGE).write_bytes(b"no database at all" * 100)
    with pytest.raises(TrainingError, match=rf"{STORAGE} is no storage of a search"):
        run(Formula(), tmp_path)


def test_the_page_has_a_dot_for_each_trial_and_loads_nothing(tmp_path: Path) -> None:
    found = run(Formula(), tmp_path, finalists=1, seeds=2)
    page = (tmp_path / PAGE).read_text()
    assert page.startswith("<!doctype html>")
    for word in ("http:", "https:", "<script", "src="):
        assert word not in page
    for title in (
        "Loss by trial",
        "Loss by rate",
        "Loss by kind",
        "Loss by width",
        "Importance of each parameter",
    ):
        assert f'aria-label="{title}"' in page
    having = sum("width" in trial.params for trial in trials_of(tmp_path))
    dots = 3 * PLAN.trials + having
    assert page.count("<circle") == dots
    assert found["best"]["command"] in page
    assert page.count(f"{found['best']['trial']} (chosen)") == 1
    assert set(found["importance"]) == {"kind", "rate", "width"}
    assert next(iter(found["importance"])) == "rate"
