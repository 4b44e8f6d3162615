"""Joining the inputs of a batch's tasks, and dividing its outputs among them.

The rules and messages are those of TensorFlow Serving's ``BatchingSession``.
"""

from collections.abc import Mapping, Sequence

import grpc
import numpy as np

from model_server.batching import Outputs, Task
from model_server.batching_config import BatchingOptions
from model_server.errors import ServingError, failed_precondition, invalid_argument
from model_server.tensors import Array, dtype_name


def batch_size(feeds: Mapping[str, Array]) -> int:
    """Gives the first dimension that all inputs of one request share.

    Raises:
        ServingError: INVALID_ARGUMENT when an input has no dimension, the first dimensions differ, or there is no
            input at all.
    """
    arrays = list(feeds.values())
    if not arrays:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in arrays):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    if len({array.shape[0] for array in arrays}) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return int(arrays[0].shape[0])


def merge(tasks: Sequence[Task], options: BatchingOptions) -> dict[str, Array]:
    """Joins the inputs along the first dimension and pads them to an allowed batch size.

    Args:
        tasks: At least one, all with the same input names.
        options: The padding rules.

    Returns:
        Array of each tensor name, first dimension ``options.padded_size(sum of sizes)``, or 0 for empty tasks alone.

    Raises:
        ServingError: FAILED_PRECONDITION for different shapes without padding, INTERNAL for different dtypes.
    """
    total = sum(task.size for task in tasks)
    # Without a row there is none to pad with.
    padding = options.padded_size(total) - total if total else 0
    merged = {}
    for name in sorted(tasks[0].feeds):
        parts = [task.feeds[name] for task in tasks]
        if options.pad_variable_length_inputs:
            parts = _same_shapes(name, parts)
        elif len({part.shape[1:] for part in parts}) > 1:
            raise failed_precondition(
                f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off."
                "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name"
                "have equal dimensions starting with the first dim."
            )
        if len({part.dtype for part in parts}) > 1:
            raise ServingError(
                grpc.StatusCode.INTERNAL,
                "Tensor concat operation failed: INVALID_ARGUMENT: cannot concatenate tensors of types "
                + ", ".join(sorted({dtype_name(part) for part in parts})),
            )
        if padding:
            # A row that is known to be a valid input: the first of the last task that has one.
            filled = next(part for part in reversed(parts) if len(part))
            parts = [*parts, np.repeat(filled[:1], padding, axis=0)]
        merged[name] = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return merged


def split(tasks: Sequence[Task], outputs: Mapping[str, Array], rows: int) -> list[Outputs]:
    """Divides the outputs of a batch.

    Args:
        tasks: Those of the batch, in the order they were merged in.
        outputs: Array of each tensor name.
        rows: First dimension of the merged inputs, padding included.

    Returns:
        The outputs of each task, as views.

    Raises:
        ServingError: FAILED_PRECONDITION when an output does not have the batch dimension.
    """
    for array in outputs.values():
        if array.ndim == 0:
            raise failed_precondition("Batched output tensor has 0 dimensions")
        if array.shape[0] != rows:
            raise failed_precondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                "input tensors"
            )
    parts: list[Outputs] = []
    start = 0
    for task in tasks:
        parts.append({name: array[start : start + task.size] for name, array in outputs.items()})
        start += task.size
    return parts


def _same_shapes(name: str, parts: Sequence[Array]) -> list[Array]:
    if len({part.ndim for part in parts}) > 1:
        raise invalid_argument(
            f"Cannot pad tensors with name '{name}' from different tasks: their numbers of dimensions differ"
        )
    sizes = np.max([part.shape[1:] for part in parts], axis=0, initial=0)
    padded = []
    for part in parts:
        widths = [(0, 0), *((0, int(size) - have) for size, have in zip(sizes, part.shape[1:], strict=True))]
        empty: object = b"" if part.dtype.kind == "O" else np.zeros((), part.dtype)
        target = np.full(
            [have + more for have, (_, more) in zip(part.shape, widths, strict=True)], empty, part.dtype
        )
        target[tuple(slice(have) for have in part.shape)] = part
        padded.append(target)
    return padded
