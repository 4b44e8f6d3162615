"""Files of weights as PyTorch wrote them before 1.6, made without it; `training.torch_weights` tells the format."""

import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class Stored:
    """A tensor: a view of a storage, which others may share."""

    storage: NDArray[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Stored":
        return cls(array.ravel(), 0, array.shape, tuple(step // array.itemsize for step in array.strides))


def torch_bytes(tensors: Mapping[str, Stored], *, beside: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a file that holds the tensors, and whatever is beside them, in its dictionary."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    # The pickle names this function and these classes; as in PyTorch's files, by the modules they would be in.
    def _rebuild_tensor_v2(*_: Any) -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils.__dict__["_rebuild_tensor_v2"] = _rebuild_tensor_v2
    kinds = {
        np.dtype(dtype): type(name, (), {"__module__": "torch"})
        for dtype, name in ((np.float32, "FloatStorage"), (np.int64, "LongStorage"))
    }
    torch.__dict__.update({kind.__name__: kind for kind in kinds.values()}, _utils=utils)
    storages: dict[int, NDArray[Any]] = {}

    class Storage:
        def __init__(self, array: NDArray[Any]) -> None:
            self.array = array
            storages[id(array)] = array

    class Tensor:
        def __init__(self, stored: Stored) -> None:
            self.stored = stored

        def __reduce__(self) -> tuple[Any, ...]:
            one = self.stored
            return _rebuild_tensor_v2, (
                Storage(one.storage),
                one.offset,
                one.shape,
                one.strides,
                False,
                OrderedDict(),
            )

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if not isinstance(obj, Storage):
                return None
            key = str(id(obj.array))
            return "storage", kinds[obj.array.dtype], key, "cpu", obj.array.size, None

    file = io.BytesIO()
    with mock.patch.dict(sys.modules, {"torch": torch, "torch._utils": utils}):
        for value in (MAGIC, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(value, file, 2)
        named = OrderedDict((name, Tensor(one)) for name, one in tensors.items())
        Pickler(file, 2).dump(OrderedDict({**named, **(beside or {})}))
    pickle.dump([str(key) for key in storages], file, 2)
    for array in storages.values():
        file.write(array.size.to_bytes(8, "little") + array.tobytes())
    return file.getvalue()
