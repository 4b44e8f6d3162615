"""The client against a server in this process."""

from typing import Any

import grpc
import numpy as np
import pytest

from proto_client import (
    ChannelSettings,
    InvalidReply,
    InvalidRequest,
    ModelNotFound,
    ModelServerClient,
    ModelServerError,
    ModelState,
    RetryPolicy,
    Signature,
    TensorError,
    TensorSpec,
    VersionStatus,
    to_tensor_proto,
)
from proto_client.messages import ErrorCode, GetModelMetadataResponse, ModelServerConfig, PredictResponse
from tests.proto_client.conftest import TIMEOUT, picture
from tests.support.fake_backend import FakeBackend, Method


@pytest.mark.parametrize("as_values", [True, False])
async def test_predict_brings_all_outputs_back(
    backend: FakeBackend, client: ModelServerClient, as_values: bool
) -> None:
    backend.as_values = as_values
    images = np.concatenate([picture(colour=0), picture(colour=255)])
    answer = await client.predict({"images": images}, model="sports", timeout=TIMEOUT)
    assert (answer.model, answer.version, answer.signature) == ("sports", 1, "serving_default")
    assert {alias: array.shape for alias, array in answer.outputs.items()} == {
        "probabilities": (2, 3),
        "class_ids": (2, 3),
        "class_names": (2, 3),
    }
    version = backend.versions["sports", 1]
    for row, image in enumerate(images):
        ids, names, shares = zip(*version.answer(image), strict=True)
        assert [value.decode() for value in answer.outputs["class_ids"][row]] == list(ids)
        assert [value.decode() for value in answer.outputs["class_names"][row]] == list(names)
        assert answer.outputs["probabilities"][row].tolist() == list(shares)
    np.testing.assert_array_equal(backend.received[0].images, images)


async def test_a_tensor_made_beforehand_goes_as_it_is(
    backend: FakeBackend, client: ModelServerClient
) -> None:
    await client.predict({"images": to_tensor_proto(picture())}, model="sports", timeout=TIMEOUT)
    np.testing.assert_array_equal(backend.received[0].images, picture())


async def test_the_version_is_the_highest_unless_one_is_asked_for(
    backend: FakeBackend, client: ModelServerClient
) -> None:
    backend.add_version("sports", 2)
    backend.labels["sports", "stable"] = 1
    inputs = {"images": picture()}
    assert (await client.predict(inputs, model="sports", timeout=TIMEOUT)).version == 2
    assert (await client.predict(inputs, model="sports", version=1, timeout=TIMEOUT)).version == 1
    assert (
        await client.predict(inputs, model="sports", version_label="stable", timeout=TIMEOUT)
    ).version == 1
    assert (await client.model_metadata("sports", version_label="stable", timeout=TIMEOUT)).version == 1
    backend.set_available("sports", 2, False)
    assert (await client.predict(inputs, model="sports", timeout=TIMEOUT)).version == 1


async def test_version_and_label_together_are_refused(client: ModelServerClient) -> None:
    with pytest.raises(ValueError, match="not both"):
        await client.predict({}, model="sports", version=1, version_label="stable", timeout=TIMEOUT)
    with pytest.raises(ValueError, match="not both"):
        await client.model_metadata("sports", version=1, version_label="stable", timeout=TIMEOUT)


async def test_the_output_filter_is_sent(client: ModelServerClient) -> None:
    answer = await client.predict(
        {"images": picture()}, model="sports", output_filter=["class_ids"], timeout=TIMEOUT
    )
    assert list(answer.outputs) == ["class_ids"]


async def test_status_lists_the_versions(backend: FakeBackend, client: ModelServerClient) -> None:
    backend.add_version("sports", 2, available=False)
    ok = grpc.StatusCode.OK
    loading = VersionStatus(2, ModelState.LOADING, ok, "")
    assert await client.model_status("sports", timeout=TIMEOUT) == [
        loading,
        VersionStatus(1, ModelState.AVAILABLE, ok, ""),
    ]
    assert await client.model_status("sports", version=2, timeout=TIMEOUT) == [loading]


async def test_metadata_tells_the_signature(backend: FakeBackend, client: ModelServerClient) -> None:
    backend.add_version("sports", 7, height=24, width=48)
    metadata = await client.model_metadata("sports", timeout=TIMEOUT)
    assert (metadata.model, metadata.version) == ("sports", 7)
    assert metadata.signatures == {
        "serving_default": Signature(
            inputs={"images": TensorSpec("serving_default_images:0", "uint8", (None, 24, 48, 3))},
            outputs={
                "probabilities": TensorSpec("StatefulPartitionedCall:0", "float32", (None, 3)),
                "class_ids": TensorSpec("StatefulPartitionedCall:1", "string", (None, 3)),
                "class_names": TensorSpec("StatefulPartitionedCall:2", "string", (None, 3)),
            },
            method_name="tensorflow/serving/predict",
        )
    }


