"""Which pages may call the service, and what an answer may do in a browser."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from app.middleware.browsers import EXPOSED
from app.middleware.security_headers import docs_policy
from app.settings import Settings
from tests.support.fake_backend import FakeBackend
from tests.support.gateway import PREDICT, gateway_client, gateway_settings
from tests.support.pictures import grey_jpeg

PAGE = "https://example.org"


def directives(answer: httpx.Response) -> dict[str, list[str]]:
    parts = answer.headers["content-security-policy"].split("; ")
    return {name: values for name, *values in (part.split() for part in parts)}


@pytest.mark.parametrize(
    "path", ["/healthz", "/sports", "/sports/no-such-sport", "/nowhere", "/openapi.json", "/metrics"]
)
async def test_an_answer_is_data_and_nothing_else(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert directives(answer) == {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}
    # Over HTTP browsers would not believe it.
    assert "strict-transport-security" not in answer.headers


async def test_refusals_and_failures_have_them_too(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT, headers={"Authorization": ""}, files={"file": b"x"})
    assert answer.status_code == 401
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_https_is_asked_for_where_the_caller_came_by_https(client: httpx.AsyncClient) -> None:
    for forwarded in ("https", "HTTPS, http"):
        answer = await client.get("/healthz", headers={"X-Forwarded-Proto": forwarded})
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    answer = await client.get("/healthz", headers={"X-Forwarded-Proto": "http, https"})
    assert "strict-transport-security" not in answer.headers


async def test_https_is_not_asked_for_where_the_setting_says_so(backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, hsts_seconds=0)) as client:
        answer = await client.get("/healthz", headers={"X-Forwarded-Proto": "https"})
        assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/redoc", "/docs/oauth2-redirect"])
async def test_the_documentation_may_load_what_it_needs_and_no_more(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    allowed = directives(answer)
    tags = re.findall(r'<(script|link|img)\b[^>]*?(?:src|href)="([^"]+)"[^>]*>', answer.text)
    for tag, url in tags:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        icon = tag == "link" and ("favicon" in url or url.endswith(".png"))
        kind = "script-src" if tag == "script" else "img-src" if tag == "img" or icon else "style-src"
        assert origin in allowed[kind], url
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed["script-src"]
    assert tags or scripts
    assert "'unsafe-inline'" not in allowed["script-src"]
    assert allowed["connect-src"] == ["'self'"]
    assert allowed["frame-ancestors"] == ["'none'"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_a_script_that_was_not_in_the_page_may_not_run() -> None:
    assert docs_policy(b"<script>one</script>") != docs_policy(b"<script>two</script>")


async def test_without_a_setting_no_page_of_others_may_read_an_answer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/sports", headers={"Origin": PAGE})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.fixture
async def open_to_page(backend: FakeBackend) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_client(
        gateway_settings(backend.target, cors_origins=f"{PAGE}, http://localhost:3000")
    ) as client:
        yield client


async def test_a_page_may_ask_first_and_then_send_a_picture(open_to_page: httpx.AsyncClient) -> None:
    asked = await open_to_page.options(
        PREDICT,
        headers={
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-request-id",
            "Authorization": "",
        },
    )
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in asked.headers
    answer = await open_to_page.post(PREDICT, headers={"Origin": PAGE}, files={"file": grey_jpeg(0)})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["access-control-expose-headers"].split(", ") == list(EXPOSED)


async def test_a_page_may_send_every_header_that_the_document_names(open_to_page: httpx.AsyncClient) -> None:
    document = (await open_to_page.get("/openapi.json")).json()
    named = {
        parameter["name"]
        for path in document["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }
    assert {"X-Request-Timeout", "X-Model-Label"} <= named
    for name in named:
        asked = await open_to_page.options(
            PREDICT,
            headers={
                "Origin": PAGE,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": name.lower(),
            },
        )
        assert asked.status_code == 200, name


async def test_a_page_gets_to_read_every_header_that_is_ours(open_to_page: httpx.AsyncClient) -> None:
    answers = [
        await open_to_page.post(PREDICT, headers={"Origin": PAGE}, files={"file": grey_jpeg(0)}),
        await open_to_page.post(PREDICT, headers={"Origin": PAGE, "Authorization": ""}, files={"file": b"x"}),
        await open_to_page.get("/sports", headers={"Origin": PAGE}),
        await open_to_page.get(PREDICT, headers={"Origin": PAGE}),
    ]
    # What pages may read without being told (the Fetch standard), and what concerns others than their scripts.
    safe = {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified"}
    others = {"connection", "date", "transfer-encoding", "vary", "content-security-policy", "referrer-policy"}
    others |= {"server", "x-content-type-options", "x-frame-options"}
    for answer in answers:
        sent = {name for name in answer.headers if not name.startswith("access-control-")}
        assert sent - safe - others <= {name.lower() for name in EXPOSED}


async def test_a_page_gets_to_read_problems_too(open_to_page: httpx.AsyncClient) -> None:
    for path, status in (("/nowhere", 404), (PREDICT, 405)):
        answer = await open_to_page.get(path, headers={"Origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)
    refused = await open_to_page.post(
        PREDICT, headers={"Origin": PAGE, "Authorization": ""}, files={"file": b"x"}
    )
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)


async def test_other_pages_may_not(open_to_page: httpx.AsyncClient) -> None:
    answer = await open_to_page.get("/sports", headers={"Origin": "https://example.com"})
    assert "access-control-allow-origin" not in answer.headers
    asked = await open_to_page.options(
        PREDICT, headers={"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    )
    assert asked.status_code == 400


async def test_a_star_lets_all_pages(backend: FakeBackend) -> None:
    async with gateway_client(gateway_settings(backend.target, cors_origins="*")) as client:
        answer = await client.get("/sports", headers={"Origin": "https://example.com"})
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "origin", ["example.org", "https://example.org/", "https://a b", "ftp://example.org"]
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="SPORTVISION_CORS_ORIGINS"):
        Settings.model_validate({"tokens": ["a-token-for-the-tests"], "cors_origins": [origin]})
