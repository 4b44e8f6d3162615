"""The settings of fine-tuning."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from training.augment import AugmentSettings
from training.mixing import MixSettings

#: How the backbone may compute in training. Weights and the optimiser are float32 in both.
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """All that decides fine-tuning beside the run it starts from.

    Attributes:
        height: Rows of the model's input.
        width: Columns of it.
        shrink: Pictures in training have this share of those rows and columns. Random crops show things larger than
            whole pictures do, so a network trained a little smaller does as well for less, or better (Touvron et al.
            2019, "Fixing the train-test resolution discrepancy").
        room: Pictures are kept on disk larger than they are trained at by this factor, so that a random crop has
            pixels to choose from; more than the files have is of no use.
        epochs: Passes over the training pictures.
        batch: Pictures in a step.
        learning_rate: The head's highest rate; it falls to zero along a cosine after a warm-up (Loshchilov and Hutter
            2017).
        backbone_rate: The rate of the backbone's last layer, as a multiple of the head's. Above 1, unlike with an
            untrained head: this one is trained already, and its inputs are never negative, so that steps of one size
            in all its weights add up.
        depth_rate: The rate of the first layer trained, as a share of the last one's; geometrically between.
        fresh_rate: The rate of heads that start untrained, as a multiple of the head's.
        unfreeze: The name, or its start, of the first backbone layer that is trained; empty for all.
        warmup: The share of all steps over which the rate rises.
        weight_decay: Decoupled, as in AdamW (Loshchilov and Hutter 2019); biases have none.
        label_smoothing: The share of a target spread over all classes (Szegedy et al. 2016).
        dropout: The share of features, and of hidden units, dropped in training.
        balance: Exponent of class weights n^-balance, in each head; 0 weighs pictures alike, 1 weighs classes alike.
        averaging: Momentum of the moving average of the weights, which is what is measured and kept (Polyak and
            Juditsky 1992; Tarvainen and Valpola 2017).
        patience: Stop after so many passes without a better validation loss.
        precision: One of `PRECISIONS`.
        augmentation: How each picture is changed.
        mixing: How pictures are mixed in pairs.
        seed: Seed of order, augmentation, mixing and dropout.
    """

    height: int = 224
    width: int = 224
    shrink: float = 1.0
    room: float = 1.4
    epochs: int = 12
    batch: int = 64
    learning_rate: float = 5e-5
    backbone_rate: float = 3.0
    depth_rate: float = 0.4
    fresh_rate: float = 10.0
    unfreeze: str = ""
    warmup: float = 0.08
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    dropout: float = 0.3
    balance: float = 0.0
    averaging: float = 0.99
    patience: int = 3
    precision: str = "float32"
    augmentation: AugmentSettings = field(default_factory=AugmentSettings)
    mixing: MixSettings = field(default_factory=MixSettings)
    seed: int = 0

    def trained_size(self) -> tuple[int, int]:
        """Rows and columns of the pictures in training."""
        return round(self.height * self.shrink), round(self.width * self.shrink)

    def stored_size(self) -> tuple[int, int]:
        """Rows and columns of the pictures kept on disk for training."""
        height, width = self.trained_size()
        return round(height * self.room), round(width * self.room)

    def as_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)
