"""A SavedModel in memory, run by a TensorFlow 1 session as TensorFlow Serving runs it.

The session (rather than ``tf.saved_model.load``) is what makes answers alike: the same graph pruning, the same
Grappler passes and the same error texts.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

from model_server.errors import ServingError, invalid_argument, not_found, status_code
from model_server.tensors import Array, dtype_name, enum_name

# Callers choose the output filter, so the number of prepared calls must have a bound.
_PREPARED_LIMIT: Final = 64

# What the Python loader raises for a directory that does not hold a loadable SavedModel.
_LOAD_FAILURES: Final = (
    OSError, DecodeError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, MemoryError,
)  # fmt: skip


class Servable:
    """One loaded version.

    Args:
        path: The version's directory.
        session_config: The ``ConfigProto`` of the session.

    Attributes:
        signatures: ``SignatureDef`` of each signature.

    Raises:
        ServingError: The directory does not hold a SavedModel tagged ``serve``, or it cannot be restored.
    """

    def __init__(self, path: Path, session_config: Any = None) -> None:
        _check_files(path)
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=session_config)
        try:
            meta_graph = tf.compat.v1.saved_model.loader.load(
                self._session, [tf.saved_model.SERVING], str(path)
            )
        except tf.errors.OpError as error:
            self._session.close()
            raise from_op_error(error) from error
        except _LOAD_FAILURES as error:
            self._session.close()
            raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, f"Could not load {path}: {error}") from error
        self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def)
        self._prepared: OrderedDict[tuple[tuple[str, ...], tuple[str, ...]], Callable[..., Any]] = (
            OrderedDict()
        )
        self._preparing = threading.Lock()
        self._feed_dtypes: dict[str, str] = {}
        self._on_close: list[Callable[[], None]] = []

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        """Runs the graph once.

        Args:
            feeds: Array of each fed tensor name (``serving_default_x:0``).
            fetches: Tensor names to compute.

        Returns:
            One array for each fetch, in their order.

        Raises:
            ServingError: An operation failed, a feed has the wrong dtype, or the graph lacks one of the tensors.
        """
        names = tuple(sorted(feeds))
        try:
            # First, since it is what refuses names that the graph does not have.
            call = self._prepare(names, tuple(fetches))
            self._check_dtypes(names, feeds)
            outputs: list[Array] = call(*(feeds[name] for name in names))
        except tf.errors.OpError as error:
            raise from_op_error(error) from error
        return outputs

    def _check_dtypes(self, names: Sequence[str], feeds: Mapping[str, Array]) -> None:
        # The text is that of Session::Run; the prepared call words the same refusal differently.
        for index, name in enumerate(names):
            expected = self._feed_dtypes.get(name)
            if expected is None:
                dtype = self._session.graph.get_tensor_by_name(name).dtype
                expected = self._feed_dtypes[name] = enum_name(dtype.as_datatype_enum)
            given = dtype_name(feeds[name])
            if given != expected:
                raise invalid_argument(f"Expects arg[{index}] to be {expected} but {given} is provided")

    def on_close(self, callback: Callable[[], None]) -> None:
        """Registers what else is to be freed with this version."""
        self._on_close.append(callback)

    def close(self) -> None:
        """Frees the session. No run may be under way."""
        for callback in self._on_close:
            callback()
        self._prepared.clear()
        self._session.close()

    def _prepare(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., Any]:
        with self._preparing:
            call = self._prepared.get((feeds, fetches))
            if call is None:
                options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
                # The public make_callable() goes through Session.run() when there are feeds: it converts a wrong
                # dtype silently, where the server must refuse it, and parses the fetches anew in every call.
                call = self._session._make_callable_from_options(options)  # noqa: SLF001
                self._prepared[feeds, fetches] = call
                if len(self._prepared) > _PREPARED_LIMIT:
                    self._prepared.popitem(last=False)
            else:
                self._prepared.move_to_end((feeds, fetches))
            return call


def session_config(*, intra_op: int = 0, inter_op: int = 0, mixed_precision: str = "") -> Any:
    """Makes the ``ConfigProto`` of a session.

    Args:
        intra_op: Threads inside one operation; 0 lets TensorFlow choose.
        inter_op: Operations at once; 0 lets TensorFlow choose.
        mixed_precision: ``bfloat16`` lets Grappler move to it what loses little by it, as the real server's flag of
            this name does. A CPU without AVX-512 cannot compute in it; there Grappler says so and changes nothing.
    """
    config = config_pb2.ConfigProto(
        intra_op_parallelism_threads=intra_op, inter_op_parallelism_threads=inter_op
    )
    if mixed_precision == "bfloat16":
        rewriting = config.graph_options.rewrite_options
        rewriting.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    return config


def from_op_error(error: Any) -> ServingError:
    """Translates an error of TensorFlow's, whose codes are those of gRPC."""
    return ServingError(status_code(error.error_code), str(error.message))


def _check_files(path: Path) -> None:
    if not any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise not_found(
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. "
            "Make sure the directory exists and that it holds a SavedModel"
        )
