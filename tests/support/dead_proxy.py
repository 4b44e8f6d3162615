"""An environment that names a proxy behind which nothing can be reached."""

import pytest


def name_a_dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name one for every address, as it is done for the web's sake. Nobody listens on port 1."""
    for name in ("grpc_proxy", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
