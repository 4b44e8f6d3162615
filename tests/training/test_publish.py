from pathlib import Path

import pytest

from training.errors import ExportError
from training.publish import next_version, publish


def write(draft: Path) -> None:
    (draft / "model").write_text("whole")


def test_the_next_free_number(tmp_path: Path) -> None:
    assert next_version(tmp_path / "none") == 1
    for name in ("3", "10", "notes", ".draft-7"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == 11
    assert publish(write, tmp_path).name == "11"


def test_a_version_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fail(draft: Path) -> None:
        write(draft)
        assert not draft.name.isdecimal()
        raise ExportError("no")

    with pytest.raises(ExportError):
        publish(fail, tmp_path / "m", 4)
    assert list((tmp_path / "m").iterdir()) == []
    assert (publish(write, tmp_path / "m", 4) / "model").read_text() == "whole"


@pytest.mark.parametrize("version", [2, 0, -1])
def test_a_number_taken_or_impossible_is_refused(tmp_path: Path, version: int) -> None:
    publish(write, tmp_path, 2)
    with pytest.raises(ExportError, match=str(version)):
        publish(write, tmp_path, version)


def test_a_number_taken_meanwhile_is_passed_over(tmp_path: Path) -> None:
    def write_while_another_publishes(draft: Path) -> None:
        write(draft)
        publish(write, tmp_path)

    assert publish(write_while_another_publishes, tmp_path).name == "2"
    assert sorted(child.name for child in tmp_path.iterdir()) == ["1", "2"]
