"""Warm-up records: requests that travel with a model and are run before it answers anybody.

The file is ``assets.extra/tf_serving_warmup_requests``, a TFRecord of ``tensorflow.serving.PredictionLog``
(https://www.tensorflow.org/tfx/serving/saved_model_warmup).
"""

import logging
from pathlib import Path
from typing import Final

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from model_server.errors import ServingError, invalid_argument
from model_server.predict import check_request
from model_server.servable import Servable, from_op_error

_LOG: Final = logging.getLogger(__name__)

WARMUP_FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS: Final = 1000


def warm_up(servable: Servable, path: Path) -> int:
    """Runs a version's warm-up records, if it has any.

    Args:
        servable: The loaded version.
        path: Its directory.

    Returns:
        How many records were run.

    Raises:
        ServingError: A record failed, is not a Predict record, or there are more than 1,000.
    """
    file = path / WARMUP_FILE
    if not file.is_file():
        return 0
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(file)):
            if count == MAX_RECORDS:
                raise invalid_argument(
                    f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}"
                )
            _run(servable, record, file)
            count += 1
    except tf.errors.OpError as error:
        raise from_op_error(error) from error
    _LOG.info("ran %d warm-up records from %s", count, file)
    return count


def _run(servable: Servable, record: bytes, file: Path) -> None:
    log = prediction_log_pb2.PredictionLog()
    try:
        log.ParseFromString(record)
    except DecodeError as error:
        raise invalid_argument(f"Failed to parse warmup record from {file}") from error
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise ServingError(
            invalid_argument("").code, f"Unsupported log_type for warmup: {kind}; only predict_log can be run"
        )
    prediction = check_request(servable.signatures, log.predict_log.request)
    servable.run(prediction.feeds, prediction.fetches)
