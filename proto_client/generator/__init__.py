"""Makes `proto_client/generated/` from the installed tensorflow-serving-api.

Run it as `python -m proto_client.generator`. It needs the development environment (tensorflow-serving-api,
tensorflow, grpcio-tools), but runs none of TensorFlow's code: the descriptors are read out of the modules' text.
"""

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from proto_client.generator.descriptors import read_files
from proto_client.generator.prune import prune
from proto_client.generator.stubs import write_stubs

__all__ = ["DESCRIPTORS", "ENTRY_MODULES", "ROOTS", "generate"]

DESCRIPTORS = "serving.binpb"

ENTRY_MODULES = (
    "tensorflow_serving.apis.get_model_metadata_pb2",
    "tensorflow_serving.apis.get_model_status_pb2",
    "tensorflow_serving.apis.model_management_pb2",
    "tensorflow_serving.apis.predict_pb2",
)

# Everything that these messages' fields can reach is kept, whole. prediction_service.proto is left alone: a
# channel needs the methods' paths only.
ROOTS = (
    "tensorflow.serving.GetModelMetadataRequest",
    "tensorflow.serving.GetModelMetadataResponse",
    "tensorflow.serving.GetModelStatusRequest",
    "tensorflow.serving.GetModelStatusResponse",
    "tensorflow.serving.PredictRequest",
    "tensorflow.serving.PredictResponse",
    "tensorflow.serving.ReloadConfigRequest",
    "tensorflow.serving.ReloadConfigResponse",
    "tensorflow.serving.SignatureDefMap",
)


def generate(folder: Path) -> None:
    """Writes the descriptor set and the stubs into a folder, replacing those that are there.

    Args:
        folder: An existing folder.

    Raises:
        ModuleNotFoundError: tensorflow-serving-api or tensorflow is not installed.
        ValueError: An installed module is not in the form that protoc writes.
        RuntimeError: protoc refused the pruned descriptors.
    """
    files = prune(read_files(ENTRY_MODULES), ROOTS)
    for stale in folder.glob("*_pb2.pyi"):
        stale.unlink()
    folder.joinpath(DESCRIPTORS).write_bytes(
        FileDescriptorSet(file=files).SerializeToString(deterministic=True)
    )
    write_stubs(files, folder)
