"""How records are written, and what never is."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest

from app.logs import JsonFormatter, TextFormatter, configure_logging, current_request_id, fields

TOKEN = "secret-token-of-sixteen"


def record(message: str = "hello %s", *arguments: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("app.some").makeRecord(
        "app.some", logging.WARNING, __file__, 1, message, arguments or ("you",), None, extra=fields(**extra)
    )


@pytest.fixture
def request_id() -> Iterator[str]:
    token = current_request_id.set("request-7")
    yield "request-7"
    current_request_id.reset(token)


def test_json_is_one_object_a_line(request_id: str) -> None:
    line = JsonFormatter([]).format(record(status=200, model=None, words="two\nlines"))
    assert "\n" not in line
    content = json.loads(line)
    assert content.pop("time").endswith("Z")
    assert content == {
        "level": "warning",
        "logger": "app.some",
        "message": "hello you",
        "status": 200,
        "words": "two\nlines",
        "request_id": request_id,
    }


def test_a_record_s_own_request_id_goes_first(request_id: str) -> None:
    assert json.loads(JsonFormatter([]).format(record(request_id="other")))["request_id"] == "other"


def test_text_is_for_people() -> None:
    assert TextFormatter([]).format(record(status=200, model=None)) == "WARNING:  hello you status=200"


@pytest.mark.parametrize("form", [JsonFormatter, TextFormatter])
def test_tracebacks_are_there_and_tokens_are_not(form: type[JsonFormatter]) -> None:
    made = record("a %s and %s", TOKEN, f"Bearer {TOKEN}", field={"nested": TOKEN})
    try:
        raise ValueError(f"bad header {TOKEN}")  # noqa: TRY301 - the record needs a traceback
    except ValueError:
        made.exc_info = sys.exc_info()
    line = form(["another-token-entirely", TOKEN]).format(made)
    assert "ValueError: bad header [token]" in line
    assert "a [token] and Bearer [token]" in line
    assert TOKEN not in line


def test_warnings_of_libraries_are_records_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    # Without this, the records would go on to pytest's handlers, which are those that `force` takes away.
    monkeypatch.setattr(root, "handlers", [])
    try:
        configure_logging("json", "info", [TOKEN])
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"old {TOKEN}", stacklevel=1)
        logging.getLogger("x").debug("not this")
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "py.warnings"
    assert "old [token]" in line
