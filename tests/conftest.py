"""Options of the whole suite."""

import pytest

pytest_plugins = ["tests.support.databases"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "pointing tests/conformance at another model server")
    group.addoption("--target", help="host:port of a server with the flags and models of tests/conformance")
    group.addoption("--target-models", help="that server's /models directory, as this machine sees it")
    group.addoption("--target-batching", help="host:port of one started with batching on")
    group.addoption("--target-threads", help="host:port of one started with --grpc_max_threads=2")
    group.addoption("--target-content", help="host:port of one that answers in tensor_content")
