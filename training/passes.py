"""The passes of a fine-tuning: trained, averaged, measured, kept, and stopped early."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm.keras import TqdmCallback

from training.batches import AugmentedBatches
from training.checkpoint import Checkpoint, Progress, Saved
from training.data import Picture
from training.finetune_settings import FinetuneSettings
from training.head import RanAwayError, class_weights
from training.head_set import UNKNOWN, HeadSet, HeadsLoss
from training.rates import LayerwiseAdamW, depth_factors
from training.tunable import Tunable, probabilities_of
from training.watching import measure_logits

# Against a rare batch whose gradient would throw away what many have reached; usual norms are far below.
_GRADIENT_NORM = 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What is trained on and what is measured, as places in one list of pictures.

    Attributes:
        pictures: All of them.
        classes: int64 [pictures, heads], `head_set.UNKNOWN` where nobody knows.
        train: int64: places to train on.
        validation: int64: places to measure on, which no weight has seen; None where all were trained on.
    """

    pictures: Sequence[Picture]
    classes: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64] | None

    @property
    def digest(self) -> str:
        """SHA-256 of the classes and the places: which picture teaches what, and which are measured."""
        validation = self.validation if self.validation is not None else np.zeros(0, np.int64)
        whole = hashlib.sha256()
        for array in (self.classes, self.train, validation):
            whole.update(f"{array.shape}".encode())
            whole.update(np.ascontiguousarray(array, "<i8").tobytes())
        return whole.hexdigest()


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
        after_pass: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Prepare the passes.

        Args:
            tunable: What is trained.
            parts: The pictures.
            pixels: uint8 [pictures, height, width, 3], of any size, in the order of `parts.pictures`.
            measured: uint8 [validation pictures, height, width, 3] at the size of the model's input.
            settings: How.
            progress: Whether to show a progress bar, and a line after each pass.
            after_pass: Called with the row of each pass, before it is saved; what it raises ends the training. That
                of a pass that ran away has `ran_away` in place of figures.
        """
        self._tunable = tunable
        self._parts = parts
        self._pixels = pixels
        self._held_out = measured
        self._settings = settings
        self._progress = progress
        self._after_pass = after_pass
        self._weights = _weights(tunable.heads, parts.classes[parts.train], settings.balance)
        self._steps = len(self._batches(0))
        self._optimizer = _optimizer(tunable, settings, self._steps)
        self._best: list[NDArray[np.float32]] = []

    def run(self, checkpoint: Checkpoint, found: Saved | None) -> Progress:
        """Make the passes that are still to be made, and give the twin the weights to keep.

        Args:
            checkpoint: Where the state is saved after each pass.
            found: What was loaded from there, None if nothing; its arrays are taken out, to take no memory twice.

        Raises:
            RanAwayError: The very first pass ended in weights, a loss or answers that are not finite. A later one
                that does ends the training, and what was best before it is kept.
        """
        self._tunable.network.compile(
            self._optimizer,
            loss=HeadsLoss(self._tunable.heads.slices.values(), self._settings.label_smoothing),
        )
        self._optimizer.build(self._tunable.network.trainable_variables)
        state = self._restored(found) if found else Progress(history=[self._measured(0)])
        while state.epochs_done < self._settings.epochs and not self._is_over(state):
            self._pass(state)
            checkpoint.save(state, self._arrays())
        self._tunable.twin.set_weights(self._best)
        return state

    def _is_over(self, state: Progress) -> bool:
        if state.history[-1].get("ran_away"):
            return True  # weights that are no longer numbers do not recover
        waited = state.epochs_done - state.best_epoch
        return self._parts.validation is not None and waited >= self._settings.patience

    def _pass(self, state: Progress) -> None:
        begun = time.monotonic()
        bar = [TqdmCallback(verbose=1, mininterval=10)] if self._progress else []
        fitted = self._tunable.network.fit(
            self._batches(state.epochs_done), epochs=1, shuffle=False, verbose=0, callbacks=bar
        )
        state.epochs_done += 1
        averaged = self._averaged()
        self._tunable.twin.set_weights(averaged)
        row = self._measured(state.epochs_done)
        row |= {"loss": float(fitted.history["loss"][-1]), "seconds": round(time.monotonic() - begun, 1)}
        if _is_finite(row, averaged):
            self._keep_if_best(state, row)
        else:
            row = self._ran_away(state, row)
        state.history.append(row)
        if self._progress:
            print(_line(row, state.best_epoch), flush=True)
        if self._after_pass is not None:
            self._after_pass(row)

    def _keep_if_best(self, state: Progress, row: dict[str, Any]) -> None:
        losses = [one["validation_loss"] for one in state.history[1:] if "validation_loss" in one]
        if row.get("validation_loss", 0.0) < min(losses, default=np.inf) or self._parts.validation is None:
            state.best_epoch = state.epochs_done
            self._best = self._tunable.twin.get_weights()

    def _ran_away(self, state: Progress, row: dict[str, Any]) -> dict[str, Any]:
        """The row of a pass that ends the training with what was best before it; it has no figures to tell."""
        if not state.best_epoch:
            raise RanAwayError(
                f"The first pass gave no finite answers at a learning rate of {self._settings.learning_rate:g}. "
                "Give a lower --learning-rate."
            )
        return {"epoch": row["epoch"], "ran_away": True, "seconds": row["seconds"]}

    def _batches(self, epoch: int) -> AugmentedBatches:
        parts = self._parts
        return AugmentedBatches(
            self._pixels,
            parts.train,
            parts.classes,
            self._tunable.heads,
            self._weights,
            self._settings,
            epoch,
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
        answers = probabilities_of(self._tunable.twin, self._held_out)
        classes = self._parts.classes[self._parts.validation]
        heads = self._tunable.heads
        rows = {
            head.name: _figures(answers[:, part], classes[:, place])
            for place, (head, part) in enumerate(zip(heads.heads, heads.slices.values(), strict=True))
            if (classes[:, place] != UNKNOWN).any()
        }
        if not all(np.isfinite(one["loss"]) for one in rows.values()):
            return row | {"validation_loss": float("inf")}
        # Pictures may know nothing of the first head: products, when they alone are trained on.
        first = rows.get(heads.heads[0].name) or next(iter(rows.values()))
        # By pictures: a head that three of them are known for must not decide which pass is kept.
        weights = {name: heads[name].weight * one["pictures"] for name, one in rows.items()}
        loss = sum(weights[name] * one["loss"] for name, one in rows.items()) / sum(weights.values())
        return row | {
            "temperature": first["temperature"],
            "validation_loss": loss,
            "validation_top1": first["top1"],
            "validation_top3": first["top3"],
            "heads": rows,
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

    def _restored(self, found: Saved) -> Progress:
        state, arrays = found
        for name, variables in self._variables().items():
            for variable, array in zip(variables, arrays.pop(name, []), strict=True):
                variable.assign(array)
        self._best = arrays.pop("best")
        return state


def _weights(heads: HeadSet, classes: NDArray[np.int64], balance: float) -> list[NDArray[np.float32]]:
    """What a picture of each class counts for, for each head, float32 [classes]."""
    weights = []
    for place, head in enumerate(heads.heads):
        known = classes[:, place][classes[:, place] != UNKNOWN]
        of_classes = class_weights(known, len(head.ids), balance) if len(known) else np.ones(len(head.ids))
        weights.append((head.weight * of_classes).astype(np.float32))
    return weights


def _is_finite(row: dict[str, Any], weights: Sequence[NDArray[np.float32]]) -> bool:
    """Whether a pass ended in numbers: its losses, and its weights, as its last step is in no loss."""
    losses = (row["loss"], row.get("validation_loss", 0.0))
    return bool(np.isfinite(losses).all()) and all(np.isfinite(one).all() for one in weights)


def _figures(answers: NDArray[np.float32], classes: NDArray[np.int64]) -> dict[str, Any]:
    """How well one head answers the pictures whose class is known; see `watching.measure_logits`."""
    known = np.flatnonzero(classes != UNKNOWN)
    measured = measure_logits(np.log(np.maximum(answers[known], 1e-12)), classes[known])
    return {"pictures": len(known)} | {
        name.removeprefix("validation_"): value for name, value in measured.items()
    }


def _line(row: dict[str, Any], best_epoch: int) -> str:
    if row.get("ran_away"):
        return f"epoch {row['epoch']} ran away; kept is epoch {best_epoch}"
    told = {key: value for key, value in row.items() if key != "heads"}
    told |= {f"{name}:top1": one["top1"] for name, one in row.get("heads", {}).items()}
    return " ".join(f"{key} {value:.4g}" for key, value in told.items())


def _optimizer(tunable: Tunable, settings: FinetuneSettings, steps: int) -> LayerwiseAdamW:
    total = steps * settings.epochs
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        max(1, total - round(settings.warmup * total)),
        warmup_target=settings.learning_rate,
        warmup_steps=max(1, round(settings.warmup * total)),
    )
    factors = depth_factors(tunable.backbone, settings.backbone_rate, settings.depth_rate)
    if tunable.fresh:
        columns = np.ones(tunable.heads.columns, np.float32)
        columns[-tunable.fresh :] = settings.fresh_rate
        factors |= dict.fromkeys((one.path for one in tunable.network.get_layer("logits").weights), columns)
    optimizer = LayerwiseAdamW(
        rate,
        weight_decay=settings.weight_decay,
        factors=factors,
        global_clipnorm=_GRADIENT_NORM,
        use_ema=True,
        ema_momentum=settings.averaging,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
