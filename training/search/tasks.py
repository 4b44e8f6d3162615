"""What is searched: heads on cached features, or settings of fine-tuning, behind one interface."""

import argparse
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import keras
import optuna

from training.asking_runs import measure_first_head, pictures_and_classes, twin_of
from training.errors import TrainingError
from training.finetune import finetune
from training.finetune_settings import FinetuneSettings
from training.head import Features, HeadSettings, RanAwayError, try_head
from training.head_options import head_arguments
from training.pipeline import Prepared
from training.runs import HEAD, read_run
from training.search.space import Draw, draw_finetuning, draw_head, unfreezing_depths
from training.settings import TrainSettings
from training.tunable import first_trained
from training.views import ORIGINAL, training_views
from training.watching import AfterEpoch

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Figures:
    """What an attempt gave on the validation part.

    Attributes:
        loss: The lowest loss of all epochs, at its temperature; what the search minimises.
        top1: The share of first answers that are right, at that epoch.
        top3: The share of right answers among the first three.
        epochs: That epoch, from 1 on.
        unseen_top1: The share of first answers that are right on other pictures, where some were named.
        unseen_top3: The same, among the first three.
    """

    loss: float
    top1: float
    top3: float
    epochs: int
    unseen_top1: float | None = None
    unseen_top3: float | None = None


class Task(Protocol[S]):
    """Something to search the settings of."""

    @property
    def command(self) -> str:
        """The subcommand that repeats an attempt."""

    @property
    def steps(self) -> int:
        """The most epochs or passes of an attempt."""

    @property
    def seed(self) -> int:
        """The seed of the trials."""

    @property
    def kept(self) -> Sequence[str]:
        """The parameters that are not drawn."""

    def identity(self) -> Mapping[str, Any]:
        """All that decides what is searched, as plain values."""

    def draw(self, draw: Draw) -> S:
        """Draw settings."""

    def attempt(self, settings: S, seed: int, after: AfterEpoch) -> Figures:
        """Train by some settings.

        Args:
            settings: The settings.
            seed: Seed of the training.
            after: Told each epoch's row; may raise `optuna.TrialPruned`.

        Returns:
            The figures.

        Raises:
            optuna.TrialPruned: `after` did, or the training ran away.
        """

    def as_json(self, settings: S) -> dict[str, Any]:
        """Settings as plain values."""

    def arguments(self, settings: S) -> list[str]:
        """The command's arguments that stand for settings."""


@dataclass(frozen=True, slots=True)
class HeadChoice:
    """A head, and how many random crops of a picture it is trained with."""

    head: HeadSettings
    crops: int


class HeadTask:
    """Heads on the cached features of prepared pictures."""

    command = "train"

    def __init__(self, prepared: Prepared, settings: TrainSettings, kept: Collection[str] = ()) -> None:
        """Load the features.

        Args:
            prepared: The pictures.
            settings: Their settings; the first of its heads is what is not drawn.
            kept: The parameters that are not drawn.
        """
        self._prepared = prepared
        self._settings = settings
        self._base = settings.heads[0]
        self.kept = sorted(kept)
        self._classes = len(prepared.classes.ids)
        views = training_views(settings.crops)
        self._train = prepared.features(prepared.split.train, views, settings.pooling)
        self._validation = prepared.features(prepared.split.validation, (ORIGINAL,), settings.pooling)
        self.steps = self._base.epochs
        self.seed = settings.seed

    def identity(self) -> Mapping[str, Any]:
        """See `Task`."""
        split = hashlib.sha256()
        for part in (self._prepared.split.train, self._prepared.split.validation):
            split.update(part.tobytes())
        return {
            "command": self.command,
            "settings": dataclasses.replace(self._settings, heads=(self._base,)).as_json(),
            "kept": self.kept,
            "backbone": self._prepared.backbone_fingerprint,
            "data": self._prepared.data.fingerprint,
            "split": split.hexdigest(),
        }

    def draw(self, draw: Draw) -> HeadChoice:
        """See `Task`."""
        return HeadChoice(*draw_head(draw, self._base, self._settings.crops))

    def attempt(self, settings: HeadChoice, seed: int, after: AfterEpoch) -> Figures:
        """See `Task`."""
        keras.utils.clear_session()
        views = len(training_views(settings.crops))
        trained = Features(self._train.views[:views], self._train.classes)
        try:
            found = try_head(
                trained,
                self._validation,
                settings.head,
                self._classes,
                seed=seed,
                progress=False,
                after_epoch=after,
            )
        except RanAwayError as error:
            raise optuna.TrialPruned(str(error)) from error
        return Figures(found.loss, found.top1, found.top3, found.epochs)

    def as_json(self, settings: HeadChoice) -> dict[str, Any]:
        """See `Task`."""
        return dataclasses.asdict(settings)

    def arguments(self, settings: HeadChoice) -> list[str]:
        """See `Task`."""
        return [*head_arguments(settings.head), "--crops", str(settings.crops)]


