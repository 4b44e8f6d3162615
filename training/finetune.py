"""Fine-tuning: the second stage of transfer learning, from a finished run to a better one in a folder of its own.

The new run has the old one's split and classes, and can itself be the start of another fine-tuning: at a larger size,
say, with a low rate.
"""

import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm.keras import TqdmCallback

from training.batches import AugmentedBatches
from training.calibration import fit_temperature
from training.checkpoint import Checkpoint, Progress
from training.classes import find_classes
from training.data import Dataset, Picture, with_digests
from training.errors import DataError
from training.finetune_settings import FinetuneSettings
from training.head import class_weights
from training.pipeline import read_split
from training.pixels import decoded_pixels
from training.rates import LayerwiseAdamW, depth_factors
from training.runs import TUNED_BACKBONE, FinishedRun, read_run, save_backbone
from training.settings import code_version, write_json
from training.tunable import Tunable, backbone_and_head, build_tunable, probabilities_of

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


def finetune(
    start: Path,
    root: Path,
    cache: Path,
    run: Path,
    settings: FinetuneSettings,
    *,
    weights: str | None = None,
    on_validation: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Fine-tune what a run ended with, and write a run folder of the same kind.

    Where the run that it starts from has not been trained on the validation part, that part is measured after every
    pass, by the averaged weights: they are kept from the pass with the lowest loss, and passes without a better one
    end the training. Otherwise, or with `on_validation`, all passes are made on both parts, and the last is kept.

    Stopped at any time, the same call goes on after the last finished pass, to the same result.

    Args:
        start: The folder of the run to start from, of `train` or of this.
        root: The folder of its pictures.
        cache: The folder of all caches; decoded pictures are kept there.
        run: The new run's folder; made where missing.
        settings: How.
        weights: The backbone's first weights, see `runs.read_run`.
        on_validation: Train on the validation part too.
        progress: Whether to show progress bars.

    Returns:
        The new run's record, as in `run.json`.

    Raises:
        TrainingError: The run or the pictures are not there or not the same, or `run` holds another training.
    """
    before = read_run(start, weights=weights, size=(settings.height, settings.width))
    seen = bool(before.record["trained_on"]["validation_included"])
    parts = _parts(start, root, before, both=on_validation or seen)
    run.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(start / "split.csv", run / "split.csv")
    pixels = decoded_pixels(parts.pictures, cache, *settings.stored_size(), progress=progress)
    measured = None
    if parts.validation is not None:
        held_out = [parts.pictures[place] for place in parts.validation.tolist()]
        measured = decoded_pixels(held_out, cache, settings.height, settings.width, progress=progress)
    tunable = build_tunable(before, settings)
    training = _Training(tunable, parts, pixels, measured, settings, progress=progress)
    identity = {
        "settings": settings.as_json(),
        "start": hashlib.sha256((start / "head.npz").read_bytes()).hexdigest(),
        "data": before.record["data"]["fingerprint"],
        "pictures": len(parts.train),
    }
    state = training.run(Checkpoint(run / "checkpoint.npz", identity))
    record = _record(before, settings, parts, state, start.name)
    backbone, head = backbone_and_head(tunable.twin)
    write_json(run / "history.json", state.history)
    save_backbone(run / TUNED_BACKBONE, backbone)
    write_json(run / "run.json", record)
    head.save(run / "head.npz")
    return record


def _parts(start: Path, root: Path, before: FinishedRun, *, both: bool) -> Parts:
    split = start / "split.csv"
    everything = with_digests(read_split(split, root, "all"))
    if Dataset(tuple(everything)).fingerprint != before.record["data"]["fingerprint"]:
        raise DataError(
            f"The pictures under {root} are not those that {start} was trained on. "
            "Name that run's data folder, or train a head on these first."
        )
    kept = {name: {one.name for one in read_split(split, root, name)} for name in ("train", "validation")}
    pictures = [one for one in everything if one.name in kept["train"] | kept["validation"]]
    places = {
        name: np.array([n for n, one in enumerate(pictures) if one.name in names], np.int64)
        for name, names in kept.items()
    }
    known = find_classes(one.label for one in everything)
    place_of = {row["id"]: number for number, row in enumerate(before.record["classes"])}
    classes = np.array([place_of[known.ids[known.of_label[one.label]]] for one in pictures], np.int64)
    if both:
        return Parts(pictures, classes, np.arange(len(pictures)), None)
    return Parts(pictures, classes, places["train"], places["validation"])


class _Training:
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
        return row | {
            "temperature": fit_temperature(logits, truth),
            "validation_loss": float(-np.log(np.maximum(own, 1e-12)).mean()),
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


def _record(
    before: FinishedRun, settings: FinetuneSettings, parts: Parts, state: Progress, start: str
) -> dict[str, Any]:
    counts = np.bincount(parts.classes[parts.train], minlength=len(before.record["classes"])).tolist()
    stage = {
        "started_from": start,
        "settings": settings.as_json(),
        "best_epoch": state.best_epoch,
        "before": state.history[0],
        "after": state.history[state.best_epoch],
        "seconds": round(sum(row.get("seconds", 0.0) for row in state.history)),
        "validation_included": parts.validation is None,
    }
    # Without a measured part there is nothing to fit a temperature to; the start's is the nearest known.
    known = before.record.get("temperature") or before.record["chosen"].get("temperature", 1.0)
    return {
        **before.record,
        "code": code_version(),
        "temperature": stage["after"].get("temperature", known),
        "finetuning": [*before.record.get("finetuning", []), stage],
        "trained_on": {"pictures": len(parts.train), "validation_included": parts.validation is None},
        "classes": [
            row | {"trained_on": count} for row, count in zip(before.record["classes"], counts, strict=True)
        ],
    }
