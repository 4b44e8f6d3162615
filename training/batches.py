"""Batches of augmented pictures, each decided by seed, epoch and place alone, whatever thread makes it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.augment import augment
from training.distribution import check_batch, own_part
from training.finetune_settings import FinetuneSettings
from training.head_set import HeadSet
from training.mixing import draw_mix

# Different streams of chance from one seed.
_ORDER, _PICTURE, _MIX = 0, 1, 2
_AHEAD = 8


class AugmentedBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of one pass over the training pictures.

    A pass can be made again exactly, also in another process: a run that was killed goes on as if it had not been.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        positions: NDArray[np.int64],
        classes: NDArray[np.int64],
        heads: HeadSet,
        weights: Sequence[NDArray[np.float32]],
        settings: FinetuneSettings,
        epoch: int,
    ) -> None:
        """Plan a pass.

        Args:
            pixels: uint8 [pictures, rows, columns, 3], of any size.
            positions: int64 [n]: the pictures to train on.
            classes: int64 [pictures, heads], see `HeadSet.one_hot`.
            heads: The heads.
            weights: For each head, float32 [classes]: the weight of each class in the loss.
            settings: Size, batch, augmentation, mixing and seed.
            epoch: The number of the pass.

        Raises:
            TrainingError: The devices in use cannot share a batch.
        """
        check_batch(settings.batch)
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=_AHEAD)
        self._pixels = pixels
        self._positions = np.random.default_rng([settings.seed, _ORDER, epoch]).permutation(positions)
        self._classes = classes
        self._heads = heads
        self._weights = weights
        self._settings = settings
        self._epoch = epoch

    def __len__(self) -> int:
        """Full batches only; what is left over differs from pass to pass."""
        return max(1, len(self._positions) // self._settings.batch)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Pixels, float32 [batch, height, width, 3], 0 to 255, and targets, float32 [batch, columns].

        Of several processes that train together each one makes its own part, the same as if it made the whole.
        """
        settings = self._settings
        rows = self._positions[index * settings.batch : (index + 1) * settings.batch]
        random = np.random.default_rng([settings.seed, _MIX, self._epoch, index])
        mix = draw_mix(len(rows), *settings.trained_size(), settings.mixing, random)
        own = np.arange(len(rows))[own_part(len(rows))]
        if mix is None:
            return self._augmented(rows[own]), self._targets(rows[own])
        partner = mix.partner[own]
        made, places = np.unique(np.concatenate([own, partner]), return_inverse=True)
        pixels, targets = self._augmented(rows[made]), self._targets(rows[made])
        first, second = places[: len(own)], places[len(own) :]
        return mix.pixels(pixels[first], pixels[second]), mix.targets(targets[first], targets[second])

    def _augmented(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        height, width = self._settings.trained_size()
        pixels = np.empty((len(rows), height, width, 3), np.float32)
        for place, row in enumerate(rows.tolist()):
            pixels[place] = augment(
                self._pixels[row],
                self._settings.augmentation,
                np.random.default_rng([self._settings.seed, _PICTURE, self._epoch, row]),
                height=height,
                width=width,
            )
        return pixels

    def _targets(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._heads.one_hot(self._classes[rows], self._weights)
