"""serving_config/ready.sh: a server is ready once every label is answered, and not before."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.k8s.manifests import ROOT, flags, main_container, one

SCRIPT = ROOT / "serving_config" / "ready.sh"
CONFIG = ROOT / "serving_config" / "models.kubernetes.config"
TWO = """
# name: "a comment" key: "of no account"
model_config_list {
  config { name: "first" version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 } }
  config {
    name : "second"
    version_labels { key: "stable"
      value: 7 }
  }
}
"""
STABLE, CANARY, SECOND = (
    f"/v1/models/{model}/labels/{label}/metadata"
    for model, label in [("first", "stable"), ("first", "canary"), ("second", "stable")]
)

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@contextmanager
def server(available: set[str]) -> Iterator[tuple[int, list[str]]]:
    """A REST API on a free port that knows some labels' metadata, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path in available else 404)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

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


def ready(config: Path, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", SCRIPT, config, str(port)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "models.config"
    path.write_text(TWO, encoding="utf-8")
    return path


def test_ready_once_every_label_is_answered(two: Path) -> None:
    with server({STABLE, CANARY, SECOND}) as (port, asked):
        assert ready(two, port).returncode == 0
    assert asked == [STABLE, CANARY, SECOND]


@pytest.mark.parametrize("missing", [STABLE, CANARY, SECOND])
def test_not_ready_while_one_is_missing(two: Path, missing: str) -> None:
    with server({STABLE, CANARY, SECOND} - {missing}) as (port, _):
        result = ready(two, port)
    assert result.returncode != 0
    # Kubernetes shows it in the pod's events.
    assert result.stdout.startswith(f"{missing}: HTTP/1.1 404")


def test_not_ready_where_nothing_listens(two: Path) -> None:
    with server(set()) as (port, _):
        pass
    assert ready(two, port).returncode != 0


def test_not_ready_without_labels_or_without_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    path.write_text('model_config_list { config { name: "first" } }', encoding="utf-8")
    with server(set()) as (port, asked):
        assert ready(path, port).returncode != 0
        assert ready(tmp_path / "gone", port).returncode != 0
    assert asked == []


def test_reads_the_very_configuration() -> None:
    with server(set()) as (port, asked):
        ready(CONFIG, port)
    assert asked == ["/v1/models/sport_classifier/labels/stable/metadata"]


def test_its_defaults_are_the_model_servers() -> None:
    given = flags(main_container(one("base", "Deployment", "model-server")["spec"]["template"]["spec"]))
    text = SCRIPT.read_text(encoding="utf-8")
    assert f"${{1:-{given['model_config_file']}}}" in text
    assert f"${{2:-{given['rest_api_port']}}}" in text
