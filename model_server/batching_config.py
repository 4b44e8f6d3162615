"""Reading ``BatchingParameters``, the settings of batching.

The message belongs to TensorFlow Serving's ``session_bundle_config.proto``, which the tensorflow-serving-api package
leaves out. Its fields are declared here, in a descriptor pool of their own, so that the very same text file serves
both servers.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from model_server.errors import invalid_argument

_INT64_VALUE: Final = ".google.protobuf.Int64Value"
_STRING_VALUE: Final = ".google.protobuf.StringValue"
_FIELDS: Final = (
    ("max_batch_size", 1, _INT64_VALUE),
    ("batch_timeout_micros", 2, _INT64_VALUE),
    ("max_enqueued_batches", 3, _INT64_VALUE),
    ("num_batch_threads", 4, _INT64_VALUE),
    ("thread_pool_name", 5, _STRING_VALUE),
    ("allowed_batch_sizes", 6, "repeated int64"),
    ("pad_variable_length_inputs", 7, "bool"),
)


@dataclass(frozen=True)
class BatchingOptions:
    """The settings of batching; the defaults are the real server's.

    Attributes:
        max_batch_size: The largest batch, and the largest single request.
        batch_timeout_micros: How long an incomplete batch waits for more, in microseconds.
        max_enqueued_batches: Batches that may wait in one queue.
        num_batch_threads: Batches run at once, over all queues.
        allowed_batch_sizes: Ascending sizes to which batches are padded; empty: any size, no padding.
        pad_variable_length_inputs: Pad inputs of different shapes with zeros instead of refusing them.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False

    def padded_size(self, size: int) -> int:
        """Gives the size to which a batch is padded."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)


def read_batching_file(path: Path) -> BatchingOptions:
    """Reads a text ``BatchingParameters``.

    Args:
        path: The file.

    Returns:
        The settings, defaults filled in.

    Raises:
        ServingError: INVALID_ARGUMENT when the file cannot be read, has an unknown field, or makes no sense.
    """
    try:
        return parse_batching(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise invalid_argument(f"Could not read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise invalid_argument(f"Could not read {path}: {error}") from error


def parse_batching(text: str) -> BatchingOptions:
    """Reads ``BatchingParameters`` from its text form; see `read_batching_file`."""
    try:
        message: Any = text_format.Parse(text, _message_class()())
    except text_format.ParseError as error:
        raise invalid_argument(f"Invalid batching parameters: {error}") from error
    given: dict[str, Any] = {
        name: getattr(message, name).value
        for name, _, kind in _FIELDS
        if kind == _INT64_VALUE and message.HasField(name)
    }
    options = BatchingOptions(
        **given,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )
    _check(options)
    return options


def _check(options: BatchingOptions) -> None:
    for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
        if getattr(options, name) < 1:
            raise invalid_argument(f"{name} must be positive; was {getattr(options, name)}")
    if options.batch_timeout_micros < 0:
        raise invalid_argument(
            f"batch_timeout_micros must be non-negative; was {options.batch_timeout_micros}"
        )
    sizes = options.allowed_batch_sizes
    if sizes and (sizes[0] < 1 or sorted(set(sizes)) != list(sizes)):
        raise invalid_argument("allowed_batch_sizes entries must be positive and monotonically increasing")
    if sizes and sizes[-1] != options.max_batch_size:
        raise invalid_argument(
            f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {sizes[-1]}; "
            f"expected {options.max_batch_size}"
        )


def _message_class() -> Any:
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="batching_parameters.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, number, kind in _FIELDS:
        row = message.field.add(name=name, number=number, label=field_type.LABEL_OPTIONAL)
        if kind == "repeated int64":
            row.label, row.type = field_type.LABEL_REPEATED, field_type.TYPE_INT64
        elif kind == "bool":
            row.type = field_type.TYPE_BOOL
        else:
            row.type, row.type_name = field_type.TYPE_MESSAGE, kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters")
    )
