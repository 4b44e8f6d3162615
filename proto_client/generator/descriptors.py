"""Reads the descriptors that protoc wrote into installed `*_pb2.py` modules, without running those modules.

Running one would import all of TensorFlow. The serialized descriptor is a bytes literal in the module's text,
and the module's own imports say where its dependencies are installed (which is not always where their .proto
names say).
"""

import ast
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto


def read_files(modules: Iterable[str]) -> dict[str, FileDescriptorProto]:
    """Reads modules and all that they import, however deep.

    Args:
        modules: Full names of installed `_pb2` modules.

    Returns:
        The file descriptors by their .proto name, each after those that it imports.

    Raises:
        ModuleNotFoundError: A module, or the package around it, is not installed.
        ValueError: A module holds no serialized descriptor.
    """
    files: dict[str, FileDescriptorProto] = {}
    seen: set[str] = set()

    def read(module: str) -> None:
        if module in seen:
            return
        seen.add(module)
        tree = ast.parse(_module_path(module).read_text(encoding="utf-8"))
        for imported in _imported_protos(tree):
            read(imported)
        file = _embedded_descriptor(tree, module)
        files[file.name] = file

    for module in sorted(modules):
        read(module)
    return files


def _module_path(module: str) -> Path:
    """Finds a module's file; only the top package's location is asked for, which imports nothing."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # the name is taken by a module that was made by hand
        spec = None
    for location in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(location, *rest).with_suffix(".py")
        if path.is_file():
            return path
    raise ModuleNotFoundError(
        f"No module named {module!r}: install the development environment.", name=module
    )


def _imported_protos(tree: ast.Module) -> list[str]:
    """Names the `_pb2` modules that a module imports by `from package import name_pb2`."""
    return [
        f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.endswith("_pb2")
    ]


def _embedded_descriptor(tree: ast.Module, module: str) -> FileDescriptorProto:
    """Parses the literal given to AddSerializedFile."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "AddSerializedFile"
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, bytes)
        ):
            return FileDescriptorProto.FromString(node.args[0].value)
    raise ValueError(f"{module} holds no serialized descriptor.")
