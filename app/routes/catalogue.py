"""Sports and groups as the Sports API gives them, and product types: JSON:API, open to all, made to be cached."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.caching import cacheable_response
from app.catalogue_documents import MAX_FOUND, CatalogueDocuments
from app.catalogue_schemas import GroupDocument, GroupsDocument, SportDocument, SportsDocument
from app.errors import Problem
from app.jsonapi import JSON_API_MEDIA_TYPE, JsonApiResponse, require_plain_json_api
from app.openapi import problem_responses
from app.product_schemas import ProductTypesDocument
from app.services import ServicesDep
from catalogue import Group, Sport

_MAX_TEXT = 100
_SUGGESTIONS = 3

_Endpoint: TypeAlias = Callable[..., Awaitable[Response]]


class UnknownSport(Problem):
    """No sport has that id or slug."""

    status, slug, title = 404, "unknown-sport", "There is no such sport"


class UnknownGroup(Problem):
    """No group has that id or slug."""

    status, slug, title = 404, "unknown-group", "There is no such group"


class EmptySearch(Problem):
    """Nothing to search for."""

    status, slug, title = 404, "empty-search", "The search has no words"


# Async, since FastAPI sends any other dependency through a thread.
async def _documents(services: ServicesDep) -> CatalogueDocuments:
    return services.catalogue_documents


_DocumentsDep = Annotated[CatalogueDocuments, Depends(_documents)]
_ParentsOnly = Annotated[bool, Query(description="Only the sports that are no part of another one.")]
_IdOrSlug = Annotated[
    str, Path(max_length=_MAX_TEXT, description="Its id or slug.", examples=["66", "skiing"])
]

router = APIRouter(tags=["catalogue"], dependencies=[Depends(require_plain_json_api)])


def _read(
    path: str, document: type[Any], problems: dict[int, str], **described: Any
) -> Callable[[_Endpoint], _Endpoint]:
    """Register an endpoint for GET, and for HEAD as HTTP wants it beside every GET."""
    (problem,) = problem_responses(422).values()
    responses: dict[int | str, dict[str, Any]] = {
        304: {"description": "The caller has it already (`If-None-Match`)."}
    }
    for status, meaning in {
        **problems,
        406: "JSON:API was asked for with parameters that are not supported.",
    }.items():
        responses[status] = {"description": meaning, "content": problem["content"]}

    def register(endpoint: _Endpoint) -> _Endpoint:
        # The first serves both methods, so that a 405 allows both. The second only describes: OpenAPI would
        # otherwise list two operations of one name.
        router.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)
        router.add_api_route(
            path,
            endpoint,
            methods=["GET"],
            response_model=document,
            response_class=JsonApiResponse,
            responses=responses,
            **described,
        )
        return endpoint

    return register


_WRONG_PARAMETER = {422: "A parameter has a value that it cannot have."}


@_read("/sports", SportsDocument, _WRONG_PARAMETER, operation_id="list_sports", summary="All sports")
async def list_sports(
    request: Request, documents: _DocumentsDep, parents_only: _ParentsOnly = False
) -> Response:
    """List the sports of the catalogue, all in one document as in the Sports API."""
    found = documents.parents if parents_only else documents.sports
    return cacheable_response(request, found, JSON_API_MEDIA_TYPE)


# Before /sports/{sport}, which would take it for a sport.
@router.api_route("/sports/search", methods=["GET", "HEAD"], include_in_schema=False)
async def search_for_nothing() -> Response:
    """Say how a search is made."""
    raise _empty_search()


# A path, since the names of some sports have a slash.
@_read(
    "/sports/search/{query:path}",
    SportsDocument,
    {404: "The query has neither letters nor digits.", **_WRONG_PARAMETER},
    operation_id="search_sports",
    summary="Sports by name",
)
async def search_sports(
    request: Request,
    documents: _DocumentsDep,
    query: Annotated[
        str, Path(max_length=_MAX_TEXT, description="A name or a part of one.", examples=["ski", "ping pong"])
    ],
    parents_only: _ParentsOnly = False,
) -> Response:
    """Find sports by name, slug or alias, whatever the case and the accents; at most 50, best first.

    A name that is the query comes first, then names that begin with it, then those with a word that does, then those
    that contain it. Where none does, the query counts as misspelt and names close to it are given. A search that
    finds nothing gives an empty list.
    """
    if not any(character.isalnum() for character in query):
        raise _empty_search()
    return cacheable_response(
        request, documents.search(query, parents_only=parents_only), JSON_API_MEDIA_TYPE
    )


@_read(
    "/sports/{sport}",
    SportDocument,
    {404: "No sport has that id or slug; the detail names some like it.", **_WRONG_PARAMETER},
    operation_id="get_sport",
    summary="One sport",
)
async def get_sport(request: Request, documents: _DocumentsDep, sport: _IdOrSlug) -> Response:
    """Give a sport by its id or slug.

    An id that the sport had before finds it too; the answer has the id of today.
    """
    found = documents.sport(sport)
    if found is None:
        raise UnknownSport(
            f'No sport has the id or slug "{sport}". {_perhaps(sport, documents.sports_like(sport, _SUGGESTIONS))}'
            "GET /sports lists all, GET /sports/search/{query} finds them by name."
        )
    return cacheable_response(request, found, JSON_API_MEDIA_TYPE)


@_read("/groups", GroupsDocument, {}, operation_id="list_groups", summary="All groups of sports")
async def list_groups(request: Request, documents: _DocumentsDep) -> Response:
    """List the groups of sports, each with its sports."""
    return cacheable_response(request, documents.groups, JSON_API_MEDIA_TYPE)


@_read(
    "/groups/{group}",
    GroupDocument,
    {404: "No group has that id or slug; the detail names some like it.", **_WRONG_PARAMETER},
    operation_id="get_group",
    summary="One group of sports",
)
async def get_group(request: Request, documents: _DocumentsDep, group: _IdOrSlug) -> Response:
    """Give a group by its id or slug, with its sports."""
    found = documents.group(group)
    if found is None:
        raise UnknownGroup(
            f'No group has the id or slug "{group}". {_perhaps(group, documents.groups_like(group, _SUGGESTIONS))}'
            "GET /groups lists all."
        )
    return cacheable_response(request, found, JSON_API_MEDIA_TYPE)


@_read(
    "/products/types",
    ProductTypesDocument,
    {},
    operation_id="list_product_types",
    summary="All types of product",
)
async def list_product_types(request: Request, services: ServicesDep) -> Response:
    """List the types of product that the product classifier knows, each with its sports groups and their sports."""
    return cacheable_response(request, services.product_types, JSON_API_MEDIA_TYPE)


def _empty_search() -> EmptySearch:
    return EmptySearch(
        "Put letters or digits of a sport's name behind /sports/search/, such as /sports/search/ski. GET /sports "
        f"lists all sports; a search names {MAX_FOUND} at most."
    )


def _perhaps(asked: str, alike: tuple[Sport, ...] | tuple[Group, ...]) -> str:
    # Who asks for an id means no name with that number in it.
    if asked.isdecimal() or not alike:
        return ""
    return f"Did you mean {' or '.join(f'{one.slug} ({one.id})' for one in alike)}? "
