"""Our message classes against those of the installed tensorflow-serving-api."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from tensorflow_serving.apis import (  # noqa: F401 - importing them fills the default descriptor pool
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from proto_client import messages

OFFICIAL: Any = Default()  # the stubs have two kinds of descriptors, and take neither for the other
OURS: Any = messages.TensorProto.DESCRIPTOR.file.pool

_DEPTH = 4


def _files() -> FileDescriptorSet:
    path = Path(messages.__file__).parent / "generated" / "serving.binpb"
    return FileDescriptorSet.FromString(path.read_bytes())


MESSAGES = [f"{file.package}.{message.name}" for file in _files().file for message in file.message_type]
ENUMS = [f"{file.package}.{made.name}" for file in _files().file for made in file.enum_type]


def _describe_enum(enum: Any) -> dict[str, int]:
    return {value.name: value.number for value in enum.values}


def _describe_field(field: Any) -> dict[str, object]:
    return {
        "name": field.name,
        "full_name": field.full_name,
        "json_name": field.json_name,
        "number": field.number,
        "type": field.type,
        "repeated": field.is_repeated,
        "required": field.is_required,
        "presence": field.has_presence,
        "packed": field.is_packed,
        "default": None if field.message_type else field.default_value,
        "oneof": field.containing_oneof.name if field.containing_oneof else None,
        "message": field.message_type.full_name if field.message_type else None,
        "map": bool(field.message_type and field.message_type.GetOptions().map_entry),
        "enum": (field.enum_type.full_name, _describe_enum(field.enum_type)) if field.enum_type else None,
    }


def _describe(message: Any) -> dict[str, object]:
    return {
        "full_name": message.full_name,
        "fields": [_describe_field(field) for field in message.fields],
        "oneofs": [(oneof.name, [field.name for field in oneof.fields]) for oneof in message.oneofs],
        "enums": {enum.full_name: _describe_enum(enum) for enum in message.enum_types},
        "nested": [_describe(nested) for nested in message.nested_types],
    }


def test_the_pools_are_apart() -> None:
    assert OURS is not OFFICIAL
    assert messages.TensorProto is not GetMessageClass(
        OFFICIAL.FindMessageTypeByName("tensorflow.TensorProto")
    )


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_the_official_one_field_by_field(name: str) -> None:
    ours, official = (pool.FindMessageTypeByName(name) for pool in (OURS, OFFICIAL))
    assert _describe(ours) == _describe(official)
    texts = []
    for message in (ours, official):  # and whatever the description above may have missed
        texts.append(DescriptorProto())
        message.CopyToProto(texts[-1])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", ENUMS)
def test_every_enum_is_the_official_one(name: str) -> None:
    ours, official = (pool.FindEnumTypeByName(name) for pool in (OURS, OFFICIAL))
    assert _describe_enum(ours) == _describe_enum(official)
    texts = []
    for enum in (ours, official):
        texts.append(EnumDescriptorProto())
        enum.CopyToProto(texts[-1])
    assert texts[0] == texts[1]


def test_every_exported_class_is_among_the_compared() -> None:
    for name in messages.__all__:
        exported = getattr(messages, name)
        assert exported.DESCRIPTOR.full_name in {*MESSAGES, *ENUMS}
        assert exported.DESCRIPTOR.name == {"ErrorCode": "Code"}.get(name, name)


_SCALARS: dict[int, Any] = {
    FieldDescriptor.TYPE_STRING: "Zürich",
    FieldDescriptor.TYPE_BYTES: b"\x00\xff",
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_FLOAT: 0.5,
    FieldDescriptor.TYPE_DOUBLE: -0.1,
}


def _value(field: Any, salt: int) -> Any:
    """A value that is not the field's default, and not that of its neighbours for numbers."""
    if field.enum_type:
        numbers = [value.number for value in field.enum_type.values]
        return numbers[1 + salt % (len(numbers) - 1)]
    return _SCALARS.get(field.type, 1 + field.number + salt)


def _fill(message: Message, depth: int) -> None:
    """Sets every field, of a oneof the last, down to some depth."""
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is None:
            if field.is_repeated:
                value.extend(_value(field, salt) for salt in range(3))
            else:
                setattr(message, field.name, _value(field, 0))
        elif field.message_type.GetOptions().map_entry:
            key, held = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            if held.message_type is None:
                value[_value(key, 0)] = _value(held, 0)
            elif depth:
                _fill(value[_value(key, 0)], depth - 1)
        elif depth:
            _fill(value.add() if field.is_repeated else value, depth - 1)


def _alternatives(message: Message) -> Iterator[Message]:
    """The message filled, once for every member of its oneofs."""
    filled = type(message)()
    _fill(filled, _DEPTH)
    yield filled
    for oneof in message.DESCRIPTOR.oneofs:
        for field in oneof.fields:
            other = type(message)()
            other.CopyFrom(filled)
            other.ClearField(field.name)
            if field.message_type is None:
                setattr(other, field.name, _value(field, 0))
            else:
                getattr(other, field.name).SetInParent()
            yield other


@pytest.mark.parametrize("name", MESSAGES)
def test_full_messages_cross_the_wire_both_ways(name: str) -> None:
    ours, official = (GetMessageClass(pool.FindMessageTypeByName(name)) for pool in (OURS, OFFICIAL))
    for sender, receiver in ((ours, official), (official, ours)):
        for message in _alternatives(sender()):
            arrived = receiver.FromString(message.SerializeToString())
            assert str(arrived) == str(message)
            assert "UnknownField" not in repr(arrived)
            assert sender.FromString(arrived.SerializeToString()) == message


def test_an_any_is_packed_and_unpacked() -> None:
    packed = messages.GetModelMetadataResponse()
    sent = messages.SignatureDefMap()
    sent.signature_def["serving_default"].method_name = "m"
    packed.metadata["signature_def"].Pack(sent)
    assert (
        packed.metadata["signature_def"].type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    )
    read = messages.SignatureDefMap()
    assert packed.metadata["signature_def"].Unpack(read)
    assert read == sent
