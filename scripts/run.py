"""`make run`: the embedded model server and the gateway, started together and stopped together."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from app.settings_lists import read_list

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
STOP_SECONDS = 15.0
# The gateway is on this machine: no proxy of the environment comes between.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StartError(Exception):
    """Something could not be started; the message says what to do."""


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(text, flush=True)


def port_setting(name: str, default: int) -> int:
    """Read a port from the environment and check that it is free.

    Raises:
        StartError: It is no port, or not free.
    """
    given = os.environ.get(name, str(default))
    try:
        port = int(given)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise StartError(f'{name} is "{given}"; a port is a number from 1 to 65535, such as {default}.')
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StartError(
                f"Port {port} is taken. Stop what uses it, or choose another: make run {name}=…"
            ) from error
    return port


def development_tokens() -> list[str]:
    """The tokens of the environment, or a new one that lives as long as this run."""
    given = read_list(os.environ.get("SPORTVISION_TOKENS", ""))
    return given or [secrets.token_urlsafe(24)]


def model_server_command(port: int) -> list[str]:
    """The flags are those of tensorflow_model_server, but for --base_path_map."""
    config = ROOT / "serving_config"
    models = Path(os.environ.get("MODEL_CONFIG", config / "models.config")).resolve()
    return [
        *(sys.executable, "-m", "model_server"),
        f"--port={port}",
        f"--model_config_file={models}",
        f"--base_path_map=/models={ROOT / 'models'}",
        "--enable_batching",
        f"--batching_parameters_file={config / 'batching.config'}",
        "--file_system_poll_wait_seconds=1",
        "--model_config_file_poll_wait_seconds=5",
        # At a start no version is loaded yet.
        "--allow_version_labels_for_unavailable_models",
        "--grpc_max_threads=64",
        "--max_num_load_retries=0",
    ]


@asynccontextmanager
async def running(name: str, command: list[str], env: dict[str, str]) -> AsyncIterator[Process]:
    """A child process that is asked to stop when the block ends, and made to where it does not."""
    # In a session of its own: Ctrl-C then reaches this script alone, which stops the two in the right order.
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=env, start_new_session=True)
    try:
        yield process
    finally:
        if process.returncode is None:
            say(f"Stopping the {name} …")
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def gateway_state(port: int) -> str:
    """Ask the gateway whether it is ready: "" if so, else the reason."""
    try:
        with _DIRECT.open(f"http://{HOST}:{port}/readyz", timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        return str(json.load(error).get("detail", error))
    except (OSError, ValueError) as error:
        return str(error)


async def until_ready(port: int, children: dict[str, Process]) -> None:
    """Wait until the gateway says ready.

    Raises:
        StartError: A child stopped before that.
    """
    told = time.monotonic()
    while reason := await asyncio.to_thread(gateway_state, port):
        for name, child in children.items():
            if child.returncode is not None:
                raise StartError(
                    f"The {name} stopped with exit code {child.returncode}; its reason is above."
                )
        if time.monotonic() - told > 15:
            told = time.monotonic()
            say(f"Still waiting: {reason}")
        await asyncio.sleep(0.1)


def welcome(port: int, token: str, seconds: float) -> str:
    """What to paste next."""
    return f"""
Ready after {seconds:.1f} s.

  Token:  {token}    (for this run only)
  Docs:   http://{HOST}:{port}/docs

Try it with a picture of your own:

  curl -H "Authorization: Bearer {token}" -F "file=@photo.jpg" http://{HOST}:{port}/sportclassifier/predict/

For the picture of a sport product take /productclassifier/predict/ instead. Ctrl-C stops both servers.
For a token that stays, make an account:  SPORTVISION_ENVIRONMENT=development .venv/bin/python -m accounts bootstrap
"""


async def run() -> int:
    """Start both, wait, tell, and stop both on SIGINT or SIGTERM."""
    started = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    port = port_setting("SPORTVISION_PORT", 8000)
    model_port = port_setting("MODEL_SERVER_PORT", 8500)
    tokens = development_tokens()
    env = {
        # Nobody has to be told that the gateway goes.
        "SPORTVISION_DRAIN_SECONDS": "0",
        **os.environ,
        "SPORTVISION_ENVIRONMENT": "development",
        "SPORTVISION_HOST": HOST,
        "SPORTVISION_PORT": str(port),
        "SPORTVISION_TOKENS": json.dumps(tokens),
        "SPORTVISION_MODEL_SERVER": f"{HOST}:{model_port}",
    }
    say("Starting the embedded model server and the gateway …")
    async with AsyncExitStack() as stack:
        # Closed in reverse order: the gateway first, so that no request meets a missing model server.
        commands = {
            "model server": model_server_command(model_port),
            "gateway": [sys.executable, "-m", "app"],
        }
        children = {
            name: await stack.enter_async_context(running(name, command, env))
            for name, command in commands.items()
        }
        stopping = asyncio.create_task(stop.wait())
        waiting = asyncio.create_task(until_ready(port, children))
        await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
            say(welcome(port, tokens[0], time.monotonic() - started))
            ends = {asyncio.create_task(child.wait(), name=name) for name, child in children.items()}
            await asyncio.wait({stopping, *ends}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not stop.is_set():
            ended = next(name for name, child in children.items() if child.returncode is not None)
            raise StartError(f"The {ended} stopped by itself; its reason is above.")
    return 0


def main() -> None:
    """Run until stopped."""
    try:
        sys.exit(asyncio.run(run()))
    except StartError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
