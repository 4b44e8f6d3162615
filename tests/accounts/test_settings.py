import pytest
from pydantic import ValidationError

from accounts.settings import DEVELOPMENT_SECRET, MIN_SECRET_LENGTH, AccountsSettings
from app.settings import Settings

SECRET = "x" * MIN_SECRET_LENGTH


def refused(**values: object) -> str:
    with pytest.raises(ValidationError) as raised:
        AccountsSettings.model_validate(values)
    return str(raised.value)


def test_nothing_set_is_off_in_production_and_on_in_development() -> None:
    assert not AccountsSettings().accounts_on
    development = AccountsSettings(environment="development")
    assert development.accounts_on
    assert development.secret_key_bytes == DEVELOPMENT_SECRET.encode()
    assert not AccountsSettings(environment="development", accounts=False).accounts_on


def test_a_secret_key_switches_accounts_on() -> None:
    settings = AccountsSettings.model_validate({"secret_key": SECRET, "previous_secret_key": "y" * 32})
    assert settings.accounts_on
    assert (settings.secret_key_bytes, settings.previous_secret_key_bytes) == (b"x" * 32, b"y" * 32)
    assert settings.database_url.get_secret_value() == "sqlite:///var/accounts.sqlite3"
    assert not AccountsSettings.model_validate({"secret_key": SECRET, "accounts": False}).accounts_on


@pytest.mark.parametrize("name", ["secret_key", "previous_secret_key"])
def test_secrets_that_are_no_secrets(name: str) -> None:
    assert "everybody can read in the source" in refused(**{name: DEVELOPMENT_SECRET})
    assert "fewer than 32 characters" in refused(**{name: "x" * 31})
    assert AccountsSettings.model_validate({name: ""}) == AccountsSettings()
    AccountsSettings.model_validate({name: DEVELOPMENT_SECRET, "environment": "development"})


def test_accounts_need_a_secret_outside_development() -> None:
    assert "outside development it has no default" in refused(accounts=True)
    with pytest.raises(RuntimeError, match="accounts are off"):
        _ = AccountsSettings().secret_key_bytes


def test_the_database_is_looked_at_only_where_there_are_accounts() -> None:
    AccountsSettings.model_validate({"database_url": "nonsense"})
    message = refused(database_url="nonsense", secret_key=SECRET)
    assert "SPORTVISION_DATABASE_URL: the database's URL cannot be read" in message


def test_no_secret_is_shown() -> None:
    url = "postgresql://ada:secret-word@host/db"
    settings = AccountsSettings.model_validate(
        {"secret_key": SECRET, "database_url": url, "redis_url": "redis://:secret-word@host"}
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown
        assert "secret-word" not in shown


def test_a_gateway_with_accounts_needs_no_other_token() -> None:
    assert Settings.model_validate({"secret_key": SECRET}).accounts_on
    with pytest.raises(ValidationError, match="SPORTVISION_SECRET_KEY"):
        Settings.model_validate({})
