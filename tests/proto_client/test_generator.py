"""The generator: its output is what is committed, and it cuts at the right places."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

import proto_client
from proto_client.generator import ENTRY_MODULES, ROOTS
from proto_client.generator.descriptors import read_files
from proto_client.generator.prune import prune
from proto_client.generator.stubs import write_stubs

GENERATED = Path(proto_client.__file__).parent / "generated"


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".pyi", ".binpb"}}


def test_the_committed_files_are_what_the_generator_gives(tmp_path: Path) -> None:
    tmp_path.joinpath("stale_pb2.pyi").write_text("")
    command = [sys.executable, "-m", "proto_client.generator", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60, cwd=GENERATED.parents[1])
    made = _contents(tmp_path)
    assert made.keys() == _contents(GENERATED).keys()
    for name, content in _contents(GENERATED).items():
        assert made[name] == content, f"{name} is not what the generator gives: run it and commit"


def test_reading_takes_the_installed_place_of_each_import() -> None:
    files = read_files(ENTRY_MODULES)
    # This one is installed as tensorflow.compiler.xla.tsl.protobuf.error_codes_pb2.
    assert "xla/tsl/protobuf/error_codes.proto" in files
    seen: set[str] = set()
    for name, file in files.items():
        assert set(file.dependency) <= seen, f"{name} comes before what it imports"
        seen.add(name)


def test_reading_loads_no_tensorflow() -> None:
    script = (
        "import sys\n"
        "from proto_client.generator import ENTRY_MODULES\n"
        "from proto_client.generator.descriptors import read_files\n"
        "read_files(ENTRY_MODULES)\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=GENERATED.parents[1],
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("module", ["no_such_package.thing_pb2", "tensorflow_serving.apis.no_such_pb2"])
def test_a_module_that_is_not_installed_is_named(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=module):
        read_files([module])


def test_a_module_without_a_descriptor_is_refused() -> None:
    with pytest.raises(ValueError, match="no serialized descriptor"):
        read_files(["proto_client.errors"])


def test_pruning_leaves_the_graph_out_and_keeps_what_the_roots_reach() -> None:
    pruned = {file.name: file for file in prune(read_files(ENTRY_MODULES), ROOTS)}
    kept = {message.name for message in pruned["tensorflow/core/protobuf/meta_graph.proto"].message_type}
    assert kept == {"SignatureDef", "TensorInfo"}
    assert not [name for name in pruned if "graph.proto" in name and "meta_graph" not in name]
    assert not any(file.service for file in pruned.values())


def test_pruning_drops_no_field_of_a_message_that_it_keeps() -> None:
    files = read_files(ENTRY_MODULES)
    for file in prune(files, ROOTS):
        whole = {message.name: message for message in files[file.name].message_type}
        enums = {made.name: made for made in files[file.name].enum_type}
        assert all(message == whole[message.name] for message in file.message_type)
        assert all(made == enums[made.name] for made in file.enum_type)


def _message(name: str, *types: str) -> DescriptorProto:
    message = DescriptorProto(name=name)
    for number, type_name in enumerate(types, start=1):
        message.field.add(
            name=f"f{number}",
            number=number,
            type=FieldDescriptorProto.TYPE_MESSAGE,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            type_name=type_name,
        )
    return message


def test_pruning_imports_a_type_from_where_it_is_defined_not_through_a_public_import() -> None:
    low = FileDescriptorProto(name="low.proto", package="p", syntax="proto3", message_type=[_message("Low")])
    between = FileDescriptorProto(
        name="between.proto", package="p", dependency=["low.proto"], public_dependency=[0]
    )
    top = FileDescriptorProto(
        name="top.proto", package="p", dependency=["between.proto"], message_type=[_message("Top", ".p.Low")]
    )
    pruned = prune({file.name: file for file in (low, between, top)}, ["p.Top"])
    assert [(file.name, list(file.dependency)) for file in pruned] == [
        ("low.proto", []),
        ("top.proto", ["low.proto"]),
    ]


def test_pruning_keeps_the_message_around_a_nested_type_that_is_needed() -> None:
    outer = _message("Outer", ".p.Other")
    outer.nested_type.append(_message("Inner"))
    file = FileDescriptorProto(
        name="one.proto",
        package="p",
        message_type=[outer, _message("Other"), _message("Root", ".p.Outer.Inner"), _message("Unused")],
    )
    (pruned,) = prune({"one.proto": file}, ["p.Root"])
    assert [message.name for message in pruned.message_type] == ["Outer", "Other", "Root"]


def test_pruning_names_a_root_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"No file defines"):
        prune(read_files(ENTRY_MODULES), ["tensorflow.serving.Nothing"])


def test_two_files_that_would_share_a_stub_are_refused(tmp_path: Path) -> None:
    files = [FileDescriptorProto(name=name) for name in ("a/same.proto", "b/same.proto")]
    with pytest.raises(ValueError, match=r"share a stub: a/same.proto, b/same.proto"):
        write_stubs(files, tmp_path)


def test_descriptors_that_protoc_refuses_are_an_error(tmp_path: Path) -> None:
    broken = FileDescriptorProto(name="a.proto", syntax="proto3", message_type=[_message("A", ".p.Missing")])
    with pytest.raises(RuntimeError, match="protoc refused"):
        write_stubs([broken], tmp_path)
