"""Predictions for pictures by heads that never saw them: k-fold over groups of pictures that look alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.errors import DataError
from training.head import HeadSettings, train_head
from training.pipeline import Prepared
from training.views import FLIP, ORIGINAL


def group_folds(
    classes: NDArray[np.int64], groups: NDArray[np.int64], folds: int, *, seed: int = 0
) -> NDArray[np.int64]:
    """Spread pictures over folds so that no group is divided and each class is spread evenly.

    The rarest class is dealt first, its largest groups before its small ones; each group goes to the fold that has
    the fewest pictures of that class, and of these to the smallest.

    Args:
        classes: int64 [n]: the class of each picture.
        groups: int64 [n]: the group of each picture.
        folds: How many folds, at least two.
        seed: Decides between groups of one size.

    Returns:
        int64 [n]: the fold of each picture.

    Raises:
        DataError: Fewer than two folds.
    """
    if folds < 2:
        raise DataError(f"{folds} folds leave nothing to learn from: ask for two or more.")
    random = np.random.default_rng(seed)
    _, groups = np.unique(groups, return_inverse=True)
    table = np.zeros((groups.max() + 1, classes.max() + 1), np.int64)
    np.add.at(table, (groups, classes), 1)
    counts = table.sum(axis=0)
    fold_of = np.full(len(table), -1, np.int64)
    in_fold = np.zeros((folds, table.shape[1]), np.int64)
    for one in np.argsort(counts, kind="stable").tolist():
        free = random.permutation(np.flatnonzero((table[:, one] > 0) & (fold_of < 0)))
        for group in free[np.argsort(-table[free, one], kind="stable")].tolist():
            fold = int(np.lexsort((in_fold.sum(axis=1), in_fold[:, one]))[0])
            fold_of[group] = fold
            in_fold[fold] += table[group]
    return np.asarray(fold_of[groups], np.int64)


def judgeable(
    classes: NDArray[np.int64], folds: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which pictures are judged by a head that learned their class from others.

    Args:
        classes: int64 [n]: the class of each picture.
        folds: int64 [n]: the fold of each picture; -1 for pictures that no head learns from.
        known: bool [n]: the pictures that heads learn from, those with a fold.

    Returns:
        bool [n]; False where all that could teach the class is in the picture's own fold.
    """
    table = np.zeros((folds.max() + 2, classes.max() + 1), np.int64)
    np.add.at(table, (folds[known], classes[known]), 1)  # the last row stays empty, for fold -1
    return np.asarray(table.sum(axis=0)[classes] - table[folds, classes] > 0)


def out_of_fold(
    prepared: Prepared,
    head: HeadSettings,
    *,
    pooling: str,
    views: Sequence[str] = (ORIGINAL, FLIP),
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    progress: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Predict every picture by heads that did not learn from it, nor from a picture that looks like it.

    Training and validation part are dealt into folds. The test part is predicted by heads that learned from all of
    these; nothing is ever learned from it, so that what cleaning finds in training owes nothing to the test.

    Args:
        prepared: Pictures with features and split.
        head: The head; it is trained for all its epochs.
        pooling: Which features, as in `TrainSettings`.
        views: Which views of a picture heads learn from; their features must be there.
        folds: How many folds.
        seeds: The probabilities are the mean over heads of these seeds; the folds are those of the first.
        progress: Whether to show a progress bar.

    Returns:
        Probabilities, float32 [pictures, classes], and the fold of each picture, int64, -1 in the test part.
    """
    classes = len(prepared.classes.ids)
    learned = np.sort(np.concatenate([prepared.split.train, prepared.split.validation]))
    everything = np.arange(len(prepared.data.pictures))
    labels = prepared.features(everything, (ORIGINAL,), pooling).classes
    fold_of = np.full(len(everything), -1, np.int64)
    fold_of[learned] = group_folds(labels[learned], prepared.groups[learned], folds, seed=seeds[0])

    probabilities = np.zeros((len(everything), classes), np.float32)
    rounds = [(fold, seed) for fold in [*range(folds), -1] for seed in seeds]
    for fold, seed in tqdm(rounds, desc="folds", unit="head", disable=not progress):
        asked = np.flatnonzero(fold_of == fold)
        if not len(asked):
            continue
        teaching = learned[fold_of[learned] != fold]
        model, _ = train_head(
            prepared.features(teaching, tuple(views), pooling), None, head, classes, seed=seed, progress=False
        )
        features = prepared.features(asked, (ORIGINAL,), pooling).views[0].astype(np.float32)
        logits = model.predict(features, batch_size=1024, verbose=0).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        answers = np.exp(logits)
        answers /= answers.sum(axis=1, keepdims=True)
        probabilities[asked] += (answers / len(seeds)).astype(np.float32)
    return probabilities, fold_of
