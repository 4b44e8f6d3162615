from typing import Any

import pytest

from app.main import create_app
from tests.support.gateway import ENDPOINTS, PREDICT_V2, gateway_settings

WITH_BATCH = [endpoint.path for endpoint in ENDPOINTS]
PATHS = [*WITH_BATCH, PREDICT_V2]


@pytest.fixture
def document() -> dict[str, Any]:
    return create_app(gateway_settings("127.0.0.1:1")).openapi()


@pytest.mark.parametrize("path", PATHS)
def test_the_upload_is_a_file_for_sdk_generators(document: dict[str, Any], path: str) -> None:
    body = document["paths"][path]["post"]["requestBody"]
    schema = body["content"]["multipart/form-data"]["schema"]
    assert body["required"]
    assert schema["required"] == ["file"]
    assert schema["properties"]["file"]["type"] == "string"
    assert schema["properties"]["file"]["format"] == "binary"
    assert "contentMediaType" not in schema["properties"]["file"]


def test_every_operation_has_a_plain_name_and_a_summary(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert sorted(names) == [
        "get_group",
        "get_health",
        "get_readiness",
        "get_sport",
        "get_usage",
        "list_groups",
        "list_product_types",
        "list_sports",
        "predict_product",
        "predict_product_batch",
        "predict_sport",
        "predict_sport_batch",
        "predict_sport_v2",
        "search_sports",
    ]
    assert all(operation["summary"] for operation in operations)


def test_the_token_is_a_bearer_scheme_of_the_endpoints_that_need_one_alone(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    secured = {
        path: operation["security"]
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "security" in operation
    }
    assert secured == {
        path: [{"token": []}] for path in (*PATHS, *(f"{path}batch/" for path in WITH_BATCH), "/usage")
    }


@pytest.mark.parametrize("path", PATHS)
def test_errors_are_problem_json_and_nothing_else(document: dict[str, Any], path: str) -> None:
    responses = document["paths"][path]["post"]["responses"]
    assert set(responses) == {"200", "401", "403", "408", "413", "415", "422", "429", "502", "503", "504"}
    for status, response in responses.items():
        if status != "200":
            assert list(response["content"]) == ["application/problem+json"]
            reference = response["content"]["application/problem+json"]["schema"]["$ref"]
            assert reference == "#/components/schemas/ProblemDetails"


def test_the_second_form_has_the_sports_one_level_deeper(document: dict[str, Any]) -> None:
    answer = document["paths"][PREDICT_V2]["post"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    schemas = document["components"]["schemas"]
    nested = schemas[answer["$ref"].rpartition("/")[2]]["properties"]["data"]["$ref"].rpartition("/")[2]
    assert schemas[nested]["required"] == ["sport"]
    assert schemas[nested]["properties"]["sport"]["items"] == {
        "$ref": "#/components/schemas/SportProbability"
    }


def test_every_field_of_the_answer_is_described(document: dict[str, Any]) -> None:
    sport = document["components"]["schemas"]["SportProbability"]["properties"]
    assert list(sport) == ["id", "name", "probability"]
    assert all(field["description"] for field in sport.values())
