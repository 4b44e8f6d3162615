"""The command `finetune`: its options, and what it does."""

import argparse
import dataclasses
from pathlib import Path

from training.augment import AugmentSettings
from training.distribution import folder_of_first, is_first
from training.finetune import finetune
from training.finetune_settings import PRECISIONS, FinetuneSettings
from training.mixing import MixSettings
from training.ranges import count, weight

#: Options that are fields of the settings of the same name, with what they say about themselves.
_FIELDS = {
    "shrink": "train on pictures smaller than the model's input by this factor",
    "room": "keep pictures on disk larger by this factor, for crops",
    "epochs": "passes over the training pictures",
    "batch": "pictures in a step",
    "learning_rate": "the head's highest rate",
    "backbone_rate": "the rate of the backbone's last layer, as a multiple of the head's",
    "depth_rate": "the rate of the first layer trained, as a share of the last one's",
    "fresh_rate": "the rate of new heads, as a multiple of the head's",
    "unfreeze": "the first backbone layer to train, by the start of its name; default: all",
    "warmup": "the share of all steps over which the rate rises",
    "weight_decay": "decoupled weight decay",
    "label_smoothing": "the share of a target spread over all classes",
    "dropout": "the share of features and hidden units dropped",
    "balance": "class weights n^-BALANCE",
    "averaging": "momentum of the moving average of the weights",
    "patience": "stop after so many passes without a better validation loss",
    "seed": "seed of all chance",
}
#: Those of them that are whole numbers from 1 on.
_COUNTS = frozenset({"epochs", "batch", "patience"})
_AUGMENTATION = {
    "smallest_area": "random crops have at least this share of the picture's area",
    "operations": "operations of RandAugment for each picture",
    "strength": "strength of each, 0 to 10",
    "degraded": "share of pictures that are blurred, made small or compressed",
}
_MIXING = {
    "mixup": "alpha of MixUp; 0: none",
    "cutmix": "alpha of CutMix; 0: none",
    "probability": "share of batches that are mixed",
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of fine-tuning to a parser, less the size of pictures."""
    command.add_argument("--start", type=Path, required=True, help="the run to start from")
    command.add_argument("--data", type=Path, required=True, help="the folder of that run's pictures")
    command.add_argument("--cache", type=Path, required=True, help="the folder for decoded pictures")
    command.add_argument("--run", type=Path, required=True, help="the folder for what this run writes")
    command.add_argument(
        "--backbone-weights", help="the weights file that a head's run used; default: imagenet"
    )
    command.add_argument(
        "--on-validation",
        action="store_true",
        help="train on the validation part too, all epochs, without measuring between",
    )
    command.add_argument(
        "--targets",
        type=Path,
        help="train on this table of pictures and targets, with a new head for new columns",
    )
    command.add_argument(
        "--head-weight",
        type=_weight,
        action="append",
        default=[],
        metavar="HEAD=WEIGHT",
        help="what the loss of a new head counts for; others count 1",
    )
    command.add_argument(
        "--precision", choices=PRECISIONS, default=PRECISIONS[0], help="how the backbone computes in training"
    )
    for fields, default in (
        (_FIELDS, FinetuneSettings()),
        (_AUGMENTATION, AugmentSettings()),
        (_MIXING, MixSettings()),
    ):
        for name, text in fields.items():
            value = getattr(default, name)
            of = count if name in _COUNTS else type(value)
            command.add_argument(
                f"--{name.replace('_', '-')}", type=of, default=value, help=f"{text} (%(default)s)"
            )


def _weight(text: str) -> tuple[str, float]:
    head, _, value = text.partition("=")
    try:
        return head, weight(value)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: a weight is given as HEAD=WEIGHT, for instance is_sport=0.5, and {error}"
        ) from None


def settings_from(options: argparse.Namespace) -> FinetuneSettings:
    """The settings that the options ask for."""
    height, width = options.size
    return dataclasses.replace(
        FinetuneSettings(**{name: getattr(options, name) for name in _FIELDS}),
        height=height,
        width=width,
        precision=options.precision,
        augmentation=AugmentSettings(**{name: getattr(options, name) for name in _AUGMENTATION}),
        mixing=MixSettings(**{name: getattr(options, name) for name in _MIXING}),
    )


def run_finetuning(options: argparse.Namespace) -> None:
    """Fine-tune, and say what it gave."""
    with folder_of_first(options.run) as run:
        record = finetune(
            options.start,
            options.data,
            options.cache,
            run,
            settings_from(options),
            weights=options.backbone_weights,
            on_validation=options.on_validation,
            targets=options.targets,
            head_weights=dict(options.head_weight),
            progress=is_first(),
        )
    if not is_first():
        return
    stage = record["finetuning"][-1]
    print(f"{stage['best_epoch']} epochs, {stage['seconds']} s, {record['trained_on']['pictures']} pictures")
    for when in ("before", "after"):
        figures = ", ".join(
            f"{name.removeprefix('validation_')} {stage[when][name]:.4f}"
            for name in ("validation_top1", "validation_top3", "validation_loss")
            if name in stage[when]
        )
        print(f"{when}: {figures or 'not measured, as all pictures but the test part were trained on'}")
