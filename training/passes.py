"""The passes of a fine-tuning: trained, averaged, measured, kept, and stopped early."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm.keras import TqdmCallback

from training.batches import AugmentedBatches
from training.calibration import fit_temperature, softmax
from training.checkpoint import Checkpoint, Progress
from training.data import Picture
from training.finetune_settings import FinetuneSettings
from training.head import class_weights
from training.rates import LayerwiseAdamW, depth_factors
from training.tunable import Tunable, probabilities_of

# Against a rare batch whose gradient would throw away what many have reached; usual norms are far below.
_GRADIENT_NORM = 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What is trained on and what is measured, as places in one list of pictures.

    Attributes:
        pictures: All of them.
        classes: int64 [pictures].
        train: int64: places to train on.
        validation: int64: places to measure on, which no weight has seen; None where all were trained on.
    """

    pictures: Sequence[Picture]
    classes: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64] | None


class Training:
    """The passes of one fine-tuning."""

    def __init__(
        self,
        tunable: Tunable,
        parts: Parts,
        pixels: NDArray[np.uint8],
        measured: NDArray[np.uint8] | None,
        settings: FinetuneSettings,
        *,
        progress: bool,
    ) -> None:
        self._tunable = tunable
        self._parts = parts
        self._pixels = pixels
        self._held_out = measured
        self._settings = settings
        self._progress = progress
        count = tunable.network.output_shape[-1]
        self._weights = class_weights(parts.classes[parts.train], count, settings.balance)
        self._steps = len(self._batches(0))
        self._optimizer = _optimizer(tunable, settings, self._steps)
        self._best: list[NDArray[np.float32]] = []

    def run(self, checkpoint: Checkpoint) -> Progress:
        """Make the passes that are still to be made, and give the twin the weights to keep."""
        self._tunable.network.compile(
            self._optimizer,
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=self._settings.label_smoothing
            ),
            weighted_metrics=[],
        )
        self._optimizer.build(self._tunable.network.trainable_variables)
        state = self._restore(checkpoint) or Progress(history=[self._measured(0)])
        while state.epochs_done < self._settings.epochs and not self._is_over(state):
            self._pass(state)
            checkpoint.save(state, self._arrays())
        self._tunable.twin.set_weights(self._best)
        return state

    def _is_over(self, state: Progress) -> bool:
        waited = state.epochs_done - state.best_epoch
        return self._parts.validation is not None and waited >= self._settings.patience

    def _pass(self, state: Progress) -> None:
        begun = time.monotonic()
        bar = [TqdmCallback(verbose=1, mininterval=10)] if self._progress else []
        fitted = self._tunable.network.fit(
            self._batches(state.epochs_done), epochs=1, shuffle=False, verbose=0, callbacks=bar
        )
        state.epochs_done += 1
        self._tunable.twin.set_weights(self._averaged())
        row = self._measured(state.epochs_done)
        row |= {"loss": float(fitted.history["loss"][-1]), "seconds": round(time.monotonic() - begun, 1)}
        losses = [one["validation_loss"] for one in state.history[1:] if "validation_loss" in one]
        if row.get("validation_loss", 0.0) < min(losses, default=np.inf) or self._parts.validation is None:
            state.best_epoch = state.epochs_done
            self._best = self._tunable.twin.get_weights()
        state.history.append(row)
        if self._progress:
            print(" ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)

    def _batches(self, epoch: int) -> AugmentedBatches:
        parts = self._parts
        return AugmentedBatches(
            self._pixels, parts.train, parts.classes, self._weights, self._settings, epoch
        )

    def _averaged(self) -> list[NDArray[np.float32]]:
        """The network's weights, the trained ones replaced by their moving averages."""
        averages = {
            variable.path: average
            for variable, average in zip(
                self._tunable.network.trainable_variables,
                self._optimizer._model_variables_moving_average,  # noqa: SLF001 -- Keras shows them nowhere else
                strict=True,
            )
        }
        return [np.asarray(averages.get(one.path, one)) for one in self._tunable.network.weights]

    def _measured(self, epoch: int) -> dict[str, Any]:
        row: dict[str, Any] = {"epoch": epoch}
        if self._parts.validation is None or self._held_out is None:
            return row
        truth = self._parts.classes[self._parts.validation]
        answers = probabilities_of(self._tunable.twin, self._held_out)
        own = answers[np.arange(len(truth)), truth]
        ranks = (answers > own[:, None]).sum(axis=1)
        logits = np.log(np.maximum(answers, 1e-12))
        temperature = fit_temperature(logits, truth)
        # The loss of what would be shipped, its temperature included: without, smoothed and mixed targets make the
        # answers less sure from pass to pass, and the loss rises while the answers get better.
        calibrated = softmax(logits, temperature)[np.arange(len(truth)), truth]
        return row | {
            "temperature": temperature,
            "validation_loss": float(-np.log(calibrated).mean()),
            "validation_top1": float((ranks < 1).mean()),
            "validation_top3": float((ranks < 3).mean()),
        }

    def _variables(self) -> dict[str, list[Any]]:
        return {
            "weights": list(self._tunable.network.weights),
            "seeds": self._tunable.seeds(),
            "optimizer": list(self._optimizer.variables),
        }

    def _arrays(self) -> dict[str, list[NDArray[Any]]]:
        arrays = {name: [np.asarray(one) for one in ones] for name, ones in self._variables().items()}
        return arrays | {"best": list(self._best)}

    def _restore(self, checkpoint: Checkpoint) -> Progress | None:
        loaded = checkpoint.load()
        if loaded is None:
            return None
        state, arrays = loaded
        for name, variables in self._variables().items():
            for variable, array in zip(variables, arrays.get(name, []), strict=True):
                variable.assign(array)
        self._best = arrays["best"]
        return state


def _optimizer(tunable: Tunable, settings: FinetuneSettings, steps: int) -> LayerwiseAdamW:
    total = steps * settings.epochs
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        max(1, total - round(settings.warmup * total)),
        warmup_target=settings.learning_rate,
        warmup_steps=max(1, round(settings.warmup * total)),
    )
    optimizer = LayerwiseAdamW(
        rate,
        weight_decay=settings.weight_decay,
        factors=depth_factors(tunable.backbone, settings.backbone_rate, settings.depth_rate),
        global_clipnorm=_GRADIENT_NORM,
        use_ema=True,
        ema_momentum=settings.averaging,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
