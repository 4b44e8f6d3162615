"""The port, as `python -m app` holds it."""

import socket
import subprocess
import sys

from tests.support.gateway import TOKEN
from tests.support.processes import ROOT

TURNS = """
import asyncio, socket, sys
from collections import Counter
import uvicorn
from app.serving import serve

turn, accepted = 0, Counter()

class Protocol(asyncio.Protocol):
    def __init__(self, **_): pass
    def connection_made(self, transport): accepted[turn] += 1
    def shutdown(self): pass

async def nothing(scope, receive, send):
    raise NotImplementedError

async def count():
    global turn
    while True:
        turn += 1
        await asyncio.sleep(0)

async def connect(port):
    # All at once, without a turn in between.
    made = [socket.create_connection(("127.0.0.1", port)) for _ in range(160)]
    turns = asyncio.create_task(count())
    async with asyncio.timeout(30):
        while accepted.total() < len(made):
            await asyncio.sleep(0)
    turns.cancel()
    return max(accepted.values())

class Server(uvicorn.Server):
    async def main_loop(self):
        port = self.servers[0].sockets[0].getsockname()[1]
        print(await connect(port), flush=True)

sys.modules["app.serving"].Server = Server
serve(uvicorn.Config(nothing, port=0, http=Protocol, lifespan="off", log_config=None))
"""


def test_many_connections_are_accepted_in_one_turn_of_the_event_loop() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TURNS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) >= 8


def test_a_port_that_is_taken_ends_the_start_with_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = subprocess.run(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env={"SPORTVISION_TOKENS": TOKEN, "SPORTVISION_PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 3
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr
