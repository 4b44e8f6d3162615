"""`python -m app` with accounts: it starts with nothing but a secret, and says why where it does not start."""

import asyncio
from pathlib import Path

import httpx
import pytest

import app.__main__
from accounts import migrating
from tests.support.commands import SECRET, run_accounts
from tests.support.processes import free_port, listens, running_module, wait_until

HERE = {"SPORTVISION_ENVIRONMENT": "production", "SPORTVISION_DATABASE_WAIT_SECONDS": "0"}


def test_a_token_that_an_operator_made_meanwhile(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"sqlite:///{tmp_path / 'var' / 'accounts.sqlite3'}"
    environment = {
        **HERE,
        "SPORTVISION_SECRET_KEY": SECRET,
        "SPORTVISION_DATABASE_URL": url,
        "SPORTVISION_MAIL_FOLDER": str(tmp_path / "mails"),
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_MODEL_SERVER": "127.0.0.1:1",
        "TMPDIR": str(tmp_path),
    }
    with running_module("app", log=log, environment=environment) as process:
        wait_until("gateway", lambda: listens(port), process, log)
        token = run_accounts(url, "bootstrap").stdout.strip()
        for authorization in (token, f"Bearer {token}"):
            headers = {"Authorization": authorization}
            answer = httpx.post(
                f"http://127.0.0.1:{port}/sportclassifier/predict/",
                headers=headers,
                files={"file": b"no picture"},
                timeout=60,
            )
            # Past the door: 401 otherwise.
            assert answer.status_code in {415, 503}
    written = log.read_text("utf-8")
    assert "Traceback" not in written
    assert token not in written


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        (
            {"SPORTVISION_SECRET_KEY": "public-secret-for-development-only"},
            2,
            "SPORTVISION_SECRET_KEY is the one for development",
        ),
        (
            {"SPORTVISION_SECRET_KEY": SECRET, "SPORTVISION_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"},
            1,
            "The database does not answer",
        ),
        (
            {
                "SPORTVISION_SECRET_KEY": SECRET,
                "SPORTVISION_DATABASE_URL": "sqlite:////proc/nowhere/a.sqlite3",
            },
            1,
            "The database does not answer",
        ),
        (
            {"SPORTVISION_SECRET_KEY": SECRET, "SPORTVISION_DATABASE_MIGRATE": "0"},
            1,
            "stopped at revision 0001",
        ),
    ],
    ids=["development secret", "no server", "no folder", "half migrated"],
)
def test_no_start_and_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    code: int,
    words: str,
) -> None:
    url = f"sqlite:///{tmp_path / 'half.sqlite3'}"
    asyncio.run(migrating.upgrade(url, "0001"))
    for name, value in {**HERE, "SPORTVISION_DATABASE_URL": url, **environment}.items():
        monkeypatch.setenv(name, value)
    # Pytest's own handlers stay as they are.
    monkeypatch.setattr(app.__main__, "_configure_logging", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        app.__main__.main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (code, "")
    assert words in told.err
    assert "Traceback" not in told.err
