"""What a search draws: the parameters of heads and of fine-tuning, and the settings that a draw stands for."""

import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

from training.finetune_settings import FinetuneSettings
from training.head import HeadSettings
from training.optimizers import OPTIMIZERS, optimizer_named

_Choice = TypeVar("_Choice", int, str)

#: What each parameter is called in full.
TEXTS = {
    "optimizer": "optimiser",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "layers": "hidden layers",
    "hidden": "units of a hidden layer",
    "dropout": "dropout",
    "input_dropout": "dropout of features",
    "label_smoothing": "label smoothing",
    "mixup": "MixUp, alpha",
    "crops": "random crops of a picture",
    "backbone_rate": "rate of the backbone's last layer, times the head's",
    "depth_rate": "rate of the first layer trained, times the last one's",
    "unfreeze": "first layer trained",
    "strength": "strength of augmentation",
    "smallest_area": "smallest area of a crop",
    "probability": "share of batches mixed",
}
HEAD_PARAMETERS = (
    "optimizer",
    "learning_rate",
    "weight_decay",
    "layers",
    "hidden",
    "dropout",
    "input_dropout",
    "label_smoothing",
    "mixup",
    "crops",
)
FINETUNE_PARAMETERS = (
    "learning_rate",
    "backbone_rate",
    "depth_rate",
    "unfreeze",
    "strength",
    "smallest_area",
    "probability",
    "dropout",
    "weight_decay",
    "label_smoothing",
)
# The article's head has one. With more, or wider ones, a trial is no longer a matter of seconds on a CPU.
_MOST_LAYERS = 2
_BLOCK = re.compile(r"^.*?(?:stage_?\d+_block|block|mixed|expanded_conv|conv_dw|conv_pw|conv)_?\d+[a-z]?")


class Suggests(Protocol):
    """What is needed of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number between two others."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number between two others."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of some choices."""


class Draw:
    """Draws parameters from a trial; those that are kept are what they were."""

    def __init__(self, trial: Suggests, kept: Collection[str] = ()) -> None:
        self._trial = trial
        self._kept = frozenset(kept)

    def real(self, name: str, base: float, low: float, high: float, *, log: bool = False) -> float:
        """A number of three digits, so that a command line can repeat it."""
        if name in self._kept:
            return base
        return float(f"{self._trial.suggest_float(name, low, high, log=log):.3g}")

    def whole(self, name: str, base: int, low: int, high: int, *, log: bool = False) -> int:
        """A whole number."""
        return base if name in self._kept else self._trial.suggest_int(name, low, high, log=log)

    def one_of(self, name: str, base: _Choice, choices: Sequence[_Choice]) -> _Choice:
        """One of some choices."""
        if name in self._kept:
            return base
        chosen: _Choice = self._trial.suggest_categorical(name, choices)
        return chosen


class Recall(Draw):
    """Draws what the settings are already, as near as the ranges allow, and notes it for a first trial.

    Attributes:
        drawn: The values by name, of all parameters that a trial would be asked for.
    """

    def __init__(self, kept: Collection[str] = ()) -> None:
        self._kept = frozenset(kept)
        self.drawn: dict[str, Any] = {}

    def real(self, name: str, base: float, low: float, high: float, *, log: bool = False) -> float:  # noqa: ARG002
        """The number itself, moved to the nearer end of the range where it lies outside."""
        return float(self._noted(name, base, min(max(base, low), high)))

    def whole(self, name: str, base: int, low: int, high: int, *, log: bool = False) -> int:  # noqa: ARG002
        """Likewise."""
        return int(self._noted(name, base, min(max(base, low), high)))

    def one_of(self, name: str, base: _Choice, choices: Sequence[_Choice]) -> _Choice:
        """The choice itself, or the first where it is none of them."""
        near: _Choice = self._noted(name, base, base if base in choices else choices[0])
        return near

    def _noted(self, name: str, base: Any, near: Any) -> Any:
        if name in self._kept:
            return base
        self.drawn[name] = near
        return near


