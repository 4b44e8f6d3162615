"""TFRecord shards: which files they are, and the records in them, each checked by its checksums.

A record is its length (uint64, little-endian), a masked CRC-32C of these eight bytes, its data, and a masked CRC-32C
of the data (tensorflow.org, "TFRecord and tf.train.Example"). The two checksums tell damage apart: where the length
holds, only the one record is lost; where it does not, nothing after it can be found.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from training.errors import DataError

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEAD = _LENGTH.size + _CRC.size
_MASK_DELTA = 0xA282EAD8
_GZIP = b"\x1f\x8b"
# `a.tfrecord`, `a.tfrecords`, `a-00001-of-00010.tfrecord`, `a.tfrecord-00001-of-00010`, `a-00001-of-00010`.
_SHARD = re.compile(r"(?P<stem>.+?)(?P<series>-(?P<number>\d+)-of-(?P<count>\d+))?(?P<suffix>\.tfrecords?)?")


@dataclass(frozen=True, slots=True)
class Frame:
    """One record of a shard.

    Attributes:
        number: Its place in the shard, from 0; damaged records count.
        start: The place of the first byte of its data in the file.
        data: The bytes; None for a record whose checksum does not hold.
    """

    number: int
    start: int
    data: bytes | None


class ShardError(DataError):
    """A shard ends, or cannot be followed any further, before its last record."""


def find_shards(root: Path) -> list[Path]:
    """The shards in a folder, not in deeper ones; or the one shard that is named itself.

    Args:
        root: A folder or a file.

    Returns:
        Shards by name; empty where there are none.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        return []
    return sorted(one for one in root.iterdir() if _is_shard(one))


def _is_shard(path: Path) -> bool:
    named = _SHARD.fullmatch(path.name)
    shard = named is not None and (named["series"] or named["suffix"])
    return bool(shard) and not path.name.startswith(".") and path.is_file()


def missing_shards(shards: list[Path]) -> list[str]:
    """The names of shards that must be there by the names of the others, which tell how many there are."""
    present = {path.name for path in shards}
    absent: set[str] = set()
    for path in shards:
        named = _SHARD.fullmatch(path.name)
        if named is None or not named["series"]:
            continue
        digits = len(named["number"])
        absent.update(
            f"{named['stem']}-{number:0{digits}}-of-{named['count']}{named['suffix'] or ''}"
            for number in range(int(named["count"]))
        )
    return sorted(absent - present)


def read_frames(file: BinaryIO) -> Iterator[Frame]:
    """Read a shard, one record in memory at a time.

    Args:
        file: The shard, at its beginning, seekable.

    Yields:
        Its records, the damaged ones without data.

    Raises:
        ShardError: The shard, or the rest of it, is lost: it is empty, was cut off, a length is damaged, or it is no
            TFRecord file.
        OSError: It cannot be read.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if not size:
        raise ShardError("it is empty")
    place = number = 0
    while place < size:
        head = file.read(_HEAD)
        if place == 0 and head.startswith(_GZIP):
            raise ShardError(
                "it is compressed, and pictures are read out of its middle. Unpack it first (gunzip)"
            )
        if len(head) == _HEAD and _CRC.unpack(head[_LENGTH.size :])[0] != _masked(head[: _LENGTH.size]):
            raise ShardError(
                "it is no TFRecord file"
                if number == 0
                else f"the length of record {number} is damaged; the rest, from byte {place} on, is lost"
            )
        length = _LENGTH.unpack_from(head)[0] if len(head) == _HEAD else 0
        after = place + _HEAD + length + _CRC.size
        if after > size:
            raise ShardError(f"it is cut off within record {number}, at byte {size}")
        data = file.read(length)
        whole = _CRC.unpack(file.read(_CRC.size))[0] == _masked(data)
        yield Frame(number, place + _HEAD, data if whole else None)
        place, number = after, number + 1


def write_frame(file: BinaryIO, data: bytes) -> None:
    """Append a record to a shard."""
    length = _LENGTH.pack(len(data))
    file.write(length + _CRC.pack(_masked(length)))
    file.write(data)
    file.write(_CRC.pack(_masked(data)))


def _masked(data: bytes) -> int:
    """The checksum as TFRecord stores it: rotated and shifted, so that a checksum of checksums stays a good one."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
