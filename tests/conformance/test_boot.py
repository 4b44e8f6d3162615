"""Starting and stopping, and what only flags at the start can bring about. Each test has a server of its own."""

import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest

from tests.conformance.changing import slow_warmup
from tests.conformance.make_models import add_warmup
from tests.conformance.processes import ServerProcess, eventually
from tests.conformance.wire import OK, Client, floats, predict_request, tensor

pytestmark = pytest.mark.usefixtures("embedded_only")

POLL: Final = "--file_system_poll_wait_seconds=0.05"
NO_RETRIES: Final = "--max_num_load_retries=0"

Start = Callable[..., ServerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, and stops them afterwards."""
    servers: list[ServerProcess] = []

    def begin(*flags: str) -> ServerProcess:
        servers.append(ServerProcess(*flags))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture
def base(tmp_path: Path, made_models: Path) -> Path:
    """Base path of a model with version 1."""
    shutil.copytree(made_models / "hpt" / "1", tmp_path / "mine" / "1")
    return tmp_path / "mine"


def _corrupt(version: Path) -> None:
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"this is no protobuf")


def _config(path: Path, **models: Path) -> Path:
    """Writes a configuration of models by name and base path."""
    rows = [
        f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" }}'
        for name, base in models.items()
    ]
    staged = path.with_suffix(".staged")
    staged.write_text(f"model_config_list {{ {' '.join(rows)} }}", encoding="utf-8")
    staged.rename(path)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serves(client: Client, model: str) -> bool:
    return client.predict(predict_request(model, {"x": floats(1)})).code is OK


def test_a_corrupt_model_at_boot_exits_255(start: Start, tmp_path: Path) -> None:
    _corrupt(tmp_path / "mine" / "1")
    server = start("--model_name=mine", f"--model_base_path={tmp_path / 'mine'}", NO_RETRIES)
    assert server.wait_exit() == 255
    assert "Failed to start server" in server.log
    assert server.address is None


def test_labels_at_boot_need_the_flag(start: Start, made_models: Path) -> None:
    server = start(
        f"--model_config_file={made_models / 'models.config'}", f"--base_path_map=/models={made_models}"
    )
    assert server.wait_exit() == 255
    assert "Request to assign label to version" in server.log


def test_the_port_opens_only_when_the_models_are_loaded(start: Start, base: Path, made_models: Path) -> None:
    slow = base.parent / "slow"
    shutil.copytree(made_models / "slow" / "1", slow / "1")
    add_warmup(slow / "1", slow_warmup(2000))
    port = _free_port()
    config = _config(base.parent / "models.config", mine=base, slow=slow)
    server = start(f"--model_config_file={config}", f"--port={port}")
    client = Client(f"127.0.0.1:{port}")
    # "mine" is loaded by now and "slow" warms up.
    eventually(lambda: "loaded mine version 1" in server.log, "the first model is loaded", 60)
    answer = client.predict(predict_request("mine", {"x": floats(1)}))
    assert answer.code is grpc.StatusCode.UNAVAILABLE
    server.wait_ready()
    eventually(lambda: _serves(client, "mine"), "it answers")
    client.close()


def test_sigterm_lets_running_calls_finish_and_ends_it_soon(
    start: Start, tmp_path: Path, made_models: Path
) -> None:
    # The one place where the embedded server is kinder than the real one, which drops running calls.
    shutil.copytree(made_models / "slow" / "1", tmp_path / "slow" / "1")
    server = start("--model_name=slow", f"--model_base_path={tmp_path / 'slow'}", "--grpc_max_threads=1")
    client = Client(server.wait_ready())
    request = predict_request("slow", {"ms": tensor("int32", 1, int_val=[1000])})
    running = client.pool.submit(client.predict, request)
    busy = grpc.StatusCode.RESOURCE_EXHAUSTED
    eventually(lambda: client.call("ModelService/GetModelStatus", b"").code is busy, "the call runs")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_exit(15) == 0
    assert running.result().code is OK
    assert client.predict(request).code is grpc.StatusCode.UNAVAILABLE
    client.close()


def test_while_a_load_is_tried_again_every_other_change_waits(
    start: Start, base: Path, made_models: Path
) -> None:
    other = base.parent / "other"
    shutil.copytree(made_models / "hpt" / "1", other / "1")
    config = _config(base.parent / "models.config", mine=base, other=other)
    server = start(
        f"--model_config_file={config}",
        POLL,
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=1500000",
    )
    client = Client(server.wait_ready())
    _corrupt(base / "2")
    eventually(lambda: client.state("mine", 2) == "LOADING", "the corrupt version loads")
    shutil.copytree(made_models / "hpt" / "2", other / ".staged")
    (other / ".staged").rename(other / "2")
    while client.state("mine", 2) == "LOADING":
        assert client.state("other", 2) in {"", "START"} or client.state("mine", 2) == "END"
        assert _serves(client, "mine")
        assert _serves(client, "other")
    assert client.state("mine", 2) == "END"
    eventually(lambda: client.state("other", 2) == "AVAILABLE", "the other model's turn comes")
    client.close()


def test_the_config_file_is_read_again(start: Start, base: Path, made_models: Path) -> None:
    config = _config(base.parent / "models.config", mine=base)
    server = start(f"--model_config_file={config}", POLL, "--model_config_file_poll_wait_seconds=0.1")
    client = Client(server.wait_ready())
    _config(config, mine=base, more=made_models / "hpt")
    eventually(lambda: _serves(client, "more"), "the added model serves")
    config.write_text("this is no configuration", encoding="utf-8")
    eventually(lambda: "not applied" in server.log, "the broken file is refused")
    assert _serves(client, "mine")
    _config(config, more=made_models / "hpt")
    eventually(lambda: not _serves(client, "mine"), "the removed model is gone")
    client.close()
