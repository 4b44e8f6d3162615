"""The classifier head on cached features: built, trained and chosen on the validation part."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm.keras import TqdmCallback

from training.calibration import expected_calibration_error, softmax
from training.errors import TrainingError
from training.feature_batches import FeatureBatches, Features, class_weights
from training.optimizers import build_optimizer
from training.watching import AfterEpoch, Watch, measure_logits

__all__ = [
    "Candidate",
    "Features",
    "HeadSettings",
    "RanAwayError",
    "build_head",
    "class_weights",
    "train_head",
    "try_head",
]


class RanAwayError(TrainingError):
    """A training gave no finite answers."""


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How a head is built and trained.

    Attributes:
        hidden: Units of each hidden layer; 0 for a single linear layer.
        input_dropout: The share of features dropped, in training.
        dropout: The share of units dropped after each hidden layer, in training; not used by a linear head.
        learning_rate: The highest rate; it falls to zero along a cosine after a warm-up (Loshchilov and Hutter 2017).
        weight_decay: Decoupled, as in AdamW (Loshchilov and Hutter 2019); Adam has none.
        label_smoothing: The share of a target spread over all classes (Szegedy et al. 2016).
        mixup: Alpha of the Beta distribution that mixes pairs of feature vectors (Zhang et al. 2018); 0 for none.
        balance: Exponent of class weights n^-balance; 0 weighs pictures alike, 1 weighs classes alike.
        epochs: Passes over the training pictures, each time with a view of each picture drawn at random.
        patience: Stop after so many passes without a better validation loss, and go back to the best.
        batch: Pictures in a step.
        layers: Hidden layers, where `hidden` is not 0.
        optimizer: One of `optimizers.OPTIMIZERS`.
    """

    hidden: int = 1024
    input_dropout: float = 0.5
    dropout: float = 0.6
    learning_rate: float = 4e-3
    weight_decay: float = 0.1
    label_smoothing: float = 0.1
    mixup: float = 0.4
    balance: float = 0.0
    epochs: int = 18
    patience: int = 8
    batch: int = 256
    # Last, and with the values that were fixed before they were there, so that older runs' JSON reads as it did.
    layers: int = 1
    optimizer: str = "adamw"

    @property
    def depth(self) -> int:
        """How many hidden layers there are."""
        return self.layers if self.hidden else 0


def build_head(
    settings: HeadSettings, classes: int, mean: NDArray[np.float32], variance: NDArray[np.float32]
) -> keras.Model:
    """Build an untrained head: standardise; dense, batch norm, activation, dropout for each hidden layer; dense.

    Args:
        settings: Hidden layers, their units, and dropout.
        classes: How many classes.
        mean: float32 [features] of the training features.
        variance: float32 [features], likewise.

    Returns:
        A model from features, float32 [batch, features], to logits, float32 [batch, classes].
    """
    inputs = keras.Input((len(mean),), name="features")
    x = keras.layers.Normalization(mean=mean, variance=variance, name="standardise")(inputs)
    x = keras.layers.Dropout(settings.input_dropout, name="input_dropout")(x)
    for number in range(settings.depth):
        x = keras.layers.Dense(settings.hidden, use_bias=False, name=f"hidden_{number}")(x)
        x = keras.layers.BatchNormalization(name=f"hidden_norm_{number}")(x)
        x = keras.layers.Activation("relu", name=f"hidden_relu_{number}")(x)
        x = keras.layers.Dropout(settings.dropout, name=f"dropout_{number}")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, name="logits")(x), name="head")


