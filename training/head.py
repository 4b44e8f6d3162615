"""The classifier head on cached features: built, trained and chosen on the validation part."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm.keras import TqdmCallback

from training.calibration import expected_calibration_error, fit_temperature, softmax


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How a head is built and trained.

    Attributes:
        hidden: Units of the hidden layer; 0 for a single linear layer.
        input_dropout: The share of features dropped, in training.
        dropout: The share of hidden units dropped before the last layer, in training; not used by a linear head.
        learning_rate: The highest rate; it falls to zero along a cosine after a warm-up (Loshchilov and Hutter 2017).
        weight_decay: Decoupled, as in AdamW (Loshchilov and Hutter 2019).
        label_smoothing: The share of a target spread over all classes (Szegedy et al. 2016).
        mixup: Alpha of the Beta distribution that mixes pairs of feature vectors (Zhang et al. 2018); 0 for none.
        balance: Exponent of class weights n^-balance; 0 weighs pictures alike, 1 weighs classes alike.
        epochs: Passes over the training pictures, each time with a view of each picture drawn at random.
        patience: Stop after so many passes without a better validation loss, and go back to the best.
        batch: Pictures in a step.
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


@dataclass(frozen=True, slots=True)
class Features:
    """Pictures of one part as features.

    Attributes:
        views: float16 [views, pictures, features].
        classes: int64 [pictures].
    """

    views: NDArray[np.float16]
    classes: NDArray[np.int64]


def build_head(
    settings: HeadSettings, classes: int, mean: NDArray[np.float32], variance: NDArray[np.float32]
) -> keras.Model:
    """Build an untrained head: standardise, then dense, batch norm, activation, dropout, dense; or linear.

    Args:
        settings: Hidden units and dropout.
        classes: How many classes.
        mean: float32 [features] of the training features.
        variance: float32 [features], likewise.

    Returns:
        A model from features, float32 [batch, features], to logits, float32 [batch, classes].
    """
    inputs = keras.Input((len(mean),), name="features")
    x = keras.layers.Normalization(mean=mean, variance=variance, name="standardise")(inputs)
    x = keras.layers.Dropout(settings.input_dropout, name="input_dropout")(x)
    if settings.hidden:
        x = keras.layers.Dense(settings.hidden, use_bias=False, name="hidden")(x)
        x = keras.layers.BatchNormalization(name="hidden_norm")(x)
        x = keras.layers.Activation("relu", name="hidden_relu")(x)
        x = keras.layers.Dropout(settings.dropout, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, name="logits")(x), name="head")


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of one pass: a random view of every picture, mixed in pairs, with class weights."""

    def __init__(self, data: Features, settings: HeadSettings, classes: int, seed: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._data = data
        self._settings = settings
        self._random = np.random.default_rng(seed)
        self._one_hot = np.eye(classes, dtype=np.float32)
        self._weights = class_weights(data.classes, classes, settings.balance)
        self.on_epoch_end()

    def __len__(self) -> int:
        return max(1, len(self._data.classes) // self._settings.batch)

    def on_epoch_end(self) -> None:
        """Draw a new order and new views."""
        self._order = self._random.permutation(len(self._data.classes))
        self._view = self._random.integers(len(self._data.views), size=len(self._data.classes))

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        start = index * self._settings.batch
        rows = self._order[start : start + self._settings.batch]
        drawn: tuple[Any, ...] = (
            self._data.views[self._view[rows], rows].astype(np.float32),
            self._one_hot[self._data.classes[rows]],
            self._weights[self._data.classes[rows], None],
        )
        if self._settings.mixup:
            share = self._random.beta(self._settings.mixup, self._settings.mixup, size=(len(rows), 1))
            share = np.maximum(share, 1 - share).astype(np.float32)
            partner = self._random.permutation(len(rows))
            drawn = tuple(share * part + (1 - share) * part[partner] for part in drawn)
        x, y, weights = drawn
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


def train_head(
    train: Features,
    validation: Features | None,
    settings: HeadSettings,
    classes: int,
    *,
    seed: int,
    stop_after: int | None = None,
    progress: bool = True,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a head.

    Args:
        train: Views of the training pictures.
        validation: The validation pictures, in one view; None trains for all epochs without stopping early.
        settings: How.
        classes: How many classes.
        seed: Seed of weights, order, views and mixing.
        stop_after: Leave off after so many epochs; the learning rate falls as if all were done.
        progress: Whether to show a progress bar.

    Returns:
        The head with its best weights, and its history: a list by epoch for each measure.
    """
    keras.utils.set_random_seed(seed)
    first = train.views[0].astype(np.float32)
    head = build_head(settings, classes, first.mean(axis=0), first.var(axis=0) + 1e-4)
    batches = _Batches(train, settings, classes, seed)
    steps = settings.epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        steps,
        warmup_target=settings.learning_rate,
        warmup_steps=max(1, steps // 20),
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    head.compile(
        optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
        weighted_metrics=[],
    )
    callbacks: list[Any] = [TqdmCallback(verbose=0, desc="head", mininterval=5)] if progress else []
    held_out = None
    if validation is not None:
        held_out = (
            validation.views[0].astype(np.float32),
            np.eye(classes, dtype=np.float32)[validation.classes],
        )
        callbacks.append(
            keras.callbacks.EarlyStopping("val_loss", patience=settings.patience, restore_best_weights=True)
        )
    history = head.fit(
        batches,
        validation_data=held_out,
        validation_batch_size=1024,
        epochs=stop_after or settings.epochs,
        callbacks=callbacks,
        verbose=0,
    )
    return head, {name: [float(value) for value in values] for name, values in history.history.items()}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A head tried on the validation part.

    Attributes:
        settings: How it was built and trained.
        epochs: The epoch whose weights were kept.
        top1: The share of validation pictures whose class is the first answer.
        top3: The share whose class is among the first three.
        loss: The validation loss, without label smoothing.
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
) -> Candidate:
    """Train a head with early stopping, and measure it on the validation part.

    Args:
        train: Views of the training pictures.
        validation: The validation pictures, in one view.
        settings: How.
        classes: How many classes.
        seed: Seed of the training.
        progress: Whether to show a progress bar.

    Returns:
        The figures.
    """
    head, history = train_head(train, validation, settings, classes, seed=seed, progress=progress)
    logits = head.predict(validation.views[0].astype(np.float32), batch_size=1024, verbose=0)
    ranks = (logits > logits[np.arange(len(logits)), validation.classes, None]).sum(axis=1)
    temperature = fit_temperature(logits, validation.classes)
    losses = keras.losses.sparse_categorical_crossentropy(validation.classes, logits, from_logits=True)
    return Candidate(
        settings,
        epochs=int(np.argmin(history["val_loss"])) + 1,
        top1=float((ranks < 1).mean()),
        top3=float((ranks < 3).mean()),
        loss=float(np.mean(losses)),
        temperature=temperature,
        calibration_error=expected_calibration_error(softmax(logits).max(axis=1), ranks < 1),
        calibrated_error=expected_calibration_error(softmax(logits, temperature).max(axis=1), ranks < 1),
    )
