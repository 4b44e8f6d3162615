"""The description of accounts and of the mailing list."""

from pathlib import Path
from typing import Any

import pytest

from app.main import create_app
from tests.support.gateway import gateway_settings
from tests.support.self_service import self_service_settings

OPERATIONS = {
    "sign_up": "post /accounts",
    "get_account_confirmation": "get /accounts/confirmations/{link}",
    "confirm_account": "post /accounts/confirmations/{link}",
    "get_my_account": "get /accounts/me",
    "delete_my_account": "delete /accounts/me",
    "export_my_account": "get /accounts/me/export",
    "list_my_tokens": "get /accounts/me/tokens",
    "make_my_token": "post /accounts/me/tokens",
    "rotate_my_token": "post /accounts/me/tokens/{token_id}/rotate",
    "revoke_my_token": "delete /accounts/me/tokens/{token_id}",
    "subscribe": "post /mailing-list/subscriptions",
    "get_subscription_confirmation": "get /mailing-list/confirmations/{link}",
    "confirm_subscription": "post /mailing-list/confirmations/{link}",
    "get_unsubscribe_link": "get /mailing-list/unsubscribe/{link}",
    "unsubscribe": "post /mailing-list/unsubscribe/{link}",
}


@pytest.fixture
def operations(tmp_path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    document = create_app(self_service_settings(f"sqlite:///{tmp_path / 'a'}", tmp_path)).openapi()
    return {
        operation["operationId"]: (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if set(operation["tags"]) & {"accounts", "mailing list"}
    }


def test_every_operation_is_named_described_and_has_examples(
    operations: dict[str, tuple[str, dict[str, Any]]],
) -> None:
    assert {name: place for name, (place, _) in operations.items() if name in OPERATIONS} == OPERATIONS
    for name in OPERATIONS:
        operation = operations[name][1]
        assert operation["summary"]
        assert operation["description"]
        for parameter in operation.get("parameters", []):
            assert parameter["description"]
            assert parameter["schema"]["examples"]


def test_only_one_s_own_account_needs_a_token(operations: dict[str, tuple[str, dict[str, Any]]]) -> None:
    for name in OPERATIONS:
        place, operation = operations[name]
        assert operation.get("security", []) == ([{"token": []}] if "/accounts/me" in place else [])


def test_problems_are_problem_json(operations: dict[str, tuple[str, dict[str, Any]]]) -> None:
    for name in OPERATIONS:
        responses = operations[name][1]["responses"]
        assert any(status.startswith("4") for status in responses)
        for status, response in responses.items():
            if not status.startswith("2"):
                assert list(response["content"]) == ["application/problem+json"], (name, status)
                assert response["description"]


def test_without_accounts_there_is_nothing_of_it() -> None:
    paths = create_app(gateway_settings("127.0.0.1:1", environment="production")).openapi()["paths"]
    assert not [path for path in paths if path.startswith(("/accounts", "/mailing-list"))]
