import asyncio
import json
import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.settings import Settings
from catalogue.reading import SPORTS_FILE
from preprocessing import ACCEPTED_FORMATS
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import MODEL, PREDICT, TOKEN, gateway_client
from tests.support.pictures import assert_near, corners, encoded, grey_jpeg, quadrants


async def test_the_answer_is_the_documented_json_to_the_letter(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT, files={"file": grey_jpeg(0)})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    # Four classes weigh 8, 4, 2 and 1 fifteenths, the black picture's class first.
    assert answer.json() == {
        "data": [
            {"id": "74", "name": "Baseball", "probability": 0.5333},
            {"id": "76", "name": "Cricket", "probability": 0.2667},
            {"id": "289", "name": "Lacrosse", "probability": 0.1333},
        ]
    }
    assert [list(item) for item in answer.json()["data"]] == [["id", "name", "probability"]] * 3


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (4, 4), (20, 4)])
async def test_top_k_sets_how_many(client: httpx.AsyncClient, top_k: int, count: int) -> None:
    answer = await client.post(PREDICT, params={"top_k": top_k}, files={"file": grey_jpeg(0)})
    assert len(answer.json()["data"]) == count


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (0.2, 2), (0.5, 1), (0.6, 0)])
async def test_threshold_leaves_out_the_improbable(
    client: httpx.AsyncClient, threshold: float, count: int
) -> None:
    answer = await client.post(PREDICT, params={"threshold": threshold}, files={"file": grey_jpeg(0)})
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == count


@pytest.mark.parametrize("header", [TOKEN, f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer   {TOKEN}"])
async def test_the_token_goes_raw_or_as_bearer(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.post(PREDICT, headers={"Authorization": header}, files={"file": grey_jpeg(0)})
    assert answer.status_code == 200


async def test_headers_say_who_answered_and_where_the_time_went(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT, files={"file": grey_jpeg(0)}, headers={"X-Request-ID": "my-id.1"})
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["x-model-name"] == MODEL
    assert answer.headers["x-request-id"] == "my-id.1"
    stages = re.findall(r"(\w+);dur=\d+\.\d", answer.headers["server-timing"])
    assert stages == ["read", "queue", "decode", "inference"]


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
async def test_the_model_gets_the_picture_at_its_own_size(
    client: httpx.AsyncClient, backend: FakeBackend, name: str
) -> None:
    answer = await client.post(PREDICT, files={"file": encoded(quadrants(), name)})
    assert answer.status_code == 200
    images = backend.received[-1].images
    assert images.shape == (1, 48, 32, 3)
    assert images.dtype == np.uint8
    assert_near(corners(images[0]), corners(np.asarray(quadrants(32, 48))), tolerance=30)


async def test_ids_of_an_older_catalogue_are_brought_up_to_date(
    backend: FakeBackend, settings: Settings, tmp_path: Path
) -> None:
    document = json.loads(SPORTS_FILE.read_text("utf-8"))
    sport = next(sport for sport in document["sports"] if sport["name"] == "Archery")
    old_id, sport["id"], sport["id_source"] = sport["id"], "123", "sports-api"
    sport["former_ids"] = [old_id]
    imported = tmp_path / "sports.json"
    imported.write_text(json.dumps(document), "utf-8")
    backend.add_version(MODEL, 1, classes=[(old_id, "Archery"), ("99999", "Moon golf")])
    async with gateway_client(settings.model_copy(update={"catalogue_file": imported})) as client:
        data = (await client.post(PREDICT, files={"file": grey_jpeg(0)})).json()["data"]
    # A class that the catalogue does not know goes out as the model named it.
    assert [(item["id"], item["name"]) for item in data] == [("123", "Archery"), ("99999", "Moon golf")]


async def test_other_fields_of_the_form_are_passed_over(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        PREDICT, data={"comment": "x" * 3_000_000}, files={"file": grey_jpeg(0), "more": b"not a picture"}
    )
    assert answer.status_code == 200


async def test_many_at_once(client: httpx.AsyncClient, backend: FakeBackend) -> None:
    answers = await asyncio.gather(
        *(client.post(PREDICT, files={"file": grey_jpeg(level)}) for level in range(0, 256, 8))
    )
    winners = [answer.json()["data"][0]["name"] for answer in answers]
    assert winners == [name for name in ("Baseball", "Cricket", "Lacrosse", "Skiing") for _ in range(8)]
