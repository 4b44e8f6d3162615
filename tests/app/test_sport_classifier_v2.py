"""The second form of the sport classifier's answer: the same sports, one level deeper."""

from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.app.test_errors import assert_problem
from tests.app.test_limits import limited, members
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, PREDICT, PREDICT_V2, TOKEN, gateway_client
from tests.support.pictures import grey_jpeg
from tests.support.scrape import scrape


async def test_the_answer_is_the_documented_json_to_the_letter(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT_V2, headers={"Authorization": TOKEN}, files={"file": grey_jpeg(0)})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-model-name"] == MODEL
    assert answer.json() == {
        "data": {
            "sport": [
                {"id": "74", "name": "Baseball", "probability": 0.5333},
                {"id": "76", "name": "Cricket", "probability": 0.2667},
                {"id": "289", "name": "Lacrosse", "probability": 0.1333},
            ]
        }
    }
    assert [list(item) for item in answer.json()["data"]["sport"]] == [["id", "name", "probability"]] * 3


@pytest.mark.parametrize("asked", [{}, {"top_k": "2"}, {"threshold": "0.2"}, {"threshold": "0.9"}])
async def test_the_sports_are_those_of_the_first_form(
    client: httpx.AsyncClient, asked: dict[str, str]
) -> None:
    first, second = [
        await client.post(path, params=asked, files={"file": grey_jpeg(99)}) for path in (PREDICT, PREDICT_V2)
    ]
    assert second.json()["data"] == {"sport": first.json()["data"]}


async def test_the_address_of_a_picture_is_told_from_a_picture(client: httpx.AsyncClient) -> None:
    # As text, without a file's name.
    text = {"file": (None, "https://example.org/a.jpg")}
    answer = await client.post(PREDICT_V2, files=text)
    assert_problem(answer, 415, "unsupported-picture", "the address of a picture, not the picture itself")
    answer = await client.post(PREDICT_V2, data={"file": "https://example.org/a.jpg"})
    assert_problem(answer, 415, "not-multipart", '-F "file=@photo.jpg"', PREDICT_V2)


async def test_a_token_is_needed(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT_V2, headers={"Authorization": ""}, files={"file": grey_jpeg(0)})
    assert_problem(answer, 401, "unauthorized")


async def test_both_forms_draw_on_the_same_limit(backend: FakeBackend, tmp_path: Path) -> None:
    async with gateway_client(limited(backend, tmp_path, {"images_per_day": 2})) as client:
        for path, left in ((PREDICT, 1), (PREDICT_V2, 0)):
            answer = await client.post(path, files={"file": grey_jpeg(0)})
            assert members(answer.headers["ratelimit"])["images"]["r"] == left
        refused = await client.post(PREDICT_V2, files={"file": grey_jpeg(0)})
        assert_problem(refused, 429, "quota-exceeded")


async def test_it_is_counted_under_its_own_route(settings: Settings) -> None:
    async with gateway_client(settings) as client:
        await client.post(PREDICT_V2, files={"file": grey_jpeg(0)})
        found = await scrape(client)
    assert found.value("http_requests_total", route=PREDICT_V2, method="POST", status="200") == 1
