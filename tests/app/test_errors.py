"""The table of the issue: what comes in, and the problem that it is answered with."""

import grpc
import httpx
import pytest
from PIL import Image

from app.settings import Settings
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import (
    ENDPOINTS,
    PREDICT,
    PREDICT_PRODUCT,
    PRODUCT_MODEL,
    Endpoint,
    gateway_client,
    gateway_settings,
)
from tests.support.pictures import encoded, grey_jpeg


def assert_problem(answer: httpx.Response, status: int, slug: str, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:sportvision:problem:{slug}"
    assert body["status"] == status
    assert body["title"]
    assert body["request_id"] == answer.headers["x-request-id"]
    for word in words:
        assert word in body["detail"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer unknown-token-here", "unknown", "Basic Zm9vOmJhcg=="]
)
async def test_without_a_known_token(endpoint: Endpoint, client: httpx.AsyncClient, header: str) -> None:
    answer = await client.post(endpoint.path, headers={"Authorization": header}, files={"file": grey_jpeg(0)})
    assert_problem(answer, 401, "unauthorized", "Authorization: Bearer <token>")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_token_is_asked_for_before_all_else(endpoint: Endpoint, client: httpx.AsyncClient) -> None:
    answer = await client.post(endpoint.path, params={"top_k": 0}, headers={"Authorization": ""}, json={})
    assert_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize(
    "request_parts",
    [
        {"json": {"file": "photo.jpg"}},
        {"data": {"file": "photo.jpg"}},
        {"content": grey_jpeg(0), "headers": {"Content-Type": "image/jpeg"}},
        {"content": b""},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
    ],
)
async def test_anything_but_multipart(
    endpoint: Endpoint, client: httpx.AsyncClient, request_parts: dict[str, object]
) -> None:
    answer = await client.post(endpoint.path, **request_parts)  # type: ignore[arg-type]
    assert_problem(answer, 415, "not-multipart", '-F "file=@photo.jpg"', str(client.base_url))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("picture", grey_jpeg(0))], 'no field "file"'),
        ([("file", b"")], "empty"),
        ([("file", grey_jpeg(0)), ("file", grey_jpeg(9))], "2 times"),
    ],
)
async def test_the_field_missing_empty_or_twice(
    endpoint: Endpoint, client: httpx.AsyncClient, files: list[tuple[str, bytes]], words: str
) -> None:
    assert_problem(await client.post(endpoint.path, files=files), 422, "invalid-upload", words)


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\ndata",
        b"--wrong\r\n\r\n\r\n--wrong--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\"" + b"x" * 20_000 + b"\"\r\n\r\n\r\n--b--\r\n",
        b"",
    ],
)  # fmt: skip
async def test_malformed_multipart(endpoint: Endpoint, client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert_problem(await client.post(endpoint.path, content=body, headers=headers), 422, "invalid-upload")


@pytest.mark.parametrize(
    "content",
    [b"plain words", b"https://example.org/a.jpg", b"%PDF-1.4", encoded(Image.new("L", (4, 4)), "PPM")],
)
async def test_no_picture(endpoint: Endpoint, client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post(endpoint.path, files={"file": content})
    assert_problem(answer, 415, "unsupported-picture", "JPEG, PNG, WEBP, GIF, BMP, TIFF")


async def test_a_truncated_picture(endpoint: Endpoint, client: httpx.AsyncClient) -> None:
    whole = encoded(Image.effect_noise((200, 200), 90))
    answer = await client.post(endpoint.path, files={"file": whole[: len(whole) // 2]})
    assert_problem(answer, 422, "corrupt-picture", "truncated or damaged")


async def test_too_many_pixels(endpoint: Endpoint, backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, max_pixels=10_000)) as client:
        answer = await client.post(endpoint.path, files={"file": grey_jpeg(0, side=101)})
    assert_problem(answer, 422, "too-many-pixels", "101 × 101", "10,000")
    assert not backend.received


@pytest.mark.parametrize(
    "params", [{"top_k": "0"}, {"top_k": "21"}, {"top_k": "many"}, {"threshold": "1.5"}, {"threshold": "nan"}]
)
async def test_parameters_out_of_range(
    endpoint: Endpoint, client: httpx.AsyncClient, params: dict[str, str]
) -> None:
    answer = await client.post(endpoint.path, params=params, files={"file": grey_jpeg(0)})
    assert_problem(answer, 422, "invalid-parameter", *params)
    assert answer.json()["errors"][0]["parameter"] == next(iter(params))


async def test_the_model_server_away(
    endpoint: Endpoint, backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    assert (await client.post(endpoint.path, files={"file": grey_jpeg(0)})).status_code == 200
    await backend.stop()
    answer = await client.post(endpoint.path, files={"file": grey_jpeg(0)})
    assert_problem(answer, 503, "service-unavailable", "model server")
    assert int(answer.headers["retry-after"]) >= 1
    assert backend.target not in answer.text
    await backend.start()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted"),
        (grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"),
    ],
)
async def test_the_model_server_exhausted(
    endpoint: Endpoint, backend: FakeBackend, client: httpx.AsyncClient, code: grpc.StatusCode, message: str
) -> None:
    backend.fail(Method.PREDICT, code, message)
    answer = await client.post(endpoint.path, files={"file": grey_jpeg(0)})
    assert_problem(answer, 503, "service-unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert backend.calls[Method.PREDICT] > 1


async def test_a_passing_exhaustion_is_not_seen(
    endpoint: Endpoint, backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    backend.fail(Method.PREDICT, grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted", times=1)
    assert (await client.post(endpoint.path, files={"file": grey_jpeg(0)})).status_code == 200


async def test_the_deadline_passed(endpoint: Endpoint, backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, predict_timeout_seconds=0.2)) as client:
        with backend.hold(Method.PREDICT):
            answer = await client.post(endpoint.path, files={"file": grey_jpeg(0)})
    assert_problem(answer, 504, "deadline-exceeded", "0.2 seconds")


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL])
async def test_the_model_server_fails(
    endpoint: Endpoint, backend: FakeBackend, client: httpx.AsyncClient, code: grpc.StatusCode
) -> None:
    backend.fail(Method.PREDICT, code, "some op said no")
    assert_problem(
        await client.post(endpoint.path, files={"file": grey_jpeg(0)}), 502, "model-server-failed", code.name
    )


async def test_a_model_that_is_not_loaded(
    endpoint: Endpoint, settings: Settings, backend: FakeBackend
) -> None:
    backend.set_available(endpoint.model, 1, available=False)
    async with gateway_client(settings) as client:
        answer = await client.post(endpoint.path, files={"file": grey_jpeg(0)})
    assert_problem(answer, 503, "service-unavailable", "version 1 is END")


async def test_one_model_away_leaves_the_other_endpoint_alone(
    endpoint: Endpoint, backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    backend.set_available(endpoint.model, 1, available=False)
    for other in ENDPOINTS:
        answer = await client.post(other.path, files={"file": grey_jpeg(0)})
        if other == endpoint:
            assert_problem(answer, 503, "service-unavailable", f"The model {endpoint.model} is not loaded")
        else:
            assert answer.status_code == 200


async def test_a_model_that_never_was_on_the_server(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    del backend.versions[PRODUCT_MODEL, 1]
    answer = await client.post(PREDICT_PRODUCT, files={"file": grey_jpeg(0)})
    assert_problem(answer, 503, "service-unavailable", "The model product_classifier is not loaded")
    assert int(answer.headers["retry-after"]) >= 1


async def test_an_endpoint_that_is_switched_off(backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, product_model="")) as client:
        answer = await client.post(PREDICT_PRODUCT, files={"file": grey_jpeg(0)})
        assert_problem(answer, 503, "model-not-configured", "switched it off")
        assert "retry-after" not in answer.headers
        # Those who are not let in learn nothing of it.
        stranger = await client.post(PREDICT_PRODUCT, headers={"Authorization": ""})
        assert_problem(stranger, 401, "unauthorized")
        assert (await client.post(PREDICT, files={"file": grey_jpeg(0)})).status_code == 200


async def test_paths_and_methods_that_are_not_there(endpoint: Endpoint, client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/nothing"), 404, "not-found", "/nothing")
    answer = await client.get(endpoint.path)
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
