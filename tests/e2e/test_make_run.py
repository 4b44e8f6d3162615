"""`make run`, as a new user meets it: start, paste the curl line, Ctrl-C."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.run import StartError, gateway_state, port_setting
from tests.support.dead_proxy import name_a_dead_proxy
from tests.support.gateway import PREDICT, PREDICT_PRODUCT, PRODUCT_MODEL
from tests.support.pictures import encoded, quadrants
from tests.support.processes import ROOT, free_port, listens, running_module, wait_until


def test_start_classify_and_stop(tmp_path: Path) -> None:
    port, model_port, log = free_port(), free_port(), tmp_path / "run.log"
    environment = {
        "SPORTVISION_PORT": str(port),
        "MODEL_SERVER_PORT": str(model_port),
        "SPORTVISION_DATABASE_URL": f"sqlite:///{tmp_path / 'accounts.sqlite3'}",
    }
    with running_module("scripts.run", log=log, environment=environment) as process:
        wait_until("welcome", lambda: "Ctrl-C" in log.read_text("utf-8"), process, log)
        pasted = re.search(r"curl .*", log.read_text("utf-8"))
        assert pasted
        (tmp_path / "photo.jpg").write_bytes(encoded(quadrants(640, 480)))
        answer = paste(pasted[0], tmp_path)
        assert [list(item) for item in answer["data"]] == [["id", "name", "probability"]] * 3
        if PRODUCT_MODEL in shipped_models():
            product = paste(pasted[0].replace(PREDICT, PREDICT_PRODUCT), tmp_path)
            assert [list(item) for item in product["data"]] == [["type", "probability", "sports_list"]] * 3
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).json()
        assert {model["name"] for model in ready["models"]} == shipped_models()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
    assert not listens(port)
    assert not listens(model_port)
    assert (tmp_path / "accounts.sqlite3").is_file()
    assert "Traceback" not in log.read_text("utf-8")


def shipped_models() -> set[str]:
    return {card.parts[-3] for card in (ROOT / "models").glob("*/*/card.json")}


def paste(command: str, directory: Path) -> Any:
    """Do what the curl line says, by curl where there is one."""
    if shutil.which("curl"):
        ran = subprocess.run(shlex.split(command), cwd=directory, capture_output=True, check=True, timeout=60)
        return json.loads(ran.stdout)
    _, _, header, _, form, url = shlex.split(command)
    name, _, value = header.partition(": ")
    field, _, path = form.partition("=@")
    files = {field: (directory / path).read_bytes()}
    return httpx.post(url, headers={name: value}, files=files, timeout=60).json()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        log = tmp_path / "run.log"
        with running_module("scripts.run", log=log, environment={"SPORTVISION_PORT": str(port)}) as process:
            assert process.wait(30) == 1
    assert f"Port {port} is taken" in log.read_text("utf-8")


@pytest.mark.parametrize("given", ["abc", "", "8000x", "0", "-1", "65536", "99999"])
def test_what_is_no_port_is_named(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SPORTVISION_PORT", given)
    with pytest.raises(
        StartError, match=f'SPORTVISION_PORT is "{given}"; a port is a number from 1 to 65535'
    ):
        port_setting("SPORTVISION_PORT", 8000)


async def test_a_proxy_does_not_come_between_the_gateway_and_who_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    name_a_dead_proxy(monkeypatch)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        assert await asyncio.to_thread(gateway_state, server.sockets[0].getsockname()[1]) == ""
