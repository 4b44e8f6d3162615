"""The catalogue over HTTP, with no model server in reach: these answers need none."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import pytest_asyncio

from app.main import create_app
from catalogue import load_catalogue, load_products
from catalogue.reading import SPORTS_FILE
from catalogue.sports_api import parse_dump
from tests.app.test_errors import assert_problem
from tests.support.gateway import gateway_settings, running_gateway

JSON_API = "application/vnd.api+json"
NO_MODEL_SERVER = "127.0.0.1:1"
# Paths, each with the one that the OpenAPI document describes it under.
PATHS = {
    "/sports": "/sports",
    "/sports?parents_only=true": "/sports",
    "/sports/66": "/sports/{sport}",
    "/sports/search/ski": "/sports/search/{query}",
    "/groups": "/groups",
    "/groups/12": "/groups/{group}",
    "/products/types": "/products/types",
}

# One gateway serves all these tests: nothing that they do changes it.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running_gateway(gateway_settings(NO_MODEL_SERVER)) as url,
        httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
    ):
        yield client


async def names(client: httpx.AsyncClient, path: str, **params: str) -> list[str]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200
    return [resource["attributes"]["name"] for resource in answer.json()["data"]]


async def test_a_sport_to_the_letter(client: httpx.AsyncClient) -> None:
    children = [sport.id for sport in load_catalogue().sports if sport.parent == "american-football"]
    assert children
    answer = await client.get("/sports/87")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == JSON_API
    assert answer.json() == {
        "data": {
            "id": "87",
            "type": "sport",
            "attributes": {
                "name": "American football",
                "description": None,
                "parent_id": None,
                "slug": "american-football",
                "locale": "en",
                "environment": "outdoor",
                "participation": "team",
                "id_source": "sports-api",
                "aliases": [],
                "former_ids": [],
            },
            "relationships": {
                "children": {"data": [{"id": child, "type": "sport"} for child in children]},
                "parent": {"data": None},
                "group": {"data": {"id": "2", "type": "group"}},
            },
            "links": {"self": "/sports/87"},
        }
    }


async def test_a_part_of_another_sport_names_it(client: httpx.AsyncClient) -> None:
    part = (await client.get("/sports/downhill-skiing")).json()["data"]
    assert part["relationships"]["parent"]["data"]["type"] == "sport"
    whole = (await client.get(f"/sports/{part['attributes']['parent_id']}")).json()["data"]
    assert whole["id"] == part["relationships"]["parent"]["data"]["id"]
    assert {"id": part["id"], "type": "sport"} in whole["relationships"]["children"]["data"]


async def test_a_group_to_the_letter(client: httpx.AsyncClient) -> None:
    group = (await client.get("/groups/winter-sports")).json()["data"]
    assert list(group) == ["id", "type", "attributes", "relationships", "links"]
    assert (group["id"], group["type"], group["links"]) == ("12", "group", {"self": "/groups/12"})
    assert group["attributes"] == {"name": "Snow and ice sports", "slug": "winter-sports", "locale": "en"}
    assert {"id": "66", "type": "sport"} in group["relationships"]["sports"]["data"]


async def test_the_list_has_every_sport_as_it_stands_alone(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/sports")).json()["data"]
    catalogue = load_catalogue()
    assert [resource["attributes"]["slug"] for resource in listed] == [
        sport.slug for sport in catalogue.sports
    ]
    for resource in listed[::50]:
        for key in (resource["id"], resource["attributes"]["slug"]):
            assert (await client.get(f"/sports/{key}")).json()["data"] == resource


async def test_every_link_leads_to_a_resource_of_its_type(client: httpx.AsyncClient) -> None:
    sports = (await client.get("/sports")).json()["data"]
    groups = (await client.get("/groups")).json()["data"]
    known = {(resource["type"], resource["id"]) for resource in [*sports, *groups]}
    assert len(known) == len(sports) + len(groups)
    for resource in [*sports, *groups]:
        assert resource["links"] == {"self": f"/{resource['type']}s/{resource['id']}"}
        for relationship in resource["relationships"].values():
            linked = (
                relationship["data"] if isinstance(relationship["data"], list) else [relationship["data"]]
            )
            assert {(one["type"], one["id"]) for one in linked if one} <= known
    members = [sport["id"] for group in groups for sport in group["relationships"]["sports"]["data"]]
    assert sorted(members) == sorted(sport["id"] for sport in sports)


async def test_a_product_type_to_the_letter(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/products/types")).json()["data"]
    (tent,) = (resource for resource in listed if resource["id"] == "tent")
    sports = [(await client.get(f"/sports/{slug}")).json()["data"]["id"] for slug in ("camping", "hiking")]
    assert tent == {
        "id": "tent",
        "type": "product-type",
        "attributes": {"name": "tent", "groups": [{"name": "Camping,Hiking", "sport_ids": sports}]},
        "relationships": {"sports": {"data": [{"id": one, "type": "sport"} for one in sports]}},
    }


async def test_every_product_type_is_listed_with_sports_that_are_there(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/products/types")).json()["data"]
    sports = {resource["id"] for resource in (await client.get("/sports")).json()["data"]}
    types = load_products(load_catalogue()).types
    assert [resource["id"] for resource in listed] == [one.id for one in types]
    for resource, one in zip(listed, types, strict=True):
        groups = resource["attributes"]["groups"]
        assert [group["name"] for group in groups] == [group.name for group in one.groups]
        linked = [sport["id"] for sport in resource["relationships"]["sports"]["data"]]
        assert set(linked) == {sport for group in groups for sport in group["sport_ids"]} <= sports
        assert len(set(linked)) == len(linked)


async def test_the_answers_are_as_the_openapi_document_says(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    for path, template in PATHS.items():
        content = described["paths"][template]["get"]["responses"]["200"]["content"]
        assert list(content) == [JSON_API]
        schema = {**content[JSON_API]["schema"], "components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate((await client.get(path)).json())


async def test_our_own_import_reads_our_list_as_a_dump_of_the_sports_api(client: httpx.AsyncClient) -> None:
    sports = parse_dump((await client.get("/sports")).json(), "ours")
    assert [(sport.id, sport.slug, sport.name) for sport in sports] == [
        (sport.id, sport.slug, sport.name) for sport in load_catalogue().sports
    ]


async def test_parents_only(client: httpx.AsyncClient) -> None:
    parents = await names(client, "/sports", parents_only="True")
    assert parents == [sport.name for sport in load_catalogue().sports if sport.parent is None]
    assert "Alpine skiing" in await names(client, "/sports/search/alpine")
    assert await names(client, "/sports/search/alpine", parents_only="true") == []


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """The catalogue after an import that gave Archery an id of the Sports API, 10003 until then."""
    document = json.loads(SPORTS_FILE.read_text("utf-8"))
    archery = next(sport for sport in document["sports"] if sport["slug"] == "archery")
    archery.update(former_ids=[archery["id"]], id="123", id_source="sports-api")
    file = tmp_path / "sports.json"
    file.write_text(json.dumps(document), "utf-8")
    return file


async def test_a_former_id_finds_the_sport_under_the_id_of_today(
    client: httpx.AsyncClient, imported: Path
) -> None:
    before = (await client.get("/sports/archery")).json()["data"]
    settings = gateway_settings(NO_MODEL_SERVER, catalogue_file=imported)
    async with running_gateway(settings) as url, httpx.AsyncClient(base_url=url, trust_env=False) as changed:
        answers = [await changed.get(f"/sports/{key}") for key in (before["id"], "123", "archery")]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len({(answer.text, answer.headers["etag"]) for answer in answers}) == 1
        after = answers[0].json()["data"]
        assert (after["id"], after["links"]["self"]) == ("123", "/sports/123")
        assert after["attributes"]["former_ids"] == [before["id"]]
        # Another catalogue, another tag; what did not change keeps its own.
        for path, same in [("/sports", False), ("/sports/archery", False), ("/sports/66", True)]:
            tags = [(await one.get(path)).headers["etag"] for one in (client, changed)]
            assert (tags[0] == tags[1]) is same


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("ski", "Skiing"),
        ("PETANQUE", "Petanque"),
        ("p%C3%A9tanque", "Petanque"),
        ("M%C3%B6lkky", "Mölkky"),
        ("molkky", "Mölkky"),
        ("ping%20pong", "Table tennis"),
        ("ping-pong", "Table tennis"),
        ("swiming", "Swimming"),
        ("body%20building%20/%20cross", "Body building / cross training"),
        ("body%20building%20%2F%20cross", "Body building / cross training"),
    ],
)
async def test_search(client: httpx.AsyncClient, query: str, first: str) -> None:
    assert (await names(client, f"/sports/search/{query}"))[0] == first


async def test_what_the_sports_api_s_clients_send_along_does_no_harm(client: httpx.AsyncClient) -> None:
    plain = await names(client, "/sports/search/water")
    assert await names(client, "/sports/search/water", source="popular", coordinates="-73.58,45.51") == plain


async def test_a_search_that_finds_nothing_is_an_empty_list(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sports/search/xyzzy")
    assert (answer.status_code, answer.json()) == (200, {"data": []})


async def test_a_search_is_bounded(client: httpx.AsyncClient) -> None:
    assert len(await names(client, "/sports/search/a")) == 50
    assert (await client.get("/sports/search/" + "x" * 100)).status_code == 200
    assert_problem(await client.get("/sports/search/" + "x" * 101), 422, "invalid-parameter", "query", "100")


@pytest.mark.parametrize(
    "path", ["/sports/search", "/sports/search/", "/sports/search/%20", "/sports/search/%3F!"]
)
async def test_an_empty_search_says_how_to_search(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 404, "empty-search", "/sports/search/ski")


@pytest.mark.parametrize(
    ("path", "slug", "words"),
    [
        ("/sports/sking", "unknown-sport", ["skiing (66)", "GET /sports ", "/sports/search/"]),
        ("/sports/Skiing", "unknown-sport", ["Did you mean skiing (66)"]),
        ("/sports/99999", "unknown-sport", ['No sport has the id or slug "99999". GET /sports']),
        ("/sports/066", "unknown-sport", ["066"]),
        ("/sports/%00", "unknown-sport", ["GET /sports"]),
        ("/groups/winter", "unknown-group", ["winter-sports (12)", "GET /groups"]),
        ("/groups/1000", "unknown-group", ['"1000". GET /groups']),
    ],
)
async def test_an_unknown_one_is_a_404_that_helps(
    client: httpx.AsyncClient, path: str, slug: str, words: list[str]
) -> None:
    assert_problem(await client.get(path), 404, slug, *words)


@pytest.mark.parametrize(
    "path", ["/sports/" + "x" * 101, "/groups/" + "x" * 101, "/sports?parents_only=perhaps"]
)
async def test_a_wrong_parameter(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 422, "invalid-parameter")


@pytest.mark.parametrize("path", PATHS)
async def test_answers_can_be_kept_and_asked_for_again(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    tag = answer.headers["etag"]
    assert not tag.startswith("W/")
    assert answer.headers["cache-control"] == "public, max-age=300, stale-while-revalidate=3600"
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (
            tag,
            answer.headers["cache-control"],
        )
        assert "content-type" not in again.headers
    fresh = await client.get(path, headers={"If-None-Match": '"other"'})
    assert (fresh.status_code, fresh.content) == (200, answer.content)


async def test_tags_differ_where_the_documents_do(client: httpx.AsyncClient) -> None:
    tags = [
        (await client.get(path)).headers["etag"] for path in [*PATHS, "/sports/search/water", "/sports/74"]
    ]
    assert len(set(tags)) == len(tags)


async def test_an_unknown_sport_is_a_404_whatever_the_caller_has(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sports/moon-golf", headers={"If-None-Match": "*"})
    assert_problem(answer, 404, "unknown-sport")
    assert "etag" not in answer.headers


@pytest.mark.parametrize("path", [*PATHS, "/sports/moon-golf", "/sports/search"])
async def test_head_is_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    varying = {"x-request-id", "date"}
    # The request's id stands in a problem's body, but every id has the same length.
    assert {key: value for key, value in head.headers.items() if key not in varying} == {
        key: value for key, value in whole.headers.items() if key not in varying
    }
    if whole.status_code == 200:
        again = await client.head(path, headers={"If-None-Match": head.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("path", ["/sports", "/sports/66", "/sports/search/ski", "/groups", "/groups/12"])
async def test_other_methods_are_told_what_is_allowed(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json={})
    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", JSON_API])
async def test_everyone_gets_json_api(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/groups", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON_API)


async def test_json_api_with_parameters_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/groups", headers={"Accept": f"{JSON_API}; charset=utf-8"})
    assert_problem(answer, 406, "not-acceptable", f'"Accept: {JSON_API}"')


async def test_a_token_is_neither_needed_nor_looked_at(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sports", headers={"Authorization": "Bearer of no worth"})
    assert answer.status_code == 200


async def test_openapi_describes_the_routes_without_security_and_every_field() -> None:
    document: dict[str, Any] = create_app(gateway_settings(NO_MODEL_SERVER)).openapi()
    for path in PATHS.values():
        assert list(document["paths"][path]) == ["get"]
        operation = document["paths"][path]["get"]
        assert "security" not in operation
        for status, response in operation["responses"].items():
            expected = {"200": [JSON_API], "304": []}.get(status, ["application/problem+json"])
            assert list(response.get("content", {})) == expected
    for name in ("SportAttributes", "GroupAttributes", "ProductTypeAttributes", "ProductTypeGroup"):
        assert all(
            field["description"] for field in document["components"]["schemas"][name]["properties"].values()
        )
