"""Several pictures in one request: one call to the model, an answer for each."""

from typing import Any

import httpx
import numpy as np
import pytest

from app.settings import Settings
from tests.support.fake_backend import FakeBackend, Method
from tests.support.gateway import PREDICT, Endpoint, gateway_client
from tests.support.pictures import encoded, grey_jpeg, quadrants


def files(*pictures: bytes) -> list[tuple[str, Any]]:
    return [("files", (f"{number}.jpg", picture)) for number, picture in enumerate(pictures)]


def alone(data: list[dict[str, Any]]) -> dict[str, Any]:
    """A picture's place in the answer, as the single form would have it."""
    return {"predictions": data, "problem": None}


async def test_each_picture_has_the_answer_that_it_has_alone(
    client: httpx.AsyncClient, backend: FakeBackend, endpoint: Endpoint
) -> None:
    pictures = [grey_jpeg(0), encoded(quadrants(), "PNG"), grey_jpeg(255), encoded(quadrants(900, 700))]
    wanted = [
        alone((await client.post(endpoint.path, files={"file": picture})).json()["data"])
        for picture in pictures
    ]
    assert wanted[0] != wanted[2]
    calls, shown = backend.calls[Method.PREDICT], [received.images[0] for received in backend.received]
    answer = await client.post(endpoint.path + "batch/", files=files(*pictures))
    assert answer.status_code == 200
    assert answer.json() == {"data": wanted}
    assert backend.calls[Method.PREDICT] == calls + 1
    assert (backend.received[-1].images == np.stack(shown)).all()
    assert answer.headers["x-model-name"] == endpoint.model
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["server-timing"].startswith("read;dur=")


async def test_a_bad_picture_has_its_problem_in_its_place(
    client: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    good = grey_jpeg(0)
    answer = await client.post(
        endpoint.path + "batch/", files=files(b"%PDF-1.7", good, encoded(quadrants(), "PNG")[:99], b"", good)
    )
    assert answer.status_code == 200
    found = answer.json()["data"]
    assert [one["problem"] and one["problem"]["status"] for one in found] == [415, None, 422, 415, None]
    assert [one["predictions"] is None for one in found] == [True, False, True, True, False]
    assert found[0]["problem"]["type"] == "urn:sportvision:problem:unsupported-picture"
    assert "PDF" in found[0]["problem"]["detail"]
    assert found[1] == found[4]


async def test_no_good_picture_asks_no_model(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    answer = await client.post(PREDICT + "batch/", files=files(b"text", b"more"))
    assert answer.status_code == 200
    assert [one["problem"]["status"] for one in answer.json()["data"]] == [415, 415]
    assert backend.calls[Method.PREDICT] == 0


async def test_top_k_and_threshold_hold_for_each(client: httpx.AsyncClient) -> None:
    asked = {"top_k": 2, "threshold": 0.3}
    answer = await client.post(PREDICT + "batch/", params=asked, files=files(grey_jpeg(0), grey_jpeg(255)))
    assert [len(one["predictions"]) for one in answer.json()["data"]] == [1, 1]


async def test_there_may_be_so_many_and_no_more(settings: Settings) -> None:
    async with gateway_client(settings.model_copy(update={"max_batch_pictures": 3})) as client:
        assert (await client.post(PREDICT + "batch/", files=files(*[grey_jpeg(0)] * 3))).status_code == 200
        answer = await client.post(PREDICT + "batch/", files=files(*[grey_jpeg(0)] * 4))
    assert answer.status_code == 422
    assert "4 times; 3 pictures a request are allowed" in answer.json()["detail"]


async def test_the_single_field_is_told_the_right_one(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT + "batch/", files={"file": grey_jpeg(0)})
    assert answer.status_code == 422
    assert 'no field "files"' in answer.json()["detail"]
    assert '-F "files=@one.jpg" -F "files=@two.jpg"' in answer.json()["detail"]


async def test_a_full_decoding_queue_fails_the_whole_request(settings: Settings) -> None:
    changed = settings.model_copy(update={"decode_workers": 1, "decode_queue": 0})
    async with gateway_client(changed) as client:
        # As many at a time as there are threads, so that a request alone never fills the queue.
        answer = await client.post(PREDICT + "batch/", files=files(*[grey_jpeg(0)] * 5))
        assert answer.status_code == 200


async def test_a_swap_of_versions_answers_by_one_version(
    client: httpx.AsyncClient, backend: FakeBackend, endpoint: Endpoint
) -> None:
    pictures = [grey_jpeg(0), b"no picture", grey_jpeg(255)]
    await client.post(endpoint.path + "batch/", files=files(*pictures))
    version = backend.versions.pop((endpoint.model, 1))
    version.version = 2
    version.height = version.width = 16
    backend.versions[endpoint.model, 2] = version
    answer = await client.post(endpoint.path + "batch/", files=files(*pictures))
    assert answer.headers["x-model-version"] == "2"
    assert [one["problem"] is None for one in answer.json()["data"]] == [True, False, True]
    assert backend.received[-1].images.shape == (2, 16, 16, 3)


@pytest.mark.parametrize("path", ["/sportclassifier/predict/batch/", "/productclassifier/predict/batch/"])
async def test_the_document_shows_files_as_binary(client: httpx.AsyncClient, path: str) -> None:
    document = (await client.get("/openapi.json")).json()
    schema = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["required"] == ["files"]
    assert schema["properties"]["files"]["type"] == "array"
    items = schema["properties"]["files"]["items"]
    assert (items["type"], items["format"]) == ("string", "binary")
