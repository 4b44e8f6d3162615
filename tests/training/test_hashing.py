import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.pictures import coloured_noise, write_class_folders
from training.data import read_class_folders
from training.hashing import difference_hashes, hash_pictures, near_pairs


def test_the_hash_tells_which_pixel_is_brighter_than_its_left_neighbour() -> None:
    row = np.array([0, 10, 5, 20, 20, 30, 1, 2, 3], np.uint8)
    picture = np.repeat(np.repeat(row[None, :, None], 8, axis=0), 3, axis=2)
    plain, mirrored = difference_hashes(picture)
    # Rising, falling, rising, level, rising, falling, rising, rising: 1 0 1 0 1 0 1 1.
    assert plain == int.from_bytes(bytes([0b10101011] * 8))
    # From the right: falling, falling, rising, falling, level, falling, rising, falling.
    assert mirrored == int.from_bytes(bytes([0b00100010] * 8))


def test_the_mirrored_hash_is_the_hash_of_the_mirror_image() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    assert difference_hashes(picture)[1] == difference_hashes(picture[:, ::-1])[0]


@pytest.mark.parametrize("distance", [0, 1, 5, 6, 20])
def test_banding_misses_no_pair(distance: int) -> None:
    random = np.random.default_rng(distance)
    left = random.integers(0, 2**64, 150, dtype=np.uint64)
    right = left.copy()
    for position in range(len(right)):
        for bit in random.choice(64, random.integers(0, 10), replace=False):
            right[position] ^= np.uint64(1) << np.uint64(bit)
    brute_force = np.argwhere(np.bitwise_count(left[:, None] ^ right[None]) <= distance)
    assert len(brute_force) > 0
    np.testing.assert_array_equal(near_pairs(left, right, distance), brute_force)


def test_pairs_are_found_when_all_hashes_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.hashing._CANDIDATES_AT_ONCE", 10)
    assert len(near_pairs(np.zeros(30, np.uint64), np.zeros(30, np.uint64), 3)) == 900


def test_hashes_are_kept_and_unreadable_pictures_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_class_folders(tmp_path / "data", each=2)
    (root / "tennis" / "bad.jpg").write_bytes(b"\xff\xd8 not really a picture")
    data = read_class_folders(root)
    hashes, unreadable = hash_pictures(data.pictures, tmp_path / "cache")
    assert len(hashes) == 6
    assert len(unreadable) == 1

    asked = []

    def decode(file: bytes, *, height: int, width: int) -> np.ndarray:
        asked.append(file)
        return coloured_noise((9, 9, 9), 0)[:height, :width]

    monkeypatch.setattr("training.hashing.decode_picture", decode)
    assert {**hash_pictures(data.pictures, tmp_path / "cache")[0]}.items() >= hashes.items()
    assert len(asked) == 1, "only the picture that failed is tried again"


def test_a_hashing_that_was_stopped_keeps_its_whole_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = read_class_folders(write_class_folders(tmp_path / "data", each=4)).pictures
    asked = []

    def decode(file: bytes, *, height: int, width: int) -> np.ndarray:
        asked.append(file)
        if len(asked) == 8:
            raise KeyboardInterrupt
        return coloured_noise((9, 9, 9), 0)[:height, :width]

    monkeypatch.setattr("training.hashing._PART", 3)
    monkeypatch.setattr("training.hashing.os.cpu_count", lambda: 1)
    monkeypatch.setattr("training.hashing.decode_picture", decode)
    with pytest.raises(KeyboardInterrupt):
        hash_pictures(pictures, tmp_path / "cache")
    asked.extend([b""] * 10)
    before = len(asked)
    hash_pictures(pictures, tmp_path / "cache")
    assert len(asked) - before == 6


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(b"NUMPY") + 200] ^= 1
    file.write_bytes(data)


def _other_names(file: Path) -> None:
    np.savez(file, names=np.arange(3))


def _one_hash_too_few(file: Path) -> None:
    with np.load(file) as arrays:
        digests, hashes = arrays["digests"], arrays["hashes"]
    np.savez(file, digests=digests, hashes=hashes[:-1])


def _one_column(file: Path) -> None:
    with np.load(file) as arrays:
        digests, hashes = arrays["digests"], arrays["hashes"]
    np.savez(file, digests=digests, hashes=hashes[:, 0])


@pytest.mark.parametrize(
    "damage", [_truncated, _empty, _flipped, _other_names, _one_hash_too_few, _one_column]
)
def test_damaged_hashes_are_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    pictures = read_class_folders(write_class_folders(tmp_path / "data", each=2)).pictures
    hashes, _ = hash_pictures(pictures, tmp_path / "cache")
    file = tmp_path / "cache" / "difference-hashes.npz"
    damage(file)
    assert hash_pictures(pictures, tmp_path / "cache") == (hashes, {})
    with np.load(file) as arrays:
        assert arrays["digests"].tolist() == list(hashes)


def test_hashes_are_on_the_disk_before_they_take_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = read_class_folders(write_class_folders(tmp_path / "data", each=1)).pictures
    file = tmp_path / "cache" / "difference-hashes.npz"
    synced = []

    def fsync(number: int) -> None:
        synced.append((os.fstat(number).st_size, file.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    hash_pictures(pictures, tmp_path / "cache")
    assert synced == [(file.stat().st_size, False)]
