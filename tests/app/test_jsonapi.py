import pytest
from fastapi import Request

from app.jsonapi import JSON_API_MEDIA_TYPE as JSON_API
from app.jsonapi import NotAcceptable, require_plain_json_api


def request_with(*accept: str) -> Request:
    headers = [(b"accept", field.encode()) for field in accept]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [""],
        ["*/*"],
        ["application/json"],
        ["text/html,application/xhtml+xml,*/*;q=0.8"],
        ["text/csv"],
        [JSON_API],
        [f"{JSON_API};q=0.5"],
        [f'{JSON_API}; profile="https://example.org/a,b"'],
        [f'{JSON_API}; ext="https://example.org/bulk", {JSON_API}'],
        [f"{JSON_API}; charset=utf-8", JSON_API],
        [f"{JSON_API}; charset=utf-8, application/json;q=0.5"],
        [f"{JSON_API}; charset=utf-8, */*"],
        ["not a media type; ; ="],
        ['"no end'],
        [f"{JSON_API}; charset=utf-8" + "," * 4096],
    ],
)
async def test_lets_everyone_through(accept: list[str]) -> None:
    await require_plain_json_api(request_with(*accept))


@pytest.mark.parametrize(
    "accept",
    [
        [f"{JSON_API}; charset=utf-8"],
        [f'{JSON_API};ext="https://example.org/a,b"'],
        [f'{JSON_API};profile="https://example.org/a";version=1'],
        [f"text/html, {JSON_API.upper()}; version=1"],
        [f"{JSON_API}; version=1", f"{JSON_API}; version=2"],
    ],
)
async def test_but_those_whom_json_api_wants_refused(accept: list[str]) -> None:
    with pytest.raises(NotAcceptable, match="without parameters"):
        await require_plain_json_api(request_with(*accept))
