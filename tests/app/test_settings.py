import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SPORTVISION_")]:
        monkeypatch.delenv(name)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTVISION_TOKENS", '["0123456789abcdef", "fedcba9876543210"]')
    monkeypatch.setenv("SPORTVISION_PORT", "9000")
    monkeypatch.setenv("SPORTVISION_MODEL_SERVER", "tf-serving:8500")
    settings = Settings()
    assert [token.get_secret_value() for token in settings.tokens] == ["0123456789abcdef", "fedcba9876543210"]
    assert (settings.port, settings.model_server) == (9000, "tf-serving:8500")
    assert "0123456789abcdef" not in repr(settings)


def test_tokens_may_be_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTVISION_TOKENS", "0123456789abcdef, fedcba9876543210")
    assert [token.get_secret_value()[0] for token in Settings().tokens] == ["0", "f"]


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("[]", "no token is set"),
        ('["short"]', "at least 16 characters"),
        ('["jetón-con-acentos-largo"]', "ASCII"),
    ],
)
def test_no_start_without_good_tokens(monkeypatch: pytest.MonkeyPatch, tokens: str, words: str) -> None:
    monkeypatch.setenv("SPORTVISION_TOKENS", tokens)
    with pytest.raises(ValidationError, match=words):
        Settings()


def test_the_documented_limits_are_the_defaults() -> None:
    settings = Settings.model_validate({"tokens": ["0123456789abcdef"]})
    assert (settings.max_upload_bytes, settings.max_pixels) == (20_000_000, 50_000_000)


def test_the_memory_for_uploads_must_hold_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTVISION_TOKENS", "0123456789abcdef")
    monkeypatch.setenv("SPORTVISION_MAX_UPLOAD_MEMORY_BYTES", "19999999")
    with pytest.raises(ValidationError, match="could never be let in"):
        Settings()


@pytest.mark.parametrize(
    ("needs", "model", "words"),
    [
        ("", "gear", "at least 1 item"),
        ("sport,ball", "gear", "'sport' or 'product'"),
        ("sport,product", "", "SPORTVISION_PRODUCT_MODEL is empty"),
    ],
)
def test_the_gateway_can_only_need_models_that_it_has(
    monkeypatch: pytest.MonkeyPatch, needs: str, model: str, words: str
) -> None:
    monkeypatch.setenv("SPORTVISION_TOKENS", "0123456789abcdef")
    monkeypatch.setenv("SPORTVISION_READY_NEEDS", needs)
    monkeypatch.setenv("SPORTVISION_PRODUCT_MODEL", model)
    with pytest.raises(ValidationError, match=words):
        Settings()


def test_models_and_needs_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTVISION_TOKENS", "0123456789abcdef")
    settings = Settings()
    assert (settings.product_model, settings.ready_needs) == ("product_classifier", ("sport",))
    monkeypatch.setenv("SPORTVISION_READY_NEEDS", "sport, product")
    monkeypatch.setenv("SPORTVISION_PRODUCT_MODEL", "gear")
    settings = Settings()
    assert (settings.product_model, settings.ready_needs) == ("gear", ("sport", "product"))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "SPORTVISION_TOKENS"),
        ({"SPORTVISION_TOKENS": '["no end'}, "SPORTVISION_TOKENS"),
        ({"SPORTVISION_TOKENS": '["0123456789abcdef"]', "SPORTVISION_PORT": "http"}, "SPORTVISION_PORT"),
    ],
)
def test_a_wrong_setting_is_named_without_a_traceback(environment: dict[str, str], words: str) -> None:
    command = [sys.executable, "-m", "app"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