def draw_head(draw: Draw, base: HeadSettings, crops: int) -> tuple[HeadSettings, int]:
    """Draw a head.

    Learning rate and weight decay are drawn in AdamW's terms and brought to those of the optimiser, see
    `optimizers.OPTIMIZERS`: so one range fits all, and trials of one optimiser teach about the others.

    Args:
        draw: Where values come from.
        base: What is not drawn.
        crops: The most random crops there are features of.

    Returns:
        The settings, and how many crops to train with.
    """
    own = optimizer_named(base.optimizer).scale
    optimizer = draw.one_of("optimizer", base.optimizer, tuple(OPTIMIZERS))
    scale = OPTIMIZERS[optimizer].scale
    rate = draw.real("learning_rate", base.learning_rate / own, 2e-4, 2e-2, log=True)
    decay = base.weight_decay
    if OPTIMIZERS[optimizer].decays:
        decay = _digits(draw.real("weight_decay", base.weight_decay * own, 1e-3, 1.0, log=True) / scale)
    layers = draw.whole("layers", base.depth, 0, _MOST_LAYERS)
    hidden, dropout = 0, base.dropout
    if layers:
        hidden = draw.whole("hidden", base.hidden or HeadSettings().hidden, 128, 1024, log=True)
        dropout = draw.real("dropout", base.dropout, 0.0, 0.8)
    settings = dataclasses.replace(
        base,
        optimizer=optimizer,
        learning_rate=_digits(rate * scale),
        weight_decay=decay,
        layers=max(1, layers),
        hidden=hidden,
        dropout=dropout,
        input_dropout=draw.real("input_dropout", base.input_dropout, 0.0, 0.7),
        label_smoothing=draw.real("label_smoothing", base.label_smoothing, 0.0, 0.2),
        mixup=draw.real("mixup", base.mixup, 0.0, 0.8),
    )
    return settings, draw.whole("crops", crops, 0, crops) if crops else 0


def draw_finetuning(draw: Draw, base: FinetuneSettings, depths: Sequence[str]) -> FinetuneSettings:
    """Draw settings of fine-tuning.

    Args:
        draw: Where values come from.
        base: What is not drawn.
        depths: The layers that training may start from, see `unfreezing_depths`.

    Returns:
        The settings.
    """
    return dataclasses.replace(
        base,
        learning_rate=draw.real("learning_rate", base.learning_rate, 1e-5, 4e-4, log=True),
        backbone_rate=draw.real("backbone_rate", base.backbone_rate, 0.3, 8.0, log=True),
        depth_rate=draw.real("depth_rate", base.depth_rate, 0.05, 1.0, log=True),
        unfreeze=draw.one_of("unfreeze", base.unfreeze, tuple(depths)),
        weight_decay=draw.real("weight_decay", base.weight_decay, 1e-3, 0.5, log=True),
        label_smoothing=draw.real("label_smoothing", base.label_smoothing, 0.0, 0.2),
        dropout=draw.real("dropout", base.dropout, 0.0, 0.7),
        augmentation=dataclasses.replace(
            base.augmentation,
            strength=draw.real("strength", base.augmentation.strength, 0.0, 10.0),
            smallest_area=draw.real("smallest_area", base.augmentation.smallest_area, 0.15, 1.0),
        ),
        mixing=dataclasses.replace(
            base.mixing, probability=draw.real("probability", base.mixing.probability, 0.0, 0.9)
        ),
    )


def unfreezing_depths(layers: Sequence[str], count: int = 6) -> tuple[str, ...]:
    """Choose layers that training may start from.

    Args:
        layers: The names of the backbone's layers, in their order.
        count: How many to choose at most, all layers included.

    Returns:
        Starts of names, from the whole backbone (an empty one) to its last block, about evenly spaced. A backbone
        whose layers are not named by blocks gets layers of its own.
    """
    blocks = list(dict.fromkeys(found.group() for name in layers if (found := _BLOCK.match(name))))
    # The start of a name must not fit a layer before it: `block_1` fits `block_1_expand`, and no earlier layer.
    firsts = [next(n for n, name in enumerate(layers) if name.startswith(block)) for block in blocks]
    ordered = [block for _, block in sorted(zip(firsts, blocks, strict=True))]
    names = ordered[1:] if len(ordered) >= count else list(layers[1:])
    chosen = [names[round(n * (len(names) - 1) / (count - 2))] for n in range(count - 1)]
    return ("", *dict.fromkeys(chosen))


def _digits(value: float) -> float:
    return float(f"{value:.3g}")
