from pathlib import Path
from typing import Any

import pytest

from training.tensorboard import ScalarLog, read_scalars


def row(epoch: int, **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, "loss": 1 / (epoch + 1), **more}


def test_the_figures_of_each_step_can_be_read_back(tmp_path: Path) -> None:
    with ScalarLog(tmp_path / "log", pictures=300) as log:
        log.add({"epoch": 0, "validation_loss": 2.5})
        log.add(row(1, validation_loss=1.5, validation_top1=0.5, validation_top3=0.75, temperature=0.9))
        log.add(row(2, seconds=2.0, learning_rate=0.125, note="text", heads={"sport": {"top1": 0.25}}))
        curves = read_scalars(tmp_path / "log")
    assert curves == {
        "loss/training": [(1, 0.5), (2, pytest.approx(1 / 3))],
        "loss/validation": [(0, 2.5), (1, 1.5)],
        "validation/top1": [(1, 0.5)],
        "validation/top3": [(1, 0.75)],
        "validation/temperature": [(1, pytest.approx(0.9))],
        "speed/seconds": [(2, 2.0)],
        "speed/pictures_per_second": [(2, 150.0)],
        "speed/learning_rate": [(2, 0.125)],
        "heads/sport/top1": [(2, 0.25)],
    }


def test_a_speed_that_is_told_is_not_worked_out(tmp_path: Path) -> None:
    with ScalarLog(tmp_path, pictures=300) as log:
        log.add(row(1, seconds=2.0, pictures_per_second=80.0))
    assert read_scalars(tmp_path)["speed/pictures_per_second"] == [(1, 80.0)]


def test_a_training_that_goes_on_goes_on_in_the_same_curve(tmp_path: Path) -> None:
    first = ScalarLog(tmp_path)
    for epoch in (1, 2, 3):
        first.add(row(epoch))  # killed before pass 3 was saved: never closed
    (file,) = tmp_path.glob("events.out.tfevents.*")
    with file.open("ab") as damaged:
        damaged.write(b"\x20\x00\x00 half a record")
    with ScalarLog(tmp_path) as again:
        again.add(row(3, validation_loss=7.0))
        again.add(row(4))
    curves = read_scalars(tmp_path)
    assert [step for step, _ in curves["loss/training"]] == [1, 2, 3, 4]
    assert curves["loss/validation"] == [(3, 7.0)]
    first.close()


def test_a_training_that_starts_anew_has_a_new_curve(tmp_path: Path) -> None:
    for loss in (5.0, 6.0):
        with ScalarLog(tmp_path) as log:
            log.add({"epoch": 0, "loss": loss})
            log.add({"epoch": 1, "loss": loss})
    assert read_scalars(tmp_path) == {"loss/training": [(0, 6.0), (1, 6.0)]}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_log_that_is_told_nothing_leaves_no_file(tmp_path: Path) -> None:
    with ScalarLog(tmp_path / "log"):
        pass
    assert not (tmp_path / "log").exists()
    assert read_scalars(tmp_path / "log") == {}
