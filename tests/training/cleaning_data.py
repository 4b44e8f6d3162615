"""Prepared data made by code: clouds of features with labels, some of them planted wrong."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.classes import find_classes
from training.data import Dataset, Picture
from training.features import FeatureStore
from training.head import HeadSettings
from training.pipeline import Prepared
from training.split import split_groups
from training.views import FLIP, ORIGINAL

LABELS = ("volleyball", "beach volleyball", "chess", "judo")
#: A head that learns the clouds within a second.
HEAD = HeadSettings(
    hidden=0,
    epochs=6,
    batch=16,
    learning_rate=3e-2,
    weight_decay=0,
    input_dropout=0,
    mixup=0,
    label_smoothing=0,
)


def clouds(
    each: int, wrong: int, *, seed: int = 0, dimensions: int = 16
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features of four well parted classes, their true classes, and labels of which `wrong` of each class are not."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(LABELS)), each)
    centres = random.normal(size=(len(LABELS), dimensions)) * 2
    features = (centres[truth] + random.normal(size=(len(truth), dimensions))).astype(np.float32)
    labels = truth.copy()
    for one in range(len(LABELS)):
        rows = np.flatnonzero(truth == one)[:wrong]
        labels[rows] = (one + random.integers(1, len(LABELS), size=wrong)) % len(LABELS)
    return features, truth, labels


def prepared_clouds(
    place: Path, *, each: int = 40, wrong: int = 4, copies: int = 2
) -> tuple[Prepared, NDArray[np.int64]]:
    """Prepared data of clouds, and the true classes; every `copies` pictures in a row are a group."""
    features, truth, labels = clouds(each, wrong)
    pictures = tuple(
        Picture(f"{number:04}.png", place / f"{number:04}.png", LABELS[label], f"digest{number}", "made", "")
        for number, label in enumerate(labels.tolist())
    )
    store = FeatureStore(place / "cache", "clouds")
    for view in (ORIGINAL, FLIP):
        store.add(view, [picture.digest for picture in pictures], features.astype(np.float16))
    groups = np.arange(len(pictures)) // copies
    split = split_groups([picture.label for picture in pictures], groups, validation=0.1, test=0.2)
    data = Dataset(pictures)
    return Prepared(data, find_classes(data.labels), groups, split, store, "clouds"), truth
