"""Warm-up records: requests that the model server replays before a version goes live.

Source: TensorFlow Serving's guide "SavedModel Warmup": a TFRecord file of `PredictionLog` messages at
`assets.extra/tf_serving_warmup_requests`, at most 1,000 of them.
"""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

WARMUP_PATH = Path("assets.extra") / "tf_serving_warmup_requests"
# One picture is the usual request; the others are sizes that a batching server puts together.
WARMUP_BATCH_SIZES = (1, 2, 4, 8, 16)
_MID_GREY = 127


def write_warmup_requests(
    version_directory: Path,
    *,
    model_name: str,
    height: int,
    width: int,
    batch_sizes: Sequence[int] = WARMUP_BATCH_SIZES,
) -> Path:
    """Write predict requests of grey pictures into a SavedModel's folder.

    Each picture is given as a single value: a TensorProto with fewer values than elements repeats the last
    one, so that the file stays under a kilobyte whatever the input size. Inference costs the same for any
    picture.

    Args:
        version_directory: The SavedModel's folder.
        model_name: The name for the requests' model spec.
        height: Rows of the model's input.
        width: Columns of the model's input.
        batch_sizes: One request is written for each.

    Returns:
        The file written.
    """
    path = version_directory / WARMUP_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in batch_sizes:
            images = tf.make_tensor_proto(_MID_GREY, dtype=tf.uint8, shape=[size, height, width, 3])
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=model_name, signature_name="serving_default"),
                inputs={"images": images},
            )
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
    return path
