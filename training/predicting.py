"""Asking a network for its answers, batch by batch, in any backend and on any number of devices."""

import keras
import numpy as np
from numpy.typing import NDArray

from training.distribution import replicas, spread


def predict(
    network: keras.Model, inputs: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8], *, batch: int
) -> NDArray[np.float32]:
    """Ask a network.

    Args:
        network: The network, with one input and one output.
        inputs: [n, ...]: in any dtype and of any number, also mapped from a file.
        batch: How many at a time.

    Returns:
        float32 [n, ...]: the answers, without training state such as dropout.
    """
    size = -(-batch // replicas()) * replicas()
    answers = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size].astype(np.float32)
        asked = len(part)
        if network.jit_compile and asked < size:
            # A network that is compiled would be compiled again for a batch of another size.
            part = np.concatenate([part, np.zeros((size - asked, *part.shape[1:]), np.float32)])
        answers.append(np.asarray(network.predict_on_batch(spread(part))[:asked], np.float32))
    return np.concatenate(answers)
