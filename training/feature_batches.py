"""Batches of cached features for a head: a view of each picture by chance, mixed in pairs, weighted by class."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.distribution import check_batch, own_part


@dataclass(frozen=True, slots=True)
class Features:
    """Pictures of one part as features.

    Attributes:
        views: float16 [views, pictures, features].
        classes: int64 [pictures].
    """

    views: NDArray[np.float16]
    classes: NDArray[np.int64]


class FeatureBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of one pass: a random view of every picture, mixed in pairs, with class weights."""

    def __init__(
        self, data: Features, classes: int, *, batch: int, mixup: float, balance: float, seed: int
    ) -> None:
        """Make the batches.

        Args:
            data: Views of the training pictures.
            classes: How many classes.
            batch: Pictures in a batch.
            mixup: Alpha of the Beta distribution that mixes pairs (Zhang et al. 2018); 0 for none.
            balance: Exponent of class weights, see `class_weights`.
            seed: Seed of order, views and mixing.

        Raises:
            TrainingError: The devices in use cannot share a batch.
        """
        check_batch(batch)
        super().__init__(workers=1, use_multiprocessing=False)
        self._data = data
        self._batch = batch
        self._mixup = mixup
        self._random = np.random.default_rng(seed)
        self._one_hot = np.eye(classes, dtype=np.float32)
        self._weights = class_weights(data.classes, classes, balance)
        self.on_epoch_end()

    def __len__(self) -> int:
        return max(1, len(self._data.classes) // self._batch)

    def on_epoch_end(self) -> None:
        """Draw a new order and new views."""
        self._order = self._random.permutation(len(self._data.classes))
        self._view = self._random.integers(len(self._data.views), size=len(self._data.classes))

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        start = index * self._batch
        rows = self._order[start : start + self._batch]
        drawn: tuple[Any, ...] = (
            self._data.views[self._view[rows], rows].astype(np.float32),
            self._one_hot[self._data.classes[rows]],
            self._weights[self._data.classes[rows], None],
        )
        if self._mixup:
            share = self._random.beta(self._mixup, self._mixup, size=(len(rows), 1))
            share = np.maximum(share, 1 - share).astype(np.float32)
            partner = self._random.permutation(len(rows))
            drawn = tuple(share * part + (1 - share) * part[partner] for part in drawn)
        own = own_part(len(rows))
        x, y, weights = (part[own] for part in drawn)
        return x, y, weights[:, 0]


def class_weights(classes: NDArray[np.int64], count: int, balance: float) -> NDArray[np.float32]:
    """Weights n^-balance by class size n, with mean 1 over the pictures.

    Args:
        classes: int64 [pictures].
        count: How many classes.
        balance: The exponent.

    Returns:
        float32 [count]; classes without pictures get 0.
    """
    sizes = np.bincount(classes, minlength=count).astype(np.float64)
    weights = np.where(sizes > 0, np.maximum(sizes, 1) ** -balance, 0.0)
    return np.asarray(weights * sizes.sum() / (weights * sizes).sum(), np.float32)