def train_head(
    train: Features,
    validation: Features | None,
    settings: HeadSettings,
    classes: int,
    *,
    seed: int,
    stop_after: int | None = None,
    progress: bool = True,
    after_epoch: AfterEpoch | None = None,
) -> tuple[keras.Model, list[dict[str, Any]]]:
    """Train a head.

    Args:
        train: Views of the training pictures.
        validation: The validation pictures, in one view; None trains for all epochs without stopping early.
        settings: How.
        classes: How many classes.
        seed: Seed of weights, order, views and mixing.
        stop_after: Leave off after so many epochs; the learning rate falls as if all were done.
        progress: Whether to show a progress bar.
        after_epoch: Told the row of each epoch when it is over; what it raises ends the training.

    Returns:
        The head with its best weights, and its history: a row for each epoch, see `watching.Watch`.

    Raises:
        TrainingError: There is no optimiser of that name.
    """
    keras.utils.set_random_seed(seed)
    first = train.views[0].astype(np.float32)
    head = build_head(settings, classes, first.mean(axis=0), first.var(axis=0) + 1e-4)
    batches = FeatureBatches(
        train, classes, batch=settings.batch, mixup=settings.mixup, balance=settings.balance, seed=seed
    )
    steps = settings.epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        steps,
        warmup_target=settings.learning_rate,
        warmup_steps=max(1, steps // 20),
    )
    head.compile(
        build_optimizer(settings.optimizer, rate, settings.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
        weighted_metrics=[],
    )
    held_out = None
    if validation is not None:
        held_out = validation.views[0].astype(np.float32), validation.classes
    watch = Watch(len(train.classes), held_out, settings.patience, after_epoch)
    bar = [TqdmCallback(verbose=0, desc="head", mininterval=5)] if progress else []
    head.fit(batches, epochs=stop_after or settings.epochs, callbacks=[watch, *bar], verbose=0)
    return head, watch.history


@dataclass(frozen=True, slots=True)
class Candidate:
    """A head tried on the validation part.

    Attributes:
        settings: How it was built and trained.
        epochs: The epoch whose weights were kept.
        top1: The share of validation pictures whose class is the first answer.
        top3: The share whose class is among the first three.
        loss: The validation loss at the temperature, without label smoothing.
        temperature: What to divide the logits by, fitted on the validation pictures.
        calibration_error: Their expected calibration error without the temperature.
        calibrated_error: The same with it.
    """

    settings: HeadSettings
    epochs: int
    top1: float
    top3: float
    loss: float
    temperature: float
    calibration_error: float
    calibrated_error: float


def try_head(
    train: Features,
    validation: Features,
    settings: HeadSettings,
    classes: int,
    *,
    seed: int,
    progress: bool = True,
    after_epoch: AfterEpoch | None = None,
) -> Candidate:
    """Train a head with early stopping, and measure it on the validation part.

    Args:
        train: Views of the training pictures.
        validation: The validation pictures, in one view.
        settings: How.
        classes: How many classes.
        seed: Seed of the training.
        progress: Whether to show a progress bar.
        after_epoch: Told the row of each epoch when it is over; what it raises ends the training.

    Returns:
        The figures.

    Raises:
        RanAwayError: The training ran away in its first epoch.
        TrainingError: There is no optimiser of that name.
    """
    head, history = train_head(
        train, validation, settings, classes, seed=seed, progress=progress, after_epoch=after_epoch
    )
    best = min(history, key=lambda row: float(row["validation_loss"]))
    if not np.isfinite(best["validation_loss"]):
        raise RanAwayError(
            f"No epoch gave finite answers with {settings.optimizer} at a learning rate of "
            f"{settings.learning_rate:g}. Give a lower --learning-rate."
        )
    logits = head.predict(validation.views[0].astype(np.float32), batch_size=1024, verbose=0)
    measured = measure_logits(logits, validation.classes)
    right = logits.argmax(axis=1) == validation.classes
    temperature = measured["temperature"]
    return Candidate(
        settings,
        epochs=best["epoch"],
        top1=measured["validation_top1"],
        top3=measured["validation_top3"],
        loss=measured["validation_loss"],
        temperature=temperature,
        calibration_error=expected_calibration_error(softmax(logits).max(axis=1), right),
        calibrated_error=expected_calibration_error(softmax(logits, temperature).max(axis=1), right),
    )
