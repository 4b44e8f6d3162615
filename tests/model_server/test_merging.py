from typing import Any

import grpc
import numpy as np
import pytest

from model_server.batching import Task
from model_server.batching_config import BatchingOptions
from model_server.errors import ServingError
from model_server.merging import batch_size, merge, split

PLAIN = BatchingOptions()
PADDED = BatchingOptions(max_batch_size=8, allowed_batch_sizes=(4, 8))
VARIABLE = BatchingOptions(pad_variable_length_inputs=True)


def _task(**feeds: Any) -> Task:
    arrays = {name: np.asarray(values) for name, values in feeds.items()}
    return Task(arrays, batch_size(arrays))


def test_inputs_are_joined_and_outputs_divided() -> None:
    tasks = [_task(a=[1, 2], b=[5, 6]), _task(a=[3], b=[7])]
    merged = merge(tasks, PLAIN)
    assert {name: array.tolist() for name, array in merged.items()} == {"a": [1, 2, 3], "b": [5, 6, 7]}
    parts = split(tasks, {"y": merged["a"] * 2}, 3)
    assert [part["y"].tolist() for part in parts] == [[2, 4], [6]]


def test_a_batch_is_padded_with_a_row_of_the_last_task() -> None:
    tasks = [_task(a=[[1, 1]]), _task(a=[[2, 2]]), _task(a=np.empty((0, 2), int))]
    merged = merge(tasks, PADDED)
    assert merged["a"].tolist() == [[1, 1], [2, 2], [2, 2], [2, 2]]
    assert [len(part["a"]) for part in split(tasks, merged, 4)] == [1, 1, 0]


def test_a_batch_of_empty_tasks_has_no_row_to_pad_with() -> None:
    tasks = [_task(a=np.empty((0, 2), int)), _task(a=np.empty((0, 2), int))]
    merged = merge(tasks, PADDED)
    assert merged["a"].shape == (0, 2)
    assert [part["a"].shape for part in split(tasks, merged, 0)] == [(0, 2), (0, 2)]


def test_variable_lengths_are_padded_with_zeros() -> None:
    tasks = [_task(a=[[1, 2, 3]]), _task(a=[[4]])]
    assert merge(tasks, VARIABLE)["a"].tolist() == [[1, 2, 3], [4, 0, 0]]


def test_variable_strings_are_padded_with_empty_ones() -> None:
    tasks = [_task(a=np.array([[b"x", b"y"]], object)), _task(a=np.array([[b"z"]], object))]
    assert merge(tasks, VARIABLE)["a"].tolist() == [[b"x", b"y"], [b"z", b""]]


@pytest.mark.parametrize(
    ("feeds", "options", "code", "text"),
    [
        (
            [[[1, 2]], [[1]]],
            PLAIN,
            grpc.StatusCode.FAILED_PRECONDITION,
            "Tensors with name 'a' from different tasks",
        ),
        ([[1], [1.5]], PLAIN, grpc.StatusCode.INTERNAL, "Tensor concat operation failed: "),
        ([[[1]], [1]], VARIABLE, grpc.StatusCode.INVALID_ARGUMENT, "Cannot pad tensors with name 'a'"),
    ],
)
def test_what_cannot_be_joined(
    feeds: list[Any], options: BatchingOptions, code: grpc.StatusCode, text: str
) -> None:
    with pytest.raises(ServingError) as info:
        merge([_task(a=values) for values in feeds], options)
    assert info.value.code is code
    assert info.value.message.startswith(text)


def test_inputs_without_a_common_batch_dimension() -> None:
    with pytest.raises(ServingError, match="at least one dimension"):
        batch_size({"a": np.array(1)})
    with pytest.raises(ServingError, match="equal 0th-dimension size"):
        batch_size({"a": np.zeros(1), "b": np.zeros(2)})
    with pytest.raises(ServingError, match="at least one input tensor"):
        batch_size({})


@pytest.mark.parametrize(
    ("output", "text"), [(np.array(1), "0 dimensions"), (np.zeros(3), "does not equal the sum")]
)
def test_outputs_without_the_batch_dimension(output: Any, text: str) -> None:
    with pytest.raises(ServingError, match=text) as info:
        split([_task(a=[1, 2])], {"y": output}, 2)
    assert info.value.code is grpc.StatusCode.FAILED_PRECONDITION
