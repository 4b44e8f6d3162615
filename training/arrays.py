"""Named arrays in one .npz file: written whole or not at all, and any damage told as what it is."""

import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What NumPy and the archive's reader say to bytes that are not all that was written.
_DAMAGED = (EOFError, KeyError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays, in place of a file that is there.

    Args:
        path: The file.
        arrays: The arrays by name.

    Raises:
        OSError: They cannot be written, for instance because the disk is full; the file is as it was.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_arrays(file: Path | bytes) -> dict[str, NDArray[Any]]:
    """Read arrays that `write_arrays` wrote.

    Args:
        file: The file, or what is in it.

    Returns:
        All arrays by name.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: It is damaged, or another kind of file.
    """
    data = file if isinstance(file, bytes) else file.read_bytes()
    try:
        with np.load(io.BytesIO(data)) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _DAMAGED as error:
        raise ValueError(f"damaged, or no file of arrays ({error})") from error
    except AttributeError:
        raise ValueError("it holds one array, and no names") from None
