"""Flask, all of TensorFlow, a float32 tensor and a blocking stub: the usual wrapper around TensorFlow Serving.

    MODEL_SERVER=127.0.0.1:8500 SIDE=224 gunicorn --workers 1 benchmarks.old_design.server:app

It does nothing that such a service could leave out: no token, no metrics, no log line, no check of the picture, no
scaling of pixel values (left to the graph here). So every ratio against it errs in its favour.
"""

import os

import grpc
import numpy as np
import tensorflow as tf
from flask import Flask, Response, jsonify, request
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

MODEL = os.environ.get("MODEL", "sport_classifier")
SIDE = int(os.environ.get("SIDE", "224"))

app = Flask(__name__)
channel = grpc.insecure_channel(
    os.environ.get("MODEL_SERVER", "127.0.0.1:8500"), options=[("grpc.enable_http_proxy", 0)]
)
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)


@app.get("/healthz")
def healthz() -> Response:
    """Say that it answers."""
    return jsonify(status="alive")


@app.post("/sportclassifier/predict/")
def predict() -> Response:
    """Name the three likeliest sports."""
    picture = Image.open(request.files["file"].stream).convert("RGB")
    picture = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    array = np.asarray(picture).astype(np.float32)[np.newaxis]

    call = predict_pb2.PredictRequest()
    call.model_spec.name = MODEL
    call.model_spec.signature_name = "serving_default"
    call.inputs["images"].CopyFrom(tf.make_tensor_proto(array, shape=array.shape))
    reply = stub.Predict(call, 10.0)

    probabilities = tf.make_ndarray(reply.outputs["probabilities"])[0]
    ids = tf.make_ndarray(reply.outputs["class_ids"])[0]
    names = tf.make_ndarray(reply.outputs["class_names"])[0]
    return jsonify(
        data=[
            {
                "id": ids[i].decode(),
                "name": names[i].decode(),
                "probability": round(float(probabilities[i]), 4),
            }
            for i in range(3)
        ]
    )
