"""Versions with other classes and other input sizes, swapped under a running gateway, with real parts throughout."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import MODEL, PREDICT, gateway_client, gateway_settings
from tests.support.pictures import encoded, grey_jpeg, quadrants
from tests.support.processes import free_port, listens, running_module, wait_until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

# Versions by number: the input's height and width, and how many classes.
SHAPES = {1: (96, 64, 5), 2: (224, 224, 3), 3: (32, 160, 12)}


def names(version: int) -> set[str]:
    return {f"Sport {version}.{number}" for number in range(SHAPES[version][2])}


def publish(models: Path, version: int) -> None:
    from training.tiny import export_tiny

    height, width, count = SHAPES[version]
    classes = [(f"{version}{number:03}", f"Sport {version}.{number}") for number in range(count)]
    export_tiny(models / MODEL, version=version, height=height, width=width, classes=classes)


@pytest.fixture
def model_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A model server with version 1, batching as in production; yields its address and its models."""
    models = tmp_path / "models"
    publish(models, 1)
    port, log = free_port(), tmp_path / "model-server.log"
    flags = [
        f"--port={port}",
        f"--model_name={MODEL}",
        f"--model_base_path={models / MODEL}",
        "--enable_batching",
        "--batching_parameters_file=serving_config/batching.config",
        "--file_system_poll_wait_seconds=1",
        "--grpc_max_threads=64",
    ]
    with running_module("model_server", *flags, log=log) as process:
        wait_until("model server", lambda: listens(port), process, log)
        yield f"127.0.0.1:{port}", models


async def test_no_request_fails_while_versions_are_swapped(model_server: tuple[str, Path]) -> None:
    target, models = model_server
    answered: Counter[int] = Counter()
    pictures = [grey_jpeg(0), grey_jpeg(255), encoded(quadrants(640, 480)), encoded(quadrants(), "PNG")]
    done = asyncio.Event()

    async with gateway_client(gateway_settings(target)) as client:

        async def caller(picture: bytes) -> None:
            while not done.is_set():
                answer = await client.post(PREDICT, params={"top_k": 20}, files={"file": picture})
                assert answer.status_code == 200, answer.text
                version = int(answer.headers["x-model-version"])
                found = {item["name"] for item in answer.json()["data"]}
                assert found == names(version)
                assert all(item["id"].startswith(str(version)) for item in answer.json()["data"])
                answered[version] += 1

        async def swap() -> None:
            for version in SHAPES:
                if version > 1:
                    await asyncio.to_thread(publish, models, version)
                async with asyncio.timeout(90):
                    while answered[version] < 50:
                        await asyncio.sleep(0.05)
            done.set()

        async with asyncio.TaskGroup() as group:
            for picture in pictures * 2:
                group.create_task(caller(picture))
            group.create_task(swap())

    assert set(answered) == set(SHAPES)
    print(
        f"\nversion swap under load: {answered.total()} requests sent, 0 failed, by version {dict(answered)}"
    )
