"""Reading PyTorch's older weight files (`torch.save` before 1.6) without PyTorch.

Such a file is a row of pickles (a magic number, a protocol, the machine's sizes, the state dictionary, the keys of
the storages) and then the storages themselves, each its count of numbers and their bytes. The dictionary's pickle
only refers to storages, so it is read with an unpickler that knows nothing else and so cannot run code:
`torch/serialization.py`, `_legacy_load`.
"""

import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from training.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_ZIP = b"PK\x03\x04"
# What the unpickler says to bytes that are no pickle, beside the errors of any wrong value.
_UNPICKLING = (pickle.UnpicklingError, EOFError, AttributeError, IndexError, OverflowError)


class _Tensor:
    """A tensor whose storage has not been read yet."""

    def __init__(
        self, storage: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> None:
        self.kind, self.key = storage
        self.offset, self.shape, self.strides = offset, shape, strides

    def of(self, storage: NDArray[Any]) -> NDArray[Any]:
        """The tensor: a view of its storage, in any order of its axes, checked to lie inside it."""
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        inside = min(self.offset, *self.strides, *self.shape, 0) >= 0 and last < len(storage)
        # Of more numbers than are stored, a small file could ask for any amount of memory.
        if not inside or math.prod(self.shape) > len(storage):
            raise ValueError("a tensor lies outside its storage")
        strides = [step * storage.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides, writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries of tensors, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which no file of weights needs")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, kind, key, *_ = pid
        return kind, key


def read_torch_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dictionary.

    Args:
        path: The file, usually `.pth`.

    Returns:
        Each tensor by its name, as float32 or int64.

    Raises:
        WeightsError: No such file, or another kind of file.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (*_UNPICKLING, OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} holds no weights in PyTorch's older format: {error}") from error


def _read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    if file.read(len(_ZIP)) == _ZIP:
        raise ValueError(
            "it is in the newer one; torch.save(..., _use_new_zipfile_serialization=False) writes this"
        )
    file.seek(0)
    if _Unpickler(file).load() != _MAGIC:
        raise ValueError("it does not start as one")
    for _ in range(2):
        _Unpickler(file).load()
    tensors = _Unpickler(file).load()
    if not isinstance(tensors, dict) or not all(isinstance(one, _Tensor) for one in tensors.values()):
        raise ValueError("it is no dictionary of tensors; save the state dictionary alone")
    kinds = {tensor.key: tensor.kind for tensor in tensors.values()}
    storages = {}
    for key in _Unpickler(file).load():
        dtype = _DTYPES[kinds[key]]
        count = int.from_bytes(file.read(8), "little")
        data = file.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise ValueError("it ends too soon; fetch it again")
        storages[key] = np.frombuffer(data, dtype, count)
    return {name: tensor.of(storages[tensor.key]) for name, tensor in tensors.items()}
