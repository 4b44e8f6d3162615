from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training import little
from tests.training.pictures import write_class_folders
from training import pipeline
from training.backbones import BackboneSettings
from training.data import Picture, read_class_folders
from training.errors import DataError
from training.features import Extractor
from training.hashing import hash_pictures
from training.settings import TrainSettings


def flat(*_: object) -> Extractor:
    return lambda pixels: np.zeros((len(pixels), 4), np.float32)


def test_a_picture_that_cannot_be_decoded_any_more_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.applications, little.NAME, little.build, raising=False)
    monkeypatch.setattr(pipeline, "_extractor", flat)
    data = read_class_folders(write_class_folders(tmp_path / "data", each=2))

    def hash_and_damage(pictures: tuple[Picture, ...], cache: Path) -> object:
        found = hash_pictures(pictures, cache)
        pictures[3].path.write_bytes(b"no picture")
        return found

    monkeypatch.setattr(pipeline, "hash_pictures", hash_and_damage)
    settings = TrainSettings(
        backbone=BackboneSettings(little.NAME, "none", little.SIZE, little.SIZE), crops=0
    )
    with pytest.raises(DataError, match=r"cricket/001\.png could be decoded .* cannot any more: .* for 1 of"):
        pipeline.embed_and_group(data, settings, tmp_path / "cache")