@dataclass(frozen=True, slots=True)
class FinetuneSource:
    """What is fine-tuned, as in `finetune.finetune`.

    Attributes:
        start: The run to start from.
        root: The folder of its pictures.
        cache: The folder of decoded pictures.
        weights: The backbone's first weights.
        targets: A table of targets.
        head_weights: What the losses of new heads count for.
        unseen: A split file whose test part is measured at the end, such as the pictures of a source left out.
    """

    start: Path
    root: Path
    cache: Path
    weights: str | None = None
    targets: Path | None = None
    head_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    unseen: Path | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> "FinetuneSource":
        """What the options of `finetune` name, and those of `ablate` beside them."""
        return cls(
            options.start,
            options.data,
            options.cache,
            options.backbone_weights,
            options.targets,
            dict(options.head_weight),
            getattr(options, "unseen", None),
        )


class FinetuneTask:
    """Settings of fine-tuning from one run."""

    command = "finetune"

    def __init__(
        self, source: FinetuneSource, base: FinetuneSettings, folder: Path, kept: Collection[str] = ()
    ) -> None:
        """Look at the run to start from.

        Args:
            source: What is fine-tuned.
            base: What is not drawn.
            folder: Where the runs of the trials lie while they last.
            kept: The parameters that are not drawn.

        Raises:
            TrainingError: The run is not there or was trained on the validation part, or no layer has the name to
                unfreeze from.
        """
        run = read_run(source.start, weights=source.weights)
        if run.saw_validation:
            raise TrainingError(
                f"{source.start} was trained on the validation part, so that nothing is left to choose by. "
                "Start from a run made with --final-on-train-only."
            )
        first_trained(run.backbone, base.unfreeze)
        self._source = source
        self._base = base
        self._folder = folder
        self.kept = sorted(kept)
        self._depths = unfreezing_depths([layer.name for layer in run.backbone.layers])
        self._fingerprint = run.record["data"]["fingerprint"]
        self.steps = base.epochs
        self.seed = base.seed

    def identity(self) -> Mapping[str, Any]:
        """See `Task`."""
        return {
            "command": self.command,
            "settings": self._base.as_json(),
            "kept": self.kept,
            "start": hashlib.sha256((self._source.start / HEAD).read_bytes()).hexdigest(),
            "data": self._fingerprint,
            "targets": _digest(self._source.targets),
            "head_weights": dict(self._source.head_weights),
            "unseen": _digest(self._source.unseen),
        }

    def draw(self, draw: Draw) -> FinetuneSettings:
        """See `Task`."""
        return draw_finetuning(draw, self._base, self._depths)

    def attempt(self, settings: FinetuneSettings, seed: int, after: AfterEpoch) -> Figures:
        """See `Task`; an attempt that was killed goes on from its last finished pass."""
        keras.utils.clear_session()
        settings = dataclasses.replace(settings, seed=seed)
        spelt = json.dumps(settings.as_json(), sort_keys=True).encode()
        run = self._folder / hashlib.sha256(spelt).hexdigest()[:16]
        try:
            record = finetune(
                self._source.start,
                self._source.root,
                self._source.cache,
                run,
                settings,
                weights=self._source.weights,
                targets=self._source.targets,
                head_weights=self._source.head_weights,
                progress=False,
                after_pass=after,
            )
        except optuna.TrialPruned:
            shutil.rmtree(run)
            raise
        except RanAwayError as error:
            shutil.rmtree(run)
            raise optuna.TrialPruned(str(error)) from error
        stage = record["finetuning"][-1]
        unseen = self._measure_unseen(run)
        shutil.rmtree(run)
        found = stage["after"]
        return Figures(
            found["validation_loss"],
            found["validation_top1"],
            found["validation_top3"],
            stage["best_epoch"],
            *unseen,
        )

    def _measure_unseen(self, folder: Path) -> tuple[float | None, float | None]:
        if self._source.unseen is None:
            return None, None
        run = read_run(folder)
        pixels, truth = pictures_and_classes(run, self._source.unseen, self._source.root, "test")
        found = measure_first_head(run, twin_of(run), pixels, truth)
        return found["validation_top1"], found["validation_top3"]

    def as_json(self, settings: FinetuneSettings) -> dict[str, Any]:
        """See `Task`."""
        return settings.as_json()

    def arguments(self, settings: FinetuneSettings) -> list[str]:
        """See `Task`."""
        values = settings.as_json()
        height, width = values.pop("height"), values.pop("width")
        values |= values.pop("augmentation") | values.pop("mixing")
        options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in values.items()]
        return ["--size", f"{height}x{width}", *(part for option in options for part in option)]


def _digest(file: Path | None) -> str | None:
    return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
