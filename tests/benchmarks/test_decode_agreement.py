"""Which pictures are compared, and that a comparison of none is no agreement. The model is none of TensorFlow's."""

import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.decode_agreement import chosen, main
from tests.support.pictures import encoded, quadrants


class Model:
    """Answers the same whatever it sees."""

    height = width = 32

    def __init__(self, folder: Path) -> None:
        pass

    def answer(self, images: Any) -> dict[str, Any]:
        return {"class_ids": np.array([[b"1"]]), "probabilities": np.array([[0.5]])}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "training.served", SimpleNamespace(ExportedModel=Model))


@pytest.mark.parametrize(
    ("files", "count", "least_last"), [(19, 10, 17), (10, 10, 9), (3, 10, 2), (20, 3, 13)]
)
def test_pictures_are_taken_evenly_from_the_whole_folder(
    tmp_path: Path, files: int, count: int, least_last: int
) -> None:
    for number in range(files):
        (tmp_path / f"{number:02}.jpg").touch()
    taken = [int(path.stem) for path in chosen(tmp_path, count)]
    assert len(taken) == len(set(taken)) == min(files, count)
    assert taken == sorted(taken)
    assert taken[-1] >= least_last
    gaps = {later - earlier for earlier, later in pairwise(taken)}
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.usefixtures("model")
def test_pictures_that_are_decoded_alike_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(quadrants(64, 64)))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert main([str(tmp_path), "--model", "any", "--enlarge", "1"]) == 0
    told = capsys.readouterr().out
    assert "| as they are | 3 | 100.00% |" in told
    assert "| JPEG, enlarged 1× | 3 | 100.00% |" in told


@pytest.mark.usefixtures("model")
def test_where_no_picture_can_be_decoded_that_is_said(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"no picture")
    with pytest.raises(SystemExit, match="none of the 3 pictures") as ended:
        main([str(tmp_path), "--model", "any"])
    assert str(tmp_path) in str(ended.value)
