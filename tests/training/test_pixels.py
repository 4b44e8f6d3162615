from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing import decode_picture
from tests.training.pictures import write_class_folders
from training import pixels as pixels_module
from training.data import Picture, read_class_folders
from training.errors import DataError
from training.pixels import decoded_pixels


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Picture, ...]:
    return read_class_folders(write_class_folders(tmp_path / "data", each=4)).pictures


def read(pictures: tuple[Picture, ...], tmp_path: Path) -> NDArray[np.uint8]:
    return decoded_pixels(pictures, tmp_path / "cache", 24, 16, progress=False)


def test_pixels_are_those_that_the_gateway_decodes(pictures: tuple[Picture, ...], tmp_path: Path) -> None:
    found = read(pictures, tmp_path)
    assert found.shape == (12, 24, 16, 3)
    assert not found.flags.writeable
    for picture, pixels in zip(pictures, found, strict=True):
        np.testing.assert_array_equal(pixels, decode_picture(picture.path.read_bytes(), height=24, width=16))


def test_a_filling_that_was_killed_goes_on(
    pictures: tuple[Picture, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def decode(data: bytes, *, height: int, width: int) -> NDArray[np.uint8]:
        decoded.append(1)
        if len(decoded) == 10:
            raise KeyboardInterrupt
        return decode_picture(data, height=height, width=width)

    monkeypatch.setattr(pixels_module, "decode_picture", decode)
    monkeypatch.setattr(pixels_module, "_PART", 4)
    with pytest.raises(KeyboardInterrupt):
        read(pictures, tmp_path)
    decoded.extend([1] * 100)
    before = len(decoded)
    found = read(pictures, tmp_path)
    assert len(decoded) - before == 4  # the part in which the kill came
    monkeypatch.undo()
    expected = decoded_pixels(pictures, tmp_path / "other", 24, 16, progress=False)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kept_bytes", [None, 100])
def test_marks_of_pixels_that_are_gone_do_not_count(
    pictures: tuple[Picture, ...], tmp_path: Path, kept_bytes: int | None
) -> None:
    expected = np.array(read(pictures, tmp_path))
    (file,) = (tmp_path / "cache" / "pixels").glob("*.u8")
    if kept_bytes is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:kept_bytes])
    np.testing.assert_array_equal(read(pictures, tmp_path), expected)


def test_marks_are_gone_before_new_pixels_are_there(
    pictures: tuple[Picture, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.array(read(pictures, tmp_path))
    (file,) = (tmp_path / "cache" / "pixels").glob("*.u8")
    file.unlink()
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        replace(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        read(pictures, tmp_path)
    monkeypatch.undo()
    assert file.is_file()
    np.testing.assert_array_equal(read(pictures, tmp_path), expected)


def test_a_picture_that_changed_is_named(pictures: tuple[Picture, ...], tmp_path: Path) -> None:
    pictures[5].path.write_bytes(b"gone")
    with pytest.raises(DataError, match=r"cricket/001\.png cannot be decoded"):
        read(pictures, tmp_path)


def test_a_full_disk_is_told_before_any_work(
    pictures: tuple[Picture, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *_: FullDisk())
    with pytest.raises(DataError, match=r"No room for .* No space left"):
        read(pictures, tmp_path)
