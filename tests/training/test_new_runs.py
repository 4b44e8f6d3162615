"""The folder of a new run: nothing of an older one in it counts, and it is none of those that it starts from."""

from pathlib import Path

import pytest

from training.blend import blend
from training.errors import TrainingError
from training.finetune import finetune
from training.finetune_settings import FinetuneSettings
from training.refit import refit
from training.runs import begin_run


def test_a_run_that_begins_where_another_ended_leaves_none_of_its_weights(tmp_path: Path) -> None:
    for name in ("head.npz", "backbone.npz", "checkpoint.npz"):
        (tmp_path / name).touch()
    begin_run(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.npz"]
    begin_run(tmp_path / "new" / "run")
    assert list((tmp_path / "new" / "run").iterdir()) == []


def test_a_share_is_taken_of_a_blend_alone(tmp_path: Path) -> None:
    def like(run: str) -> None:
        blend(tmp_path / "head", tmp_path / "tuned", tmp_path / "blend", like=tmp_path / run)

    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "run.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"tuned is no blend, so it has no share and temperature to take"):
        like("tuned")
    with pytest.raises(
        TrainingError, match=r"nowhere is no complete run: .*Give --like the folder of a blend"
    ):
        like("nowhere")


def test_a_run_does_not_take_the_place_of_what_it_starts_from(tmp_path: Path) -> None:
    start, again = tmp_path / "start", tmp_path / "x" / ".." / "start"
    for name in ("start", "x"):
        (tmp_path / name).mkdir()
    message = "is the run to start from"
    with pytest.raises(TrainingError, match=message):
        finetune(start, tmp_path, tmp_path, again, FinetuneSettings())
    with pytest.raises(TrainingError, match=message):
        refit(start, tmp_path, tmp_path, again, ["is_sport"])
    with pytest.raises(TrainingError, match=message):
        blend(start, tmp_path / "tuned", again, like=tmp_path / "blend")
    with pytest.raises(TrainingError, match=message):
        blend(tmp_path / "head", start, again, like=tmp_path / "blend")
