"""Watching a training from one epoch to the next: measure, keep the best weights, stop in time, tell others."""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.calibration import fit_temperature, softmax
from training.predicting import predict

#: What is told after each epoch: a row of the history.
AfterEpoch = Callable[[dict[str, Any]], None]


def measure_logits(logits: NDArray[np.floating[Any]], classes: NDArray[np.int64]) -> dict[str, float]:
    """Measure answers to held-out pictures, the loss being that at the temperature that would be shipped.

    Without a temperature, smoothed targets and mixed pictures make a network less sure from epoch to epoch, and the
    loss rises while the answers get better; and networks trained with and without could not be compared.

    Args:
        logits: float [pictures, classes].
        classes: int64 [pictures], the right ones.

    Returns:
        `validation_loss`, infinite where logits are not finite; and then nothing else, or also `validation_top1`,
        `validation_top3` and the `temperature`.
    """
    if not np.isfinite(logits).all():
        return {"validation_loss": float("inf")}
    temperature = fit_temperature(logits, classes)
    own = np.arange(len(classes)), classes
    ranks = (logits > logits[own][:, None]).sum(axis=1)
    return {
        "validation_loss": float(-np.log(np.maximum(softmax(logits, temperature)[own], 1e-30)).mean())
        + 0.0,  # not -0
        "validation_top1": float((ranks < 1).mean()),
        "validation_top3": float((ranks < 3).mean()),
        "temperature": temperature,
    }


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the history, and with held-out pictures keeps the weights of the epoch with the lowest loss.

    Attributes:
        history: A row for each epoch: `epoch` from 1 on, `loss`, `learning_rate` at its end, `seconds` and
            `pictures_per_second` of its training, and what `measure_logits` gives.
        best_epoch: The epoch whose weights are kept: the last one where nothing is held out.
    """

    def __init__(
        self,
        pictures: int,
        held_out: tuple[NDArray[np.float32], NDArray[np.int64]] | None,
        patience: int,
        after_epoch: AfterEpoch | None,
    ) -> None:
        """Make the callback.

        Args:
            pictures: How many pictures an epoch sees.
            held_out: Inputs and classes to measure on.
            patience: Stop after so many epochs without a lower loss.
            after_epoch: Told each row; what it raises ends the training.
        """
        super().__init__()
        self.history: list[dict[str, Any]] = []
        self.best_epoch = 0
        self._pictures = pictures
        self._held_out = held_out
        self._patience = patience
        self._after_epoch = after_epoch
        self._lowest = float("inf")
        self._best: list[NDArray[np.float32]] | None = None
        self._begun = 0.0

    def on_epoch_begin(self, _epoch: int, _logs: Any = None) -> None:
        """Note the time."""
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, keep, tell, and decide whether to go on."""
        seconds = time.monotonic() - self._begun
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": float((logs or {})["loss"]),
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": seconds,
            "pictures_per_second": self._pictures / max(seconds, 1e-6),
        }
        if self._held_out is None:
            self.best_epoch = epoch + 1
        else:
            inputs, classes = self._held_out
            row |= measure_logits(predict(self.model, inputs, batch=1024), classes)
            if row["validation_loss"] < self._lowest:
                self._lowest, self.best_epoch = row["validation_loss"], epoch + 1
                self._best = self.model.get_weights()
            # Weights that are no longer numbers do not recover.
            if epoch + 1 - self.best_epoch >= self._patience or not np.isfinite(row["validation_loss"]):
                self.model.stop_training = True
        self.history.append(row)
        if self._after_epoch is not None:
            self._after_epoch(row)

    def on_train_end(self, _logs: Any = None) -> None:
        """Go back to the best weights."""
        if self._best is not None:
            self.model.set_weights(self._best)
