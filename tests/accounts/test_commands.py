"""`python -m accounts`, in this process where it can be, so that it is quick."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts import migrating
from accounts.commands.line import main
from accounts.settings import DEVELOPMENT_SECRET
from accounts.tokens.format import is_well_formed
from tests.support.commands import SECRET, run_accounts
from tests.support.plans import plans_file

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, empty_database_url: str) -> str:
    monkeypatch.setenv("SPORTVISION_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("SPORTVISION_SECRET_KEY", SECRET)
    monkeypatch.setenv("SPORTVISION_DATABASE_WAIT_SECONDS", "0")
    # What the tests' machine happens to have set is not meant.
    for name in ("ENVIRONMENT", "REDIS_URL", "ACCOUNTS", "PREVIOUS_SECRET_KEY"):
        monkeypatch.delenv(f"SPORTVISION_{name}", raising=False)
    # Pytest's own handlers stay as they are.
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    return empty_database_url


@pytest.fixture
def run(settings: str, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def told(run: Run, *arguments: str) -> Any:
    code, out, err = run("--json", *arguments)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_from_nothing_to_a_token(run: Run) -> None:
    code, out, err = run("bootstrap", "--email", "Ada@Example.org")
    assert code == 0
    # Nothing but the token, so that it can be piped.
    assert is_well_formed(out.strip())
    assert "shown this once" in err
    assert out.strip() not in err
    (account,) = told(run, "account", "list")
    assert (account["email"], account["state"]) == ("Ada@example.org", "active")
    (token,) = told(run, "token", "list", "ada@example.org")
    assert token["ends_with"] == out.strip()[-4:]
    assert token["scopes"] == ["account", "product", "sport", "usage"]


def test_a_secret_is_printed_once(run: Run) -> None:
    account = told(run, "account", "create", "--name", "shop")
    made = told(run, "token", "create", account["id"], "--name", "till", "--scope", "sport", "--days", "30")
    rotated = told(run, "token", "rotate", made["id"], "--grace-minutes", "5")
    for command in (
        ("token", "list"),
        ("token", "list", account["id"]),
        ("account", "list"),
        ("account", "export", account["id"]),
        ("audit",),
    ):
        for words in (command, ("--json", *command)):
            code, out, err = run(*words)
            assert code == 0
            for secret in (made["token"], rotated["token"]):
                assert secret not in out + err
    assert made["scopes"] == rotated["scopes"] == ["sport"]
    assert made["expires_at"][:10] == rotated["expires_at"][:10]


def test_rotate_and_revoke(run: Run) -> None:
    account = told(run, "account", "create")
    made = told(run, "token", "create", account["id"], "--name", "till")
    rotated = told(run, "token", "rotate", made["id"], "--grace-minutes", "0")
    assert [one["state"] for one in told(run, "token", "list", account["id"])] == ["revoked", "active"]
    assert told(run, "token", "revoke", rotated["id"])["state"] == "revoked"
    code, _, err = run("token", "rotate", rotated["id"])
    assert (code, err) == (1, "The token is revoked or expired already. Make a new one instead.\n")


def test_accounts_are_changed_and_deleted(run: Run) -> None:
    account = told(run, "account", "create", "--email", "ada@example.org")
    assert told(run, "account", "disable", "ada@example.org")["state"] == "disabled"
    assert told(run, "account", "enable", account["id"])["state"] == "active"
    assert told(run, "account", "plan", account["id"], "bulk")["plan"] == "bulk"
    assert told(run, "account", "plan", account["id"])["plan"] is None
    assert told(run, "account", "export", account["id"])["account"]["email"] == "ada@example.org"
    assert told(run, "account", "delete", account["id"])["deleted"] is True
    assert told(run, "account", "list") == []
    log = told(run, "audit", "--newest", "3", "--account", account["id"])
    assert [one["action"] for one in log] == ["account.delete", "account.export", "account.plan"]
    assert log[0]["actor"].startswith("operator ")


def test_a_plan_must_be_there(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = told(run, "account", "create")
    for words in (["account", "create"], ["token", "create", account["id"], "--name", "x"], ["bootstrap"]):
        code, _, err = run(*words, "--plan", "large")
        assert code == 1
        assert err.startswith('There is no plan "large"; this version\'s own are standard,')
    monkeypatch.setenv("SPORTVISION_PLANS_FILE", str(plans_file(tmp_path, large={})))
    assert told(run, "account", "plan", account["id"], "large")["plan"] == "large"
    monkeypatch.setenv("SPORTVISION_PLANS_FILE", str(tmp_path / "nowhere.toml"))
    code, _, err = run("account", "plan", account["id"], "large")
    assert (code, "cannot be read" in err) == (1, True)


def test_words_for_people(run: Run) -> None:
    assert run("account", "list")[1] == "There are no accounts.\n"
    account = told(run, "account", "create", "--name", "shop")
    assert run("account", "disable", account["id"])[1].endswith("is disabled: its tokens are refused.\n")
    titles, row = run("account", "list")[1].splitlines()
    assert titles.split() == ["id", "email", "name", "plan", "state", "created_at"]
    assert row.split()[:5] == [account["id"], "-", "shop", "-", "disabled"]
    code, out, _ = run("audit")
    assert code == 0
    assert "account.disable" in out
    assert "is at revision" in run("migrate", "status")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("token", "revoke", "nonsense"), 1, "is no id of an existing token"),
        (("token", "revoke", "00000000-0000-0000-0000-000000000000"), 1, "no token of that id"),
        (("token", "create", "ada@example.org", "--name", "x"), 1, "no account with this address"),
        (("account", "disable", "nonsense"), 1, "is no id of an existing account"),
        (("account", "create", "--email", "not-an-address"), 1, "@"),
        (("token", "create", "x", "--name", "x", "--scope", "all"), 2, "invalid choice"),
        (("token", "create", "x", "--name", "x", "--days", "0"), 2, "above 0"),
        (("migrate", "down", "0001"), 1, "--yes"),
        (("migrate", "up", "nonsense"), 1, "no revision nonsense"),
        ((), 2, "usage"),
        (("account",), 2, "usage"),
    ],
)
def test_what_cannot_be_done(run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    ended, out, err = run(*arguments)
    assert (ended, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


def test_an_address_that_is_taken(run: Run) -> None:
    told(run, "account", "create", "--email", "ada@example.org")
    code, _, err = run("bootstrap", "--email", "ADA@example.org")
    assert (code, err) == (1, "An account with this address is there already.\n")
    assert told(run, "token", "list") == []


def test_migrations(run: Run, settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = migrating.revisions()[-1]
    assert told(run, "migrate", "status")["current"] is None
    assert told(run, "migrate", "up", "0001")["pending"] == list(migrating.revisions()[1:])
    monkeypatch.setenv("SPORTVISION_DATABASE_MIGRATE", "false")
    code, _, err = run("account", "list")
    assert code == 1
    assert "stopped at revision 0001" in err
    assert "`python -m accounts migrate up`" in err
    assert told(run, "migrate", "up")["current"] == newest
    assert told(run, "account", "list") == []
    assert told(run, "migrate", "down", "empty", "--yes")["current"] is None
    code, _, err = run("account", "list")
    assert code == 1
    assert "has no tables yet" in err


def test_a_database_that_is_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTVISION_DATABASE_URL", "postgresql://ada:secret-word@127.0.0.1:1/x")
    code, out, err = run("account", "list")
    assert (code, out) == (1, "")
    assert err.startswith("The database does not answer: ")
    assert "secret-word" not in err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SECRET_KEY": None}, "SPORTVISION_SECRET_KEY is not set: outside development it has no default"),
        ({"SECRET_KEY": "short"}, "fewer than 32 characters"),
        ({"SECRET_KEY": DEVELOPMENT_SECRET}, "is the one for development"),
        (
            {"DATABASE_URL": "mysql://a:secret-word@b/c"},
            'SPORTVISION_DATABASE_URL: no database of the kind "mysql"',
        ),
        ({"TOKEN_CACHE_SECONDS": "0"}, "SPORTVISION_TOKEN_CACHE_SECONDS: "),
    ],
)
def test_wrong_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], words: str
) -> None:
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(f"SPORTVISION_{name}")
        else:
            monkeypatch.setenv(f"SPORTVISION_{name}", value)
    code, out, err = run("account", "list")
    assert (code, out) == (2, "")
    assert words in err
    assert "secret-word" not in err


def test_as_a_program_of_its_own(tmp_path: Path) -> None:
    """Development needs no secret; a reader that goes away is no error."""
    url = f"sqlite:///{tmp_path / 'new' / 'accounts.sqlite3'}"
    ended = run_accounts(url, "bootstrap", environment="development", secret_key=DEVELOPMENT_SECRET)
    assert is_well_formed(ended.stdout.strip())
    asyncio.run(migrating.status(url))
