"""Optimisers by name, for heads and searches, with rates that go as far as each other."""

from dataclasses import dataclass
from typing import Any

import keras

from training.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Optimizer:
    """What is known of an optimiser before it is built.

    Attributes:
        kind: The Keras class.
        scale: Its usual learning rate as a multiple of AdamW's: a search draws one rate for all, in AdamW's terms.
        decays: Whether it takes a weight decay. All take it decoupled, multiplied by the rate, as AdamW does.
        fixed: Further arguments.
    """

    kind: type[Any]
    scale: float
    decays: bool = True
    fixed: tuple[tuple[str, Any], ...] = ()


#: AdamW: Loshchilov and Hutter 2019. Adam: Kingma and Ba 2015; with decay it would be AdamW, so it has none.
#: SGD with Nesterov momentum: Sutskever, Martens, Dahl and Hinton 2013. RMSprop: Tieleman and Hinton 2012.
#: Lion: Chen et al. 2023, who ask for a rate 3 to 10 times smaller than AdamW's, and a decay as much larger.
OPTIMIZERS = {
    "adamw": Optimizer(keras.optimizers.AdamW, 1.0),
    "adam": Optimizer(keras.optimizers.Adam, 1.0, decays=False),
    "sgd": Optimizer(keras.optimizers.SGD, 100.0, fixed=(("momentum", 0.9), ("nesterov", True))),
    "rmsprop": Optimizer(keras.optimizers.RMSprop, 0.3),
    "lion": Optimizer(keras.optimizers.Lion, 0.1),
}


def optimizer_named(name: str) -> Optimizer:
    """Look an optimiser up.

    Raises:
        TrainingError: There is none of that name.
    """
    if name not in OPTIMIZERS:
        raise TrainingError(f"There is no optimiser {name!r}; there are {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[name]


def build_optimizer(name: str, rate: Any, weight_decay: float) -> keras.optimizers.Optimizer:
    """Build an optimiser.

    Args:
        name: One of `OPTIMIZERS`.
        rate: The learning rate, or a schedule of it.
        weight_decay: Decoupled; biases and what belongs to normalisations have none. Adam takes none at all.

    Returns:
        The optimiser, not yet built for any variables.

    Raises:
        TrainingError: There is none of that name.
    """
    known = optimizer_named(name)
    optimizer = known.kind(rate, weight_decay=weight_decay if known.decays else None, **dict(known.fixed))
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
