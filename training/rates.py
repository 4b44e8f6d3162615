"""AdamW with a learning rate of its own for each variable: discriminative fine-tuning in any Keras backend."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray


class LayerwiseAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW whose step, and whose weight decay, are multiplied by a factor for each variable.

    Discriminative rates: Howard and Ruder 2018, "Universal language model fine-tuning for text classification",
    section 3.2.
    """

    def __init__(self, *args: Any, factors: Mapping[str, float | NDArray[np.float32]], **kwargs: Any) -> None:
        """Make the optimiser.

        Args:
            args: As for `keras.optimizers.AdamW`.
            factors: The factor of each variable, by its `path`, or one for each of its last axis; others have 1.
            kwargs: As for `keras.optimizers.AdamW`.
        """
        super().__init__(*args, **kwargs)
        self._factors = dict(factors)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step for one variable, decay included."""
        # With TensorFlow the variable is its own kind, without a path; the optimiser knows Keras' by its place.
        known = self._trainable_variables[self._get_variable_index(variable)]
        rate = ops.cast(learning_rate, variable.dtype) * self._factors.get(known.path, 1.0)
        if self.weight_decay is not None and self._use_weight_decay(known):
            self.assign_sub(variable, variable * ops.cast(self.weight_decay, variable.dtype) * rate)
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Do nothing: Keras would decay all variables at one rate; `update_step` decays each at its own."""

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """End a pass: with averaging the variables become copies of their averages, as Keras has it.

        Keras gives a variable the very array of its average, and JAX refuses to take another step with one array
        given twice.
        """
        super().finalize_variable_values(var_list)
        if self.use_ema:
            for variable in var_list:
                variable.assign(ops.copy(variable))


def depth_factors(network: keras.Model, last: float, first: float) -> dict[str, float | NDArray[np.float32]]:
    """Factors for the trainable variables of a backbone, falling from its end to its start.

    Args:
        network: The backbone.
        last: The factor at its last layer.
        first: What that factor is multiplied by at the first trainable layer; between, geometrically.

    Returns:
        The factor of each trainable variable, by its `path`.
    """
    layers = [layer for layer in network.layers if layer.trainable_variables]
    steps = max(1, len(layers) - 1)
    return {
        variable.path: last * first ** ((len(layers) - 1 - place) / steps)
        for place, layer in enumerate(layers)
        for variable in layer.trainable_variables
    }
