"""What is the product endpoint's own; what it shares with the sport endpoint is in test_errors and others."""

from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest

from app.main import create_app
from app.schemas import ProductPrediction
from tests.app.conftest import TYPES
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import PREDICT_PRODUCT, PRODUCT_MODEL, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg

PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


def exactly(**properties: object) -> dict[str, object]:
    """The schema of an object that has these properties, all of them and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def lists(items: dict[str, object]) -> dict[str, object]:
    """The schema of a list of these that is not empty."""
    return {"type": "array", "items": items, "minItems": 1}


NAME = {"type": "string", "minLength": 1}
GROUP = exactly(probability=PROBABILITY, sports_group=NAME)
DOCUMENTED = exactly(data=lists(exactly(type=NAME, probability=PROBABILITY, sports_list=lists(GROUP))))

# The answer that the public documentation shows.
EXAMPLE: dict[str, Any] = {
    "data": [
        {
            "type": "skates",
            "probability": 0.9999,
            "sports_list": [
                {"probability": 0.9417, "sports_group": "Hockey"},
                {"probability": 0.0470, "sports_group": "Inline skating"},
                {"probability": 0.0112, "sports_group": "Roller skating"},
            ],
        },
        {
            "type": "boots",
            "probability": 0.0001,
            "sports_list": [
                {"probability": 0.6640, "sports_group": "Snowboarding"},
                {"probability": 0.3034, "sports_group": "Hiking,Walking,Camping,Sledding"},
                {"probability": 0.0324, "sports_group": "Skiing"},
            ],
        },
    ]
}


async def ask(client: httpx.AsyncClient, level: int = 0, **params: object) -> list[dict[str, Any]]:
    """The list that a grey picture is answered with."""
    answer = await client.post(PREDICT_PRODUCT, params=params, files={"file": grey_jpeg(level)})  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_the_answer_is_the_documented_json_to_the_letter(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT_PRODUCT, files={"file": grey_jpeg(0)})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    # Four types weigh 8, 4, 2 and 1 fifteenths, three groups 4, 2 and 1 sevenths, two groups 2 and 1 thirds.
    assert answer.text == (
        '{"data":['
        '{"type":"skates","probability":0.5333,"sports_list":['
        '{"probability":0.5714,"sports_group":"Ice hockey"},'
        '{"probability":0.2857,"sports_group":"Inline skating"},'
        '{"probability":0.1429,"sports_group":"Figure skating"}]},'
        '{"type":"sports shoes","probability":0.2667,"sports_list":['
        '{"probability":0.6667,"sports_group":"Running"},'
        '{"probability":0.3333,"sports_group":"Hiking,Walking,Camping,Sledding"}]},'
        '{"type":"boots","probability":0.1333,"sports_list":['
        '{"probability":1.0,"sports_group":"Snowboarding"}]}'
        "]}"
    )


async def test_the_answer_keeps_the_documented_schema(client: httpx.AsyncClient) -> None:
    validator = jsonschema.Draft202012Validator(DOCUMENTED)
    validator.validate(EXAMPLE)
    for level in range(0, 256, 64):
        validator.validate({"data": await ask(client, level, top_k=20)})


def test_the_documented_answer_is_one_that_the_gateway_could_give() -> None:
    assert ProductPrediction.model_validate(EXAMPLE).model_dump() == EXAMPLE


async def test_all_groups_of_a_type_are_named_and_sum_to_one(client: httpx.AsyncClient) -> None:
    for level in range(0, 256, 64):
        for item in await ask(client, level, top_k=20):
            shares = [group["probability"] for group in item["sports_list"]]
            assert [group["sports_group"] for group in item["sports_list"]] == [
                name for name, _ in TYPES[item["type"]]
            ]
            assert shares == sorted(shares, reverse=True)
            # Each of them is rounded to four places.
            assert sum(shares) == pytest.approx(1, abs=0.00005 * len(shares))


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (4, 4), (20, 4)])
async def test_top_k_is_about_types_alone(client: httpx.AsyncClient, top_k: int, count: int) -> None:
    found = await ask(client, top_k=top_k)
    assert len(found) == count
    assert len(found[0]["sports_list"]) == 3


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (0.2, 2), (0.5, 1), (0.6, 0)])
async def test_threshold_is_about_types_alone(
    client: httpx.AsyncClient, threshold: float, count: int
) -> None:
    found = await ask(client, threshold=threshold)
    assert len(found) == count
    if found:
        assert len(found[0]["sports_list"]) == 3


async def test_the_product_model_answers_with_its_own_size_and_headers(
    backend: FakeBackend, client: httpx.AsyncClient
) -> None:
    backend.add_product_version(PRODUCT_MODEL, 7, height=20, width=24, types=TYPES)
    backend.set_available(PRODUCT_MODEL, 1, available=False)
    answer = await client.post(PREDICT_PRODUCT, files={"file": grey_jpeg(0)})
    assert answer.headers["x-model-name"] == PRODUCT_MODEL
    assert answer.headers["x-model-version"] == "7"
    assert answer.headers["server-timing"].startswith("read;dur=")
    received = backend.received[-1]
    assert (received.model, received.version) == (PRODUCT_MODEL, 7)
    assert received.images.shape == (1, 20, 24, 3)
    assert received.images.dtype == np.uint8


async def test_the_settings_name_the_model_and_its_label(backend: FakeBackend) -> None:
    backend.add_product_version("gear", 1, types={"bow": [("Archery", "10006")]})
    backend.add_product_version("gear", 2, types={"tent": [("Camping", "10027")]})
    backend.labels["gear", "stable"] = 1
    settings = gateway_settings(backend.target, product_model="gear", product_model_label="stable")
    async with gateway_client(settings) as client:
        assert await ask(client) == [
            {
                "type": "bow",
                "probability": 1.0,
                "sports_list": [{"probability": 1.0, "sports_group": "Archery"}],
            }
        ]


def test_the_openapi_document_describes_it_as_the_sport_endpoint() -> None:
    document = create_app(gateway_settings("127.0.0.1:1")).openapi()
    sport, product = (
        document["paths"][path]["post"] for path in ("/sportclassifier/predict/", PREDICT_PRODUCT)
    )
    own = {"operationId", "summary", "description", "tags"}
    assert own <= product.keys()
    shared = {key: value for key, value in product.items() if key not in own | {"responses"}}
    assert shared == {key: value for key, value in sport.items() if key not in own | {"responses"}}
    assert {**product["responses"], "200": None} == {**sport["responses"], "200": None}
    schemas = document["components"]["schemas"]
    for name in ("ProductProbability", "SportsGroupProbability"):
        assert all(field["description"] for field in schemas[name]["properties"].values())
    for prediction in ("SportPrediction", "ProductPrediction"):
        schema = {**schemas[prediction], "components": document["components"]}
        (example,) = schema["examples"]
        jsonschema.Draft202012Validator(schema).validate(example)
    (example,) = schemas["ProductPrediction"]["examples"]
    jsonschema.Draft202012Validator(DOCUMENTED).validate(example)
