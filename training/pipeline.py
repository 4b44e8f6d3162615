"""The stages of a training run, from labelled pictures to a trained head in a run folder.

Hashes and features are kept in a cache, so a run that was killed, or one with other heads, does not compute them
again.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training import tensorboard
from training.backbones import build_backbone, build_extractor, fingerprint_of
from training.classes import Classes, find_classes
from training.classifier import HeadWeights
from training.coverage import check_coverage
from training.data import Dataset, Picture
from training.errors import DataError
from training.features import BATCH, Extractor, FeatureStore, fill_store
from training.grouping import group_alike
from training.hashing import hash_pictures
from training.head import Candidate, Features, train_head, try_head
from training.predicting import predict
from training.runs import HEAD, begin_run
from training.settings import TrainSettings, code_version, write_json
from training.split import PARTS, Split, split_groups
from training.split_file import read_places, write_split
from training.tensorboard import ScalarLog
from training.views import ORIGINAL, training_views

#: What is wrong where nothing is held out to choose a head by.
NO_CHOICE = (
    "No picture is in the validation part, by which the head and its number of epochs are chosen. Give a larger "
    "--validation; a class needs three pictures unlike each other for a place in it."
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pictures that can all be decoded, with their features in the store and their part.

    Attributes:
        data: The pictures.
        classes: The classes of their labels.
        groups: int64 [pictures]: groups of pictures that look alike.
        split: The parts.
        store: The features of the original view, and of the training views outside the test part.
        backbone_fingerprint: What the features were made with.
        decisions: Which decisions about single pictures were applied, for the run's record.
    """

    data: Dataset
    classes: Classes
    groups: NDArray[np.int64]
    split: Split
    store: FeatureStore
    backbone_fingerprint: str
    decisions: Mapping[str, Any] | None = None

    @property
    def not_measured(self) -> list[str]:
        """A line for each part that lacks pictures of some classes.

        Raises:
            DataError: The training part lacks them.
        """
        of_pictures = np.array([self.classes.of_label[one.label] for one in self.data.pictures], np.int64)
        parts = {part: getattr(self.split, part) for part in PARTS}
        return check_coverage(self.classes.names, of_pictures, parts)

    def check_choice(self) -> None:
        """See that there are pictures to choose a head by.

        Raises:
            DataError: The validation part is empty.
        """
        if not len(self.split.validation):
            raise DataError(NO_CHOICE)

    def features(self, positions: NDArray[np.int64], views: tuple[str, ...], pooling: str) -> Features:
        """Load the features of some pictures."""
        pictures = [self.data.pictures[position] for position in positions.tolist()]
        digests = [picture.digest for picture in pictures]
        loaded = [_pooled(self.store.load(view, digests), pooling) for view in views]
        labels = [self.classes.of_label[picture.label] for picture in pictures]
        return Features(np.stack(loaded), np.array(labels, np.int64))


def _pooled(features: NDArray[np.float16], pooling: str) -> NDArray[np.float16]:
    half = features.shape[1] // 2
    return {"avg": features[:, :half], "max": features[:, half:], "avg+max": features}[pooling]


def embed_and_group(data: Dataset, settings: TrainSettings, cache: Path) -> tuple[Dataset, NDArray[np.int64]]:
    """Hash and embed pictures, and group what looks alike.

    Args:
        data: Labelled pictures.
        settings: The backbone, and from where on pictures count as alike.
        cache: The folder of all caches.

    Returns:
        The pictures that can be decoded, the others as problems; and the group of each, int64 [pictures].

    Raises:
        DataError: A class has no picture that can be decoded, or a picture cannot be any more.
        WeightsError: The backbone cannot be built.
    """
    data, hashes = _readable(data, cache)
    backbone = build_backbone(settings.backbone)
    store = FeatureStore(cache, fingerprint_of(settings.backbone, backbone))
    _fill(store, data.pictures, (ORIGINAL,), settings, backbone)
    return data, _groups(data, hashes, store, settings)


def _readable(data: Dataset, cache: Path) -> tuple[Dataset, Mapping[str, tuple[int, int]]]:
    labels = set(data.labels)
    hashes, unreadable = hash_pictures(data.pictures, cache)
    data = data.without(unreadable)
    lost = sorted(labels - set(data.labels))
    if lost:
        raise DataError(
            f"No picture can be decoded of {', '.join(lost)}. The first problem: {data.problems[0]}."
        )
    return data, hashes


def _groups(
    data: Dataset, hashes: Mapping[str, tuple[int, int]], store: FeatureStore, settings: TrainSettings
) -> NDArray[np.int64]:
    digests = [picture.digest for picture in data.pictures]
    return group_alike(
        np.array([hashes[digest] for digest in digests], np.uint64),
        _pooled(store.load(ORIGINAL, digests), "avg"),
        hash_distance=settings.hash_distance,
        cosine=settings.cosine,
    )


