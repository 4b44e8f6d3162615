"""`python -m accounts`, as an operator runs it."""

import os
import subprocess
import sys

from tests.support.processes import ROOT

SECRET = "a-secret-key-for-the-tests-and-nothing-else"


def run_accounts(
    url: str, *arguments: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one command on a database; `environment` names settings without their prefix, in lower case."""
    given = {f"SPORTVISION_{name.upper()}": value for name, value in environment.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPORTVISION_")}
    return subprocess.run(
        [sys.executable, "-m", "accounts", *arguments],
        cwd=ROOT,
        env={**inherited, "SPORTVISION_DATABASE_URL": url, "SPORTVISION_SECRET_KEY": SECRET, **given},
        capture_output=True,
        text=True,
        timeout=120,
        check=check,
    )
