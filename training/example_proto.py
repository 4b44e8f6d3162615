"""The message `tensorflow.Example`, built from its public definition, so that shards are read without TensorFlow.

Fields and numbers are those of `tensorflow/core/example/example.proto` and `feature.proto`; what one writes the other
reads. The messages live in a pool of their own and cannot clash with TensorFlow's.
"""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tensorflow"
_FIELD = descriptor_pb2.FieldDescriptorProto
_LISTS = {"BytesList": _FIELD.TYPE_BYTES, "FloatList": _FIELD.TYPE_FLOAT, "Int64List": _FIELD.TYPE_INT64}


@functools.cache
def example_class() -> Any:
    """The message class of `tensorflow.Example`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="training/example.proto", package=_PACKAGE, syntax="proto3"
    )
    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(_LISTS.items(), start=1):
        values = file.message_type.add(name=name)
        values.field.add(name="value", number=1, type=kind, label=_FIELD.LABEL_REPEATED)
        field_name = name.replace("List", "_list").lower()
        feature.field.add(**_message(field_name, number, name), label=_FIELD.LABEL_OPTIONAL, oneof_index=0)
    file.message_type.append(feature)

    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    entry.field.add(**_message("value", 2, "Feature"), label=_FIELD.LABEL_OPTIONAL)
    features.field.add(**_message("feature", 1, "Features.FeatureEntry"), label=_FIELD.LABEL_REPEATED)

    example = file.message_type.add(name="Example")
    example.field.add(**_message("features", 1, "Features"), label=_FIELD.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def _message(name: str, number: int, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "number": number,
        "type": _FIELD.TYPE_MESSAGE,
        "type_name": f".{_PACKAGE}.{kind}",
    }
