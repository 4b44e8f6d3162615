"""The probabilities that a version would give without the temperature in its graph."""

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from training.calibration import softmax
from training.errors import ExportError

_OUTPUT = "probabilities"
#: From pixels, uint8 [batch, height, width, 3], to the probabilities of all classes, float32 [batch, classes].
AllProbabilities = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def all_probabilities(signature: tf.types.experimental.ConcreteFunction) -> AllProbabilities:
    """Reach the probabilities of all classes inside an exported graph, of which the signature gives the highest.

    The signature's own graph is made flat, and read where it sorts.

    Args:
        signature: From `export.export_classifier`.

    Returns:
        A function of pixels.

    Raises:
        ExportError: The graph does not sort its probabilities as ours do.
    """
    flat = convert_variables_to_constants_v2(signature)
    # A product model sorts the groups of its types too: the sort looked for is the one behind this output.
    named = signature.structured_outputs
    if not isinstance(named, dict) or _OUTPUT not in named:
        raise ExportError(f"The graph has no output {_OUTPUT}, as an exported classifier has.")
    behind = flat.outputs[sorted(named).index(_OUTPUT)].op
    while behind.type in {"Identity", "IdentityN"}:
        behind = behind.inputs[0].op
    if behind.type != "TopKV2":
        raise ExportError(f"The graph does not sort its {_OUTPUT}, as an exported classifier does.")
    reach = flat.prune(flat.inputs, behind.inputs[0])

    def probabilities(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(reach(tf.constant(pixels)))

    return probabilities


def untempered_confidences(
    probabilities: AllProbabilities, batches: Iterable[NDArray[np.uint8]], temperature: float
) -> NDArray[np.float64]:
    """What the first answers' probabilities would be with a temperature of 1.

    softmax(z / T) is the model's answer, so T times its logarithm is z, but for a constant that changes no
    probability.

    Args:
        probabilities: From `all_probabilities`.
        batches: The pictures, uint8 [batch, height, width, 3] each.
        temperature: What the graph divides its logits by.

    Returns:
        float64 [pictures].
    """
    found = []
    for pixels in batches:
        served = np.maximum(probabilities(pixels), np.finfo(np.float32).tiny)
        found.append(softmax(temperature * np.log(served)).max(axis=1))
    return np.concatenate(found) if found else np.empty(0)
