import os
from pathlib import Path

import grpc
import pytest

from model_server.batching_config import BatchingOptions, parse_batching, read_batching_file
from model_server.errors import ServingError

ROOT = Path(__file__).parents[2]


def test_the_shipped_settings() -> None:
    options = read_batching_file(ROOT / "serving_config" / "batching.config")
    assert options.max_batch_size >= 1
    assert options.batch_timeout_micros == 0


def test_defaults_are_those_of_the_real_server() -> None:
    assert parse_batching("") == BatchingOptions(
        1000, 0, 10, os.cpu_count() or 1, (), pad_variable_length_inputs=False
    )


def test_every_field() -> None:
    options = parse_batching(
        """
        max_batch_size { value: 8 } batch_timeout_micros { value: 500 } max_enqueued_batches { value: 3 }
        num_batch_threads { value: 5 } thread_pool_name { value: "x" }
        allowed_batch_sizes: 2 allowed_batch_sizes: 8 pad_variable_length_inputs: true
        """
    )
    assert options == BatchingOptions(8, 500, 3, 5, (2, 8), pad_variable_length_inputs=True)


def test_sizes_are_padded_to_the_next_allowed_one() -> None:
    options = BatchingOptions(max_batch_size=8, allowed_batch_sizes=(2, 8))
    assert [options.padded_size(size) for size in (1, 2, 3, 8)] == [2, 2, 8, 8]
    assert BatchingOptions().padded_size(7) == 7


@pytest.mark.parametrize(
    "text",
    [
        "max_batch_size { value: 0 }",
        "max_enqueued_batches { value: 0 }",
        "num_batch_threads { value: -1 }",
        "batch_timeout_micros { value: -1 }",
        "max_batch_size { value: 8 } allowed_batch_sizes: 4",
        "max_batch_size { value: 8 } allowed_batch_sizes: 8 allowed_batch_sizes: 8",
        "max_batch_size { value: 8 } allowed_batch_sizes: 0 allowed_batch_sizes: 8",
        "no_such_field: 1",
        "max_batch_size: 8",
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ServingError) as info:
        parse_batching(text)
    assert info.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("binary", "missing"):
        with pytest.raises(ServingError):
            read_batching_file(tmp_path / name)
