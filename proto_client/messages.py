"""The message classes of TensorFlow Serving's gRPC API, made at import from the committed descriptors.

They live in a descriptor pool of their own, never the process-wide one, so they cannot collide with
TensorFlow's copies of the same messages, whatever versions meet in one process. On the wire they are the same
messages. Two things follow: a message from here is not an instance of TensorFlow's class of that name (pass
bytes between them), and an `Any` from here is unpacked into a class from here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

__all__ = [
    "DataType",
    "ErrorCode",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "ModelConfig",
    "ModelConfigList",
    "ModelServerConfig",
    "ModelSpec",
    "ModelVersionStatus",
    "PredictRequest",
    "PredictResponse",
    "ReloadConfigRequest",
    "ReloadConfigResponse",
    "SignatureDef",
    "SignatureDefMap",
    "StatusProto",
    "TensorInfo",
    "TensorProto",
    "TensorShapeProto",
]


def _load_pool() -> DescriptorPool:
    content = Path(__file__).with_name("generated").joinpath("serving.binpb").read_bytes()
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(content).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


if TYPE_CHECKING:
    from proto_client.generated.error_codes_pb2 import Code as ErrorCode
    from proto_client.generated.get_model_metadata_pb2 import (
        GetModelMetadataRequest,
        GetModelMetadataResponse,
        SignatureDefMap,
    )
    from proto_client.generated.get_model_status_pb2 import (
        GetModelStatusRequest,
        GetModelStatusResponse,
        ModelVersionStatus,
    )
    from proto_client.generated.meta_graph_pb2 import SignatureDef, TensorInfo
    from proto_client.generated.model_management_pb2 import ReloadConfigRequest, ReloadConfigResponse
    from proto_client.generated.model_pb2 import ModelSpec
    from proto_client.generated.model_server_config_pb2 import ModelConfig, ModelConfigList, ModelServerConfig
    from proto_client.generated.predict_pb2 import PredictRequest, PredictResponse
    from proto_client.generated.status_pb2 import StatusProto
    from proto_client.generated.tensor_pb2 import TensorProto
    from proto_client.generated.tensor_shape_pb2 import TensorShapeProto
    from proto_client.generated.types_pb2 import DataType
else:
    _POOL = _load_pool()

    def _message(name: str) -> Any:
        return GetMessageClass(_POOL.FindMessageTypeByName(name))

    # An Any finds its Pack and Unpack methods only if its class exists before it is met in a field.
    _message("google.protobuf.Any")

    DataType = EnumTypeWrapper(_POOL.FindEnumTypeByName("tensorflow.DataType"))
    ErrorCode = EnumTypeWrapper(_POOL.FindEnumTypeByName("tensorflow.error.Code"))
    GetModelMetadataRequest = _message("tensorflow.serving.GetModelMetadataRequest")
    GetModelMetadataResponse = _message("tensorflow.serving.GetModelMetadataResponse")
    GetModelStatusRequest = _message("tensorflow.serving.GetModelStatusRequest")
    GetModelStatusResponse = _message("tensorflow.serving.GetModelStatusResponse")
    ModelConfig = _message("tensorflow.serving.ModelConfig")
    ModelConfigList = _message("tensorflow.serving.ModelConfigList")
    ModelServerConfig = _message("tensorflow.serving.ModelServerConfig")
    ModelSpec = _message("tensorflow.serving.ModelSpec")
    ModelVersionStatus = _message("tensorflow.serving.ModelVersionStatus")
    PredictRequest = _message("tensorflow.serving.PredictRequest")
    PredictResponse = _message("tensorflow.serving.PredictResponse")
    ReloadConfigRequest = _message("tensorflow.serving.ReloadConfigRequest")
    ReloadConfigResponse = _message("tensorflow.serving.ReloadConfigResponse")
    SignatureDef = _message("tensorflow.SignatureDef")
    SignatureDefMap = _message("tensorflow.serving.SignatureDefMap")
    StatusProto = _message("tensorflow.serving.StatusProto")
    TensorInfo = _message("tensorflow.TensorInfo")
    TensorProto = _message("tensorflow.TensorProto")
    TensorShapeProto = _message("tensorflow.TensorShapeProto")
