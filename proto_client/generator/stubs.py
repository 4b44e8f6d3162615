"""Writes `.pyi` stubs with protoc's own generator, so that type checkers know every field."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

_PACKAGE = "proto_client/generated/"


def write_stubs(files: Sequence[FileDescriptorProto], folder: Path) -> None:
    """Writes one stub for each file, except Google's well-known ones, whose stubs come with protobuf.

    Args:
        files: File descriptors, each after those that it imports.
        folder: Where the stubs go, side by side; an existing folder.

    Raises:
        ValueError: Two files have the same last part in their name.
        RuntimeError: protoc refused the descriptors.
    """
    # A stub's place and its imports follow the .proto name. TensorFlow's names would make stubs that claim to
    # be TensorFlow's own modules, so the files get names in our package for this step.
    names = {file.name: _stub_name(file.name) for file in files}
    if len(set(names.values())) < len(names):
        raise ValueError(f"Two of these would share a stub: {', '.join(sorted(names))}")
    with tempfile.TemporaryDirectory() as work:
        descriptors = Path(work, "descriptors.binpb")
        descriptors.write_bytes(
            FileDescriptorSet(file=[_renamed(file, names) for file in files]).SerializeToString()
        )
        ours = [name for name in names.values() if name.startswith(_PACKAGE)]
        # A process of its own: protoc's C++ and TensorFlow's, loaded into the same one, crash each other.
        command = (sys.executable, "-m", "grpc_tools.protoc")
        arguments = (f"--descriptor_set_in={descriptors}", f"--pyi_out={work}", *ours)
        ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        if ended.returncode != 0:
            raise RuntimeError(f"protoc refused the descriptors: {ended.stderr.strip()}")
        for stub in sorted(Path(work, _PACKAGE).glob("*.pyi")):
            folder.joinpath(stub.name).write_bytes(stub.read_bytes())


def _stub_name(name: str) -> str:
    return name if name.startswith("google/protobuf/") else _PACKAGE + name.rpartition("/")[2]


def _renamed(file: FileDescriptorProto, names: dict[str, str]) -> FileDescriptorProto:
    renamed = FileDescriptorProto()
    renamed.CopyFrom(file)
    renamed.name = names[file.name]
    renamed.ClearField("dependency")
    renamed.dependency.extend(names[dependency] for dependency in file.dependency)
    return renamed
