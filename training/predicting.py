"""Asking a network for its answers, batch by batch, in any backend and on any number of devices."""

import keras
import numpy as np
from numpy.typing import NDArray

from training.distribution import replicas, spread


def predict(
    network: keras.Model,
    inputs: NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8],
    *,
    batch: int,
    output: str | None = None,
) -> NDArray[np.float32]:
    """Ask a network.

    Args:
        network: The network, with one input.
        inputs: [n, ...]: in any dtype and of any number, also mapped from a file.
        batch: How many at a time.
        output: Which of the network's outputs to give, where they have names.

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
        answered = network.predict_on_batch(spread(part))
        answers.append(np.asarray((answered if output is None else answered[output])[:asked], np.float32))
    return np.concatenate(answers)
