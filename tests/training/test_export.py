from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from training.errors import ExportError
from training.export import export_classifier
from training.served import ExportedModel
from training.tiny import colour_scorer, export_tiny, main

CLASSES = [("74", "Baseball"), ("76", "Cricket"), ("10071", "Ice hockey ÄÖ")]


def many(count: int) -> list[tuple[str, str]]:
    return [(str(number), f"Class {number}") for number in range(count)]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 24)])
def test_the_signature_keeps_the_contract(tmp_path: Path, height: int, width: int) -> None:
    place = export_tiny(tmp_path / "m", version=None, height=height, width=width, classes=CLASSES)
    assert place == tmp_path / "m" / "1"
    signature = tf.saved_model.load(str(place)).signatures["serving_default"]
    assert signature.structured_input_signature == (
        (),
        {"images": tf.TensorSpec([None, height, width, 3], tf.uint8, name="images")},
    )
    outputs = {
        name: (spec.dtype, spec.shape.as_list()) for name, spec in signature.structured_outputs.items()
    }
    assert outputs == {
        "probabilities": (tf.float32, [None, 3]),
        "class_ids": (tf.string, [None, 3]),
        "class_names": (tf.string, [None, 3]),
    }


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_answers_are_the_highest_in_order_with_their_own_names(tmp_path: Path, batch: int) -> None:
    classes = many(30)
    model = ExportedModel(export_tiny(tmp_path, version=7, height=16, width=24, classes=classes, seed=3))
    assert (model.height, model.width) == (16, 24)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, 16, 24, 3), dtype=np.uint8)
    answer = model.answer(pixels)
    assert {name: value.shape for name, value in answer.items()} == dict.fromkeys(answer, (batch, 20))
    expected = colour_scorer(30, seed=3)(tf.constant(pixels, tf.float32)).numpy()
    order = np.argsort(-expected, axis=1)[:, :20]
    np.testing.assert_allclose(answer["probabilities"], np.take_along_axis(expected, order, 1), rtol=1e-5)
    assert [[int(one) for one in row] for row in answer["class_ids"].tolist()] == order.tolist()
    names = [[f"Class {one}".encode() for one in row] for row in order.tolist()]
    assert answer["class_names"].tolist() == names


def test_names_are_utf8(tmp_path: Path) -> None:
    answer = ExportedModel(export_tiny(tmp_path, version=1, height=8, width=8, classes=CLASSES)).answer(
        np.zeros((1, 8, 8, 3), np.uint8)
    )
    assert "Ice hockey ÄÖ".encode() in answer["class_names"][0].tolist()


def test_warm_up_requests_fit_the_signature(tmp_path: Path) -> None:
    place = export_tiny(tmp_path / "sporty", version=1, height=48, width=24, classes=CLASSES)
    model = ExportedModel(place)
    sizes = []
    path = place / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "sporty"
        pixels = tf.make_ndarray(request.inputs["images"])
        sizes.append(len(pixels))
        assert model.answer(pixels)["probabilities"].shape == (len(pixels), 3)
    assert sizes == [1, 4]
    assert path.stat().st_size < 1000


def test_a_keras_model_is_exported_with_its_weights_once_and_without_training_state(tmp_path: Path) -> None:
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, x)
    model.compile("adam", "categorical_crossentropy")
    model.train_on_batch(np.zeros((1, 16, 16, 3)), np.eye(2)[:1])
    place = export_classifier(model, ["1", "2"], ["One", "Two"], 16, 16, tmp_path)
    size = (place / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert 4 * model.count_params() <= size < 5 * model.count_params()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        ExportedModel(place).answer(pixels)["probabilities"],
        -np.sort(-model.predict(pixels.astype(np.float32), verbose=0), axis=1),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("ids", "names", "message"),
    [
        ([], [], "at least one"),
        (["1", "2"], ["One"], "2 class ids and 1 class names"),
        (["1", "1"], ["One", "Two"], "id '1' occurs more than once"),
        (["1", "2"], ["One", "One"], "name 'One' occurs more than once"),
        (["1", "2"], ["One", "Two"], "2 classes"),
    ],
)
def test_classes_that_do_not_fit_are_refused(
    tmp_path: Path, ids: list[str], names: list[str], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        export_classifier(colour_scorer(3), ids, names, 8, 8, tmp_path)
    assert not any(tmp_path.iterdir())


def test_the_description_sees_the_model_that_ships(tmp_path: Path) -> None:
    def describe(draft: Path) -> dict[str, str]:
        return {"card.json": str(ExportedModel(draft).height)}

    place = export_classifier(colour_scorer(2), ["1", "2"], ["A", "B"], 8, 8, tmp_path, describe=describe)
    assert (place / "card.json").read_text() == "8"


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="serving_default"):
        ExportedModel(tmp_path)


def test_the_tiny_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments: list[Any] = [
        tmp_path / "m",
        "--version",
        2,
        "--height",
        8,
        "--width",
        12,
        "--classes",
        "1=A",
        "2=B",
    ]
    assert main([str(one) for one in arguments]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "m" / "2")
    assert ExportedModel(tmp_path / "m" / "2").width == 12
    assert main([str(one) for one in arguments]) == 1
    assert "exists already" in capsys.readouterr().err