async def test_reload_sends_the_configuration(backend: FakeBackend, client: ModelServerClient) -> None:
    config = ModelServerConfig()
    model = config.model_config_list.config.add(name="sports", base_path="/models/sports")
    model.version_labels["stable"] = 1
    await client.reload_config(config, timeout=TIMEOUT)
    assert backend.configs == [config]


async def test_a_refusal_inside_the_reply_to_a_reload_is_an_error(
    backend: FakeBackend, client: ModelServerClient
) -> None:
    backend.reload_status = (ErrorCode.FAILED_PRECONDITION, "not available for inference")
    with pytest.raises(InvalidRequest, match="FAILED_PRECONDITION: not available"):
        await client.reload_config(ModelServerConfig(), timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"model": "nope"}, ModelNotFound, "Servable not found for request: Latest(nope)"),
        ({"version": 9}, ModelNotFound, "Servable not found for request: Specific(sports, 9)"),
        ({"version": 0}, ModelNotFound, "Servable not found for request: Specific(sports, 0)"),
        ({"version_label": "no"}, InvalidRequest, "Unrecognized servable version label: no"),
        ({"model": ""}, InvalidRequest, "ModelSpec has no name specified."),
        ({"signature": "no"}, InvalidRequest, 'Serving signature key "no" not found.'),
        (
            {"inputs": {"images": picture(8, 8)}},
            InvalidRequest,
            "Incompatible shapes: [1,8,8,3] vs. [32,32,3]",
        ),
        (
            {"inputs": {"images": picture().astype(np.float32)}},
            InvalidRequest,
            "Expects arg[0] to be uint8 but float is provided",
        ),
        (
            {"inputs": {}},
            InvalidRequest,
            (
                "input size does not match signature: 0!=1 len({}) != len({images}). Sent extra: {}."
                " Missing but required: {images}."
            ),
        ),
        ({"output_filter": ["class_ids"] * 2}, InvalidRequest, "duplicate output tensor alias: class_ids"),
    ],
)
async def test_refusals_keep_code_and_words(
    backend: FakeBackend, arguments: dict[str, Any], kind: type[ModelServerError], message: str
) -> None:
    usual: dict[str, Any] = {"inputs": {"images": picture()}, "model": "sports", "timeout": TIMEOUT}
    async with ModelServerClient(backend.target, check_signatures=False) as client:
        with pytest.raises(kind) as caught:
            await client.predict(**usual | arguments)
    assert caught.value.message == message


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_every_status_becomes_an_error_with_its_code(
    backend: FakeBackend, code: grpc.StatusCode
) -> None:
    backend.fail(Method.STATUS, code, "as scripted")
    settings = ChannelSettings(retry=RetryPolicy(attempts=1))
    async with ModelServerClient(backend.target, settings=settings) as client:
        with pytest.raises(ModelServerError) as caught:
            await client.model_status("sports", timeout=TIMEOUT)
    assert (caught.value.code, caught.value.message) == (code, "as scripted")


async def test_an_input_that_tensorflow_cannot_take_is_never_sent(
    backend: FakeBackend,
) -> None:
    async with ModelServerClient(backend.target, check_signatures=False) as client:
        with pytest.raises(TensorError, match="Input 'images': TensorFlow has no element type"):
            await client.predict({"images": np.zeros(1, "datetime64[s]")}, model="sports", timeout=TIMEOUT)
    assert backend.calls[Method.PREDICT] == 0


async def test_a_malformed_output_is_an_invalid_reply(
    backend: FakeBackend, client: ModelServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = PredictResponse()
    reply.outputs["bad"].tensor_shape.dim.add(size=-3)
    monkeypatch.setattr(FakeBackend, "predict", lambda *_: reply)
    await backend.stop()
    await backend.start()
    with pytest.raises(InvalidReply, match=r"INTERNAL: Output 'bad' cannot be read: .* negative dimension"):
        await client.predict({"images": picture()}, model="sports", timeout=TIMEOUT)


async def test_metadata_without_signatures_is_an_invalid_reply(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeBackend, "metadata", lambda *_: GetModelMetadataResponse())
    await backend.stop()
    await backend.start()
    async with ModelServerClient(backend.target) as client:
        with pytest.raises(InvalidReply, match="holds no SignatureDefMap"):
            await client.model_metadata("sports", timeout=TIMEOUT)


async def test_a_reply_that_is_no_message_is_an_invalid_reply() -> None:
    async def garbage(request: bytes, context: object) -> bytes:
        return b"\xff"

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Predict": grpc.unary_unary_rpc_method_handler(garbage)}
    service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with ModelServerClient(f"127.0.0.1:{port}", check_signatures=False) as client:
        with pytest.raises(InvalidReply, match="The reply is no PredictResponse"):
            await client.predict({"images": picture()}, model="sports", timeout=TIMEOUT)
    await server.stop(None)
