import pytest
from fastapi import Request

from app.caching import CACHE_CONTROL, CacheableDocument, cacheable_response

DOCUMENT = CacheableDocument.of(b'{"data":[]}')
TAG = DOCUMENT.etag


def request_with(*fields: str) -> Request:
    headers = [(b"if-none-match", field.encode()) for field in fields]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


def test_the_tag_is_strong_and_made_of_the_bytes() -> None:
    # SHA-256 of the bytes, as sha256sum gives it.
    assert CacheableDocument.of(b"").etag == '"e3b0c44298fc1c149afbf4c8996fb924"'
    assert CacheableDocument.of(DOCUMENT.body) == DOCUMENT
    assert CacheableDocument.of(b'{"data":[] }').etag != TAG


@pytest.mark.parametrize(
    "fields",
    [
        ["*"],
        [" * "],
        [TAG],
        [f"W/{TAG}"],
        [f'"other", {TAG}'],
        [f'"other",W/{TAG}'],
        [f'W/"with, a comma" , {TAG}'],
        ['"other"', TAG],
        [f"{TAG},"],
    ],
)
def test_whoever_has_it_gets_no_second_copy(fields: list[str]) -> None:
    answer = cacheable_response(request_with(*fields), DOCUMENT, "text/plain")
    assert (answer.status_code, answer.body) == (304, b"")
    assert dict(answer.headers) == {"etag": TAG, "cache-control": CACHE_CONTROL}


@pytest.mark.parametrize(
    "fields",
    [[], [""], ['"other"'], ['W/"other", "more"'], [TAG.strip('"')], [TAG[:-2] + '"'], ['"', "W/"], ['"*"']],
)
def test_everyone_else_gets_it(fields: list[str]) -> None:
    answer = cacheable_response(request_with(*fields), DOCUMENT, "application/vnd.api+json")
    assert (answer.status_code, answer.body) == (200, DOCUMENT.body)
    assert dict(answer.headers) == {
        "etag": TAG,
        "cache-control": CACHE_CONTROL,
        "content-length": str(len(DOCUMENT.body)),
        "content-type": "application/vnd.api+json",
    }
