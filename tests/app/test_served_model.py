"""Versions that come and go under a running gateway."""

import asyncio
from collections import Counter

import grpc
import httpx
import pytest

from app.settings import Settings
from proto_client.messages import (
    DataType,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import MODEL, PREDICT, PRODUCT_MODEL, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg

OTHER_CLASSES = (("87", "American football"), ("96", "Handball"))


async def test_a_version_with_other_classes_and_another_size_takes_over(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    first = await client.post(PREDICT, files={"file": grey_jpeg(0)})
    backend.add_version(MODEL, 2, height=20, width=24, classes=OTHER_CLASSES)
    backend.set_available(MODEL, 1, available=False)
    second = await client.post(PREDICT, files={"file": grey_jpeg(0)})
    assert [answer.headers["x-model-version"] for answer in (first, second)] == ["1", "2"]
    assert [item["name"] for item in second.json()["data"]] == ["American football", "Handball"]
    assert backend.received[-1].images.shape == (1, 20, 24, 3)


async def test_swaps_under_load_fail_no_request_and_mix_no_versions(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    names = {1: {"Baseball", "Cricket", "Lacrosse", "Skiing"}}
    answered: Counter[str] = Counter()
    done = asyncio.Event()

    async def caller(level: int) -> None:
        while not done.is_set():
            answer = await client.post(PREDICT, files={"file": grey_jpeg(level)})
            assert answer.status_code == 200, answer.text
            version = answer.headers["x-model-version"]
            assert {item["name"] for item in answer.json()["data"]} <= names[int(version)]
            answered[version] += 1

    async def swaps() -> None:
        for version in range(2, 8):
            before = answered.total()
            while answered.total() < before + 20:
                await asyncio.sleep(0.005)
            names[version] = {f"Sport {version}.{number}" for number in range(5)}
            classes = [(f"{version}{number}", f"Sport {version}.{number}") for number in range(5)]
            backend.add_version(MODEL, version, height=16 + version, width=40 - version, classes=classes)
            backend.set_available(MODEL, version - 1, available=False)
        while answered["7"] < 20:
            await asyncio.sleep(0.005)
        done.set()

    async with asyncio.TaskGroup() as group:
        for level in range(0, 256, 32):
            group.create_task(caller(level))
        group.create_task(swaps())
    assert set(answered) == {str(version) for version in range(1, 8)}


async def test_the_very_version_is_asked_though_a_newer_one_is_there(
    backend: FakeBackend, settings: Settings
) -> None:
    """Until the gateway has looked again: a picture made for one version must not go to another."""
    async with gateway_client(settings.model_copy(update={"model_refresh_seconds": 3600.0})) as client:
        await client.post(PREDICT, files={"file": grey_jpeg(0)})
        backend.add_version(MODEL, 2, height=20, width=24, classes=OTHER_CLASSES)
        answer = await client.post(PREDICT, files={"file": grey_jpeg(0)})
    assert answer.headers["x-model-version"] == "1"
    assert answer.json()["data"][0]["name"] == "Baseball"


async def test_a_label_picks_the_version(backend: FakeBackend) -> None:
    backend.add_version(MODEL, 2, classes=OTHER_CLASSES)
    backend.labels[MODEL, "stable"] = 1
    async with gateway_client(gateway_settings(backend.target, sport_model_label="stable")) as client:
        answer = await client.post(PREDICT, files={"file": grey_jpeg(0)})
    assert answer.headers["x-model-version"] == "1"


async def test_versions_that_vanish_faster_than_they_can_be_asked(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    await client.post(PREDICT, files={"file": grey_jpeg(0)})
    backend.fail(Method.PREDICT, grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(x, 1)")
    answer = await client.post(PREDICT, files={"file": grey_jpeg(0)})
    assert answer.status_code == 503
    assert "changed faster" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("signature", "no signature serving_default"),
        ("dtype", "must be uint8 [batch, height, width, 3]"),
        ("size", "must be uint8 [batch, height, width, 3]"),
        ("input", "must have the one input images"),
        ("output", "lacks the outputs class_names"),
        ("group output", "lacks the outputs group_names"),
        ("output dtype", "the output class_ids must be string, not int64"),
        ("group dtype", "the output group_probabilities must be float32, not float64"),
    ],
)
async def test_a_model_with_another_signature_is_refused_with_the_reason(
    backend: FakeBackend, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, change: str, words: str
) -> None:
    honest = backend.metadata

    def altered(request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        reply = honest(request)
        found = SignatureDefMap()
        reply.metadata["signature_def"].Unpack(found)
        _alter(found, change, request.model_spec.name)
        reply.metadata["signature_def"].Pack(found)
        return reply

    monkeypatch.setattr(backend, "metadata", altered)
    await backend.stop()
    await backend.start()
    async with asyncio.timeout(20):
        while words not in (answer := await client.get("/readyz")).text:
            assert "UNAVAILABLE" in answer.text
            await asyncio.sleep(0.02)


def _alter(found: SignatureDefMap, change: str, model: str) -> None:
    signature = found.signature_def["serving_default"]
    match change:
        case "signature":
            found.signature_def["other"].CopyFrom(signature)
            del found.signature_def["serving_default"]
        case "dtype":
            signature.inputs["images"].dtype = DataType.DT_FLOAT
        case "size":
            signature.inputs["images"].tensor_shape.dim[1].size = -1
        case "input":
            signature.inputs["pixels"].CopyFrom(signature.inputs["images"])
        case "output":
            del signature.outputs["class_names"]
        case "output dtype":
            signature.outputs["class_ids"].dtype = DataType.DT_INT64
        case "group output" if model == PRODUCT_MODEL:
            del signature.outputs["group_names"]
        case "group dtype" if model == PRODUCT_MODEL:
            signature.outputs["group_probabilities"].dtype = DataType.DT_DOUBLE
