from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.pictures import write_class_folders
from training.data import Dataset, read_class_folders
from training.features import FeatureStore, fill_store

Fill = Callable[..., dict[str, str]]


class CountingExtractor:
    """Features of three numbers: the mean colour. Raises when it has seen too many pictures, like a kill."""

    def __init__(self, limit: int = 10**9) -> None:
        self.seen = 0
        self.limit = limit

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(pixels)
        if self.seen > self.limit:
            raise KeyboardInterrupt
        return np.asarray(pixels.mean(axis=(1, 2)), np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return read_class_folders(write_class_folders(tmp_path / "data", each=10))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.features.BATCH", 4)
    monkeypatch.setattr("training.features._PART", 8)


def fill(store: FeatureStore, data: Dataset, extractor: CountingExtractor, *views: str) -> dict[str, str]:
    return fill_store(store, data.pictures, views, extractor, height=24, width=16)


def test_features_come_back_in_the_order_asked(tmp_path: Path, data: Dataset) -> None:
    store = FeatureStore(tmp_path, "f" * 64)
    assert fill(store, data, CountingExtractor(), "original", "flip") == {}
    digests = [picture.digest for picture in data.pictures]
    features = store.load("original", digests)
    assert features.dtype == np.float16
    assert features.shape == (30, 3)
    np.testing.assert_array_equal(store.load("original", digests[::-1]), features[::-1])
    np.testing.assert_array_equal(store.load("original", [digests[3], digests[3]]), features[[3, 3]])
    assert features[0].argmax() == 0, "baseball is red"


def test_a_second_run_computes_nothing_and_new_pictures_alone_later(tmp_path: Path, data: Dataset) -> None:
    store = FeatureStore(tmp_path, "f" * 64)
    fill(store, Dataset(data.pictures[:20]), CountingExtractor(), "original")
    later = CountingExtractor()
    fill(store, data, later, "original")
    assert later.seen == 10
    fill(store, data, later, "original")
    assert later.seen == 10


def test_a_killed_run_goes_on_where_it_stopped_with_the_same_features(tmp_path: Path, data: Dataset) -> None:
    digests = [picture.digest for picture in data.pictures]
    whole = FeatureStore(tmp_path / "whole", "f" * 64)
    fill(whole, data, CountingExtractor(), "crop-1")

    store = FeatureStore(tmp_path / "killed", "f" * 64)
    with pytest.raises(KeyboardInterrupt):
        fill(store, data, CountingExtractor(limit=20), "crop-1")
    assert len(store.known("crop-1")) == 16, "two whole parts were kept"
    rest = CountingExtractor()
    fill(store, data, rest, "crop-1")
    assert rest.seen == 14
    np.testing.assert_array_equal(store.load("crop-1", digests), whole.load("crop-1", digests))


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeatureStore(tmp_path / "cache", "f" * 64)
    fill(store, Dataset(data.pictures[:8]), CountingExtractor(), "original")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.features.np.savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        fill(store, data, CountingExtractor(), "original")
    assert len(store.known("original")) == 8
    assert list((tmp_path / "cache").rglob("*.draft")) == []


def test_an_unreadable_picture_is_named_and_the_rest_is_kept(tmp_path: Path, data: Dataset) -> None:
    bad = data.pictures[5]
    bad.path.write_bytes(b"\x89PNG but no more")
    store = FeatureStore(tmp_path, "f" * 64)
    unreadable = fill(store, data, CountingExtractor(), "original")
    assert list(unreadable) == [bad.digest]
    assert len(store.known("original")) == 29
    left = data.without(unreadable)
    assert len(left.pictures) == 29
    assert left.problems[0].startswith("baseball/005.png: ")
    with pytest.raises(KeyError, match="1 pictures have no original features"):
        store.load("original", [bad.digest])


def test_another_backbone_has_a_store_of_its_own(tmp_path: Path, data: Dataset) -> None:
    fill(FeatureStore(tmp_path, "f" * 64), data, CountingExtractor(), "original")
    assert FeatureStore(tmp_path, "e" * 64).known("original") == set()
