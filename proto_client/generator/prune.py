"""Cuts file descriptors down to some messages and everything that their fields can reach.

A message that is kept is kept whole, with all its fields; what goes are the file's other messages and enums,
and then the imports that nobody needs any more. meta_graph.proto is why: SignatureDef lives there, beside
MetaGraphDef, which imports a dozen files that no client needs.
"""

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto


def prune(files: Mapping[str, FileDescriptorProto], roots: Iterable[str]) -> list[FileDescriptorProto]:
    """Makes pruned copies of the files that hold something the roots need.

    Args:
        files: File descriptors by their .proto name, each after those that it imports.
        roots: Full names, without a leading dot, of top-level messages.

    Returns:
        The pruned files, each after those that it imports.

    Raises:
        ValueError: A root is in none of the files.
    """
    homes = {name: file.name for file in files.values() for name in _top_level(file)}
    kept = _closure(files, homes, roots)
    return [_prune_file(file, homes, kept) for file in files.values() if kept & _top_level(file).keys()]


def _top_level(file: FileDescriptorProto) -> dict[str, DescriptorProto | None]:
    """Full names of a file's top-level types; an enum has no descriptor here, for it leads nowhere."""
    types: dict[str, DescriptorProto | None] = {
        f"{file.package}.{enum.name}": None for enum in file.enum_type
    }
    types.update({f"{file.package}.{message.name}": message for message in file.message_type})
    return types


def _references(message: DescriptorProto) -> Iterator[str]:
    """Full names of the types of a message's fields, and of those nested in it."""
    for field in message.field:
        if field.type_name:
            yield field.type_name.removeprefix(".")
    for nested in message.nested_type:
        yield from _references(nested)


def _home(name: str, homes: Mapping[str, str]) -> str:
    """The top-level type around a type: a nested one never goes without what it is nested in."""
    while name not in homes:
        outer, dot, _ = name.rpartition(".")
        if not dot:
            raise ValueError(f"No file defines {name}.")
        name = outer
    return name


def _closure(
    files: Mapping[str, FileDescriptorProto], homes: Mapping[str, str], roots: Iterable[str]
) -> set[str]:
    kept: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = _home(waiting.pop(), homes)
        if name in kept:
            continue
        kept.add(name)
        message = _top_level(files[homes[name]])[name]
        if message is not None:
            waiting.extend(_references(message))
    return kept


def _prune_file(file: FileDescriptorProto, homes: Mapping[str, str], kept: set[str]) -> FileDescriptorProto:
    pruned = FileDescriptorProto()
    pruned.CopyFrom(file)
    for part in ("message_type", "enum_type", "service", "extension", "dependency", "public_dependency"):
        pruned.ClearField(part)
    pruned.message_type.extend(m for m in file.message_type if f"{file.package}.{m.name}" in kept)
    pruned.enum_type.extend(e for e in file.enum_type if f"{file.package}.{e.name}" in kept)
    # Imports are made anew from the fields, straight to the defining file: a public import may have stood
    # between.
    needed = {homes[_home(name, homes)] for message in pruned.message_type for name in _references(message)}
    pruned.dependency.extend(sorted(needed - {file.name}))
    return pruned