def prepare(
    data: Dataset, settings: TrainSettings, cache: Path, *, split_file: Path | None = None
) -> Prepared:
    """Hash and embed pictures, group what looks alike, and split.

    Args:
        data: Labelled pictures. Those that cannot be decoded are left out and become problems of the data.
        settings: The run's settings.
        cache: The folder of all caches.
        split_file: A table with the part and the group of each picture, as `targets` writes it, to be kept to; then
            nothing is grouped or split here.

    Returns:
        The pictures with their features, ready for training.

    Raises:
        DataError: A label is not in the catalogue, a class has no picture that can be decoded, a picture cannot be
            any more, or one is not in the table.
        WeightsError: The backbone cannot be built.
    """
    classes = find_classes(data.labels, settings.task)  # before hours of computing
    backbone = build_backbone(settings.backbone)
    data, hashes = _readable(data, cache)
    fingerprint = fingerprint_of(settings.backbone, backbone)
    store = FeatureStore(cache, fingerprint)
    _fill(store, data.pictures, (ORIGINAL,), settings, backbone)
    if split_file is not None:
        kept, groups = read_places(split_file, data.pictures)
        split = Split(*(np.flatnonzero(np.array(kept) == part) for part in PARTS))
    else:
        groups = _groups(data, hashes, store, settings)
        split = split_groups(
            [classes.ids[classes.of_label[picture.label]] for picture in data.pictures],
            groups,
            validation=settings.validation,
            test=settings.test,
            seed=settings.seed,
        )
    seen = [data.pictures[position] for position in np.concatenate([split.train, split.validation]).tolist()]
    _fill(store, seen, training_views(settings.crops), settings, backbone)
    return Prepared(data, classes, groups, split, store, fingerprint)


def _fill(
    store: FeatureStore,
    pictures: Sequence[Picture],
    views: Sequence[str],
    settings: TrainSettings,
    backbone: keras.Model,
) -> None:
    size = {"height": settings.backbone.height, "width": settings.backbone.width}
    unreadable = fill_store(store, pictures, views, _extractor(settings, backbone), **size)
    lost = [picture for picture in pictures if picture.digest in unreadable]
    if lost:
        raise DataError(
            f"{lost[0].place} could be decoded when it was hashed, and cannot any more: "
            f"{unreadable[lost[0].digest]}. That is so for {len(lost)} of the pictures. Mend or remove them, and "
            "start again."
        )


def embed(
    store: FeatureStore,
    pictures: Sequence[Picture],
    views: Sequence[str],
    settings: TrainSettings,
    backbone: keras.Model,
) -> NDArray[np.float16]:
    """Compute the features of pictures, or take them from the store.

    Args:
        store: The store of the backbone.
        pictures: Pictures that can be decoded, with digests.
        views: Which views of each.
        settings: The size and the pooling.
        backbone: The backbone.

    Returns:
        float16 [views, pictures, features], pooled.

    Raises:
        DataError: A picture cannot be decoded.
    """
    _fill(store, pictures, views, settings, backbone)
    digests = [picture.digest for picture in pictures]
    return np.stack([_pooled(store.load(view, digests), settings.pooling) for view in views])


def _extractor(settings: TrainSettings, backbone: keras.Model) -> Extractor:
    """Scaling, backbone and both poolings, so that either pooling can be chosen later without computing."""
    network = build_extractor(settings.backbone, backbone)
    return lambda pixels: predict(network, pixels, batch=BATCH)


def train(prepared: Prepared, settings: TrainSettings, run: Path, *, progress: bool = True) -> Candidate:
    """Try the heads on the validation part, train the chosen one for shipping, and write the run folder.

    The folder gets `run.json` (settings, code, data, classes, counts), `split.csv`, `candidates.json`,
    `history.json`, event files for TensorBoard and, last of all, `head.npz`: a folder that has it is complete.

    Args:
        prepared: From `prepare`.
        settings: The run's settings.
        run: The run's folder; made where missing.
        progress: Whether to show progress bars.

    Returns:
        The chosen head's settings and validation figures.

    Raises:
        DataError: The validation part is empty.
        RanAwayError: A head ran away in its first epoch.
    """
    prepared.check_choice()
    begin_run(run)
    write_split(run / "split.csv", prepared.data.pictures, prepared.groups, prepared.split)
    views, classes = training_views(settings.crops), len(prepared.classes.ids)
    trained = prepared.features(prepared.split.train, views, settings.pooling)
    held_out = prepared.features(prepared.split.validation, (ORIGINAL,), settings.pooling)
    candidates = []
    for number, head_settings in enumerate(settings.heads):
        with ScalarLog(run / tensorboard.FOLDER / f"head-{number}") as log:
            candidates.append(
                try_head(
                    trained,
                    held_out,
                    head_settings,
                    classes,
                    seed=settings.seed,
                    progress=progress,
                    after_epoch=log.add,
                )
            )
        write_json(run / "candidates.json", [dataclasses.asdict(one) for one in candidates])
    chosen = max(candidates, key=lambda one: (one.top1, one.top3, -one.loss))

    positions = prepared.split.train
    if settings.final_on_validation:
        positions = np.sort(np.concatenate([positions, prepared.split.validation]))
    final = prepared.features(positions, views, settings.pooling)
    with ScalarLog(run / tensorboard.FOLDER / "head") as log:
        head, history = train_head(
            final,
            None,
            chosen.settings,
            classes,
            seed=settings.seed,
            stop_after=chosen.epochs,
            progress=progress,
            after_epoch=log.add,
        )
    write_json(run / "history.json", history)
    counts = np.bincount(final.classes, minlength=classes).tolist()
    write_json(
        run / "run.json",
        {
            "settings": settings.as_json(),
            "code": code_version(),
            "backbone_fingerprint": prepared.backbone_fingerprint,
            "data": {
                "pictures": len(prepared.data.pictures),
                "fingerprint": prepared.data.fingerprint,
                "groups": int(prepared.groups.max()) + 1,
                "parts": {part: len(getattr(prepared.split, part)) for part in PARTS},
                "problems": list(prepared.data.problems),
                "decisions": prepared.decisions,
            },
            "chosen": dataclasses.asdict(chosen),
            "trained_on": {"pictures": len(positions), "validation_included": settings.final_on_validation},
            "classes": [
                {"id": one, "name": name, "trained_on": count}
                for one, name, count in zip(prepared.classes.ids, prepared.classes.names, counts, strict=True)
            ],
        },
    )
    HeadWeights.of(head).save(run / HEAD)
    return chosen
