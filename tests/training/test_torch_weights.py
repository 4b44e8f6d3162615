import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.torch_file import MAGIC, Stored, torch_bytes
from training.errors import WeightsError
from training.torch_weights import read_torch_weights

KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def written(path: Path, tensors: Mapping[str, Stored], **more: Any) -> Path:
    path.write_bytes(torch_bytes(tensors, **more))
    return path


def test_tensors_come_back_by_name_shape_and_kind(tmp_path: Path) -> None:
    steps = np.array(7, np.int64)
    read = read_torch_weights(
        written(tmp_path / "w.pth", {"kernel": Stored.of(KERNEL), "steps": Stored.of(steps)})
    )
    assert list(read) == ["kernel", "steps"]
    np.testing.assert_array_equal(read["kernel"], KERNEL)
    assert read["kernel"].dtype == np.float32
    assert read["steps"].shape == ()
    assert read["steps"].dtype == np.int64
    assert int(read["steps"]) == 7


def test_views_of_one_storage_in_any_order_of_axes(tmp_path: Path) -> None:
    flat = KERNEL.ravel()
    transposed = Stored(flat, 0, (4, 3, 2), (1, 4, 12))
    column = Stored(flat, 1, (6,), (4,))
    empty = Stored(flat, 0, (0, 4), (4, 1))
    read = read_torch_weights(
        written(tmp_path / "w.pth", {"transposed": transposed, "column": column, "empty": empty})
    )
    np.testing.assert_array_equal(read["transposed"], KERNEL.transpose(2, 1, 0))
    assert read["transposed"].flags.c_contiguous
    np.testing.assert_array_equal(read["column"], flat[1::4])
    assert read["empty"].shape == (0, 4)


@pytest.mark.parametrize(
    "stored",
    [
        Stored(KERNEL.ravel(), 1, (2, 3, 4), (12, 4, 1)),
        Stored(KERNEL.ravel(), 0, (2, 13), (12, 1)),
        Stored(KERNEL.ravel(), -1, (2,), (1,)),
        Stored(KERNEL.ravel(), 23, (2,), (-1,)),
        Stored(KERNEL.ravel(), 0, (1 << 40, 1 << 40), (0, 0)),
    ],
    ids=["behind", "too far", "before", "backwards", "without end"],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path: Path, stored: Stored) -> None:
    with pytest.raises(WeightsError, match="outside its storage"):
        read_torch_weights(written(tmp_path / "w.pth", {"kernel": stored}))


class Code:
    """Unpickled by pickle itself, it would make a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("made-by-a-weights-file",)


def test_a_file_that_carries_code_is_refused_and_the_code_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    carrying = torch_bytes({"kernel": Stored.of(KERNEL)}, beside={"code": Code()})
    Path("code.pth").write_bytes(carrying)
    with pytest.raises(WeightsError, match=r"it holds \w+\.mkdir, which no file of weights needs"):
        read_torch_weights(Path("code.pth"))
    Path("first.pth").write_bytes(pickle.dumps(Code(), 2))
    with pytest.raises(WeightsError, match=r"mkdir"):
        read_torch_weights(Path("first.pth"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code.pth", "first.pth"]


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = torch_bytes({"kernel": Stored.of(KERNEL), "bias": Stored.of(np.ones(5, np.float32))})
    path = tmp_path / "short.pth"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"short\.pth holds no weights in PyTorch's older format"):
            read_torch_weights(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(WeightsError, match="ends too soon; fetch it again"):
        read_torch_weights(path)


def pickles(*values: Any) -> bytes:
    return b"".join(pickle.dumps(one, 2) for one in values)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Ran out of input"),
        (b"no weights at all", "older format"),
        (b"PK\x03\x04 and so on", "newer one"),
        (pickle.dumps(5, 2), "does not start as one"),
        (pickles(MAGIC, 1001, {}, [1, 2]), "no dictionary of tensors"),
        (pickles(MAGIC, 1001, {}, {"epoch": 3}), "no dictionary of tensors"),
    ],
    ids=["empty", "text", "zip", "another pickle", "a list", "a number"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=said):
        read_torch_weights(tmp_path / "other.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth"):
        read_torch_weights(tmp_path / "none.pth")
