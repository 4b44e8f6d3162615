"""A version's whole way, with real parts throughout: two model servers, a gateway under load, and the command."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollout.config_file import ConfigFile, specific_versions
from tests.support.gateway import MODEL, PREDICT, gateway_client, gateway_settings
from tests.support.pictures import encoded, grey_jpeg, quadrants
from tests.support.processes import ROOT, free_port, listens, running_module, wait_until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SPORTS = [("74", "Baseball"), ("76", "Cricket"), ("289", "Lacrosse"), ("66", "Skiing")]
CONFIG = """# Two servers read this.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "{path}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 }} }}
    # What gateways ask for.
    version_labels {{ key: "stable" value: 1 }}
  }}
}}
"""


@dataclass
class House:
    """Two model servers with one configuration, new versions that are not published yet, and pictures."""

    folder: Path
    targets: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "models.config"

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def labels(self) -> tuple[set[int] | None, dict[str, int]]:
        model = ConfigFile(self.config).model(MODEL)
        return specific_versions(model), dict(model.version_labels)

    def command(self, name: str, *arguments: str) -> list[str]:
        where = [f"--target={target}" for target in self.targets]
        servers = [f"--model={MODEL}", f"--config={self.config}", *where]
        return [
            *(sys.executable, "-m", "rollout", name),
            *(servers if name in {"promote", "rollback", "status"} else []),
            *arguments,
        ]

    async def run(self, name: str, *arguments: str, status: int = 0) -> str:
        """Run the command; gives what it wrote."""
        ended = await asyncio.to_thread(
            subprocess.run,
            self.command(name, *arguments),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == status, ended.stdout
        return str(ended.stdout)

    async def check(self, version: str, *arguments: str, status: int = 0) -> Any:
        """Run the check; gives its JSON."""
        report = self.folder / "report.json"
        await self.run(
            "check",
            f"--version-dir={self.folder / version}",
            f"--against={self.targets[0]}",
            "--label=stable",
            f"--model={MODEL}",
            f"--pictures={self.folder / 'pictures'}",
            # Two tiny models on a busy machine: their times are no measure of anything.
            "--max-slower=50",
            f"--json={report}",
            *arguments,
            status=status,
        )
        return json.loads(report.read_text("utf-8"))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    from training.tiny import export_tiny

    made = House(tmp_path)
    export_tiny(made.models / MODEL, version=1, height=32, width=48, classes=SPORTS)
    # The same weights for another size, and a file that is no graph.
    export_tiny(tmp_path / "good", version=2, height=24, width=24, classes=SPORTS)
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt" / "saved_model.pb").write_bytes(b"no graph")
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for level in range(0, 256, 15):
        (tmp_path / "pictures" / f"{level}.jpg").write_bytes(grey_jpeg(level))
    (tmp_path / "pictures" / "more" / "colours.png").write_bytes(encoded(quadrants(), "PNG"))
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    made.config.write_text(CONFIG.format(name=MODEL, path=made.models / MODEL), "utf-8")
    with ExitStack() as stack:
        servers = []
        for number in range(2):
            port, log = free_port(), tmp_path / f"server{number}.log"
            flags = [
                f"--port={port}",
                f"--model_config_file={made.config}",
                # One looks at the file by itself, the other only at its start.
                f"--model_config_file_poll_wait_seconds={number}",
                "--file_system_poll_wait_seconds=1",
                "--max_num_load_retries=0",
                "--allow_version_labels_for_unavailable_models",
                "--grpc_max_threads=64",
            ]
            servers.append((port, log, stack.enter_context(running_module("model_server", *flags, log=log))))
            made.targets.append(f"127.0.0.1:{port}")
        for port, log, process in servers:
            wait_until("model server", partial(listens, port), process, log)
        yield made


@asynccontextmanager
async def load(client: httpx.AsyncClient) -> AsyncIterator[Counter[tuple[str, str]]]:
    """Keeps the gateway busy; none of the requests may fail. Gives counts by label and version."""
    answered: Counter[tuple[str, str]] = Counter()
    done = asyncio.Event()

    async def caller(level: int) -> None:
        while not done.is_set():
            answer = await client.post(PREDICT, files={"file": grey_jpeg(level)})
            assert answer.status_code == 200, answer.text
            answered[answer.headers["x-model-label"], answer.headers["x-model-version"]] += 1
            # A steady load that leaves TensorFlow the time to start.
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        for level in (0, 90, 255):
            group.create_task(caller(level))
        yield answered
        done.set()


async def until(answered: Counter[tuple[str, str]], *keys: tuple[str, str]) -> None:
    """Wait until there are twenty more of each."""
    before = Counter(answered)
    async with asyncio.timeout(60):
        while any(answered[key] - before[key] < 20 for key in keys):
            await asyncio.sleep(0.02)


# TensorFlow starts five times.
@pytest.mark.timeout(600)
async def test_check_publish_promote_and_rollback(house: House) -> None:
    # With a list of servers both get calls in turn, so each step must be right on both.
    settings = gateway_settings(
        ",".join(house.targets), sport_model_label="stable", sport_model_canary_share=0.3, retry_attempts=4
    )
    async with gateway_client(settings) as client, load(client) as answered:
        await until(answered, ("stable", "1"))

        good = await house.check("good/2")
        assert (good["top1_agreement"], good["pictures"], good["unreadable"]) == (1.0, 19, 1)
        assert (good["running"]["version"], good["candidate"]["version"]) == (1, 2)
        refused = await house.run(
            "check",
            f"--version-dir={house.folder / 'corrupt'}",
            f"--against={house.targets[0]}",
            f"--model={MODEL}",
            f"--pictures={house.folder / 'pictures'}",
            status=2,
        )
        assert "cannot serve" in refused

        published = await house.run(
            "publish",
            f"--version-dir={house.folder / 'good' / '2'}",
            f"--models={house.models}",
            f"--model={MODEL}",
        )
        assert published.strip() == str(house.models / MODEL / "2")
        # Published is not served: the configuration names exact versions.
        await house.run("status")
        assert not answered["stable", "2"]

        await house.run("promote", "--label=canary", "--version=2")
        assert house.labels() == ({1, 2}, {"stable": 1, "canary": 2})
        await until(answered, ("stable", "1"), ("canary", "2"))

        await house.run("promote", "--label=stable", "--version=2")
        assert house.labels() == ({1, 2}, {"stable": 2, "canary": 2, "previous": 1})
        await until(answered, ("stable", "2"), ("canary", "2"))
        standing = await house.run("status")
        assert re.search(r"2 +AVAILABLE +canary, stable\n +1 +AVAILABLE +previous", standing)

        await killed_in_the_middle(house)
        await until(answered, ("stable", "2"))

        await house.run(
            "publish",
            f"--version-dir={house.folder / 'corrupt'}",
            f"--models={house.models}",
            f"--model={MODEL}",
            "--version=3",
        )
        before = house.config.read_text("utf-8")
        told = await house.run("promote", "--label=stable", "--version=3", status=2)
        assert "cannot load version 3" in told
        assert house.config.read_text("utf-8") == before
        await until(answered, ("stable", "2"))

        await house.run("rollback", "--label=stable")
        assert house.labels() == ({1}, {"stable": 1, "canary": 1})
        await until(answered, ("stable", "1"), ("canary", "1"))
        await house.run("status")
    assert "# What gateways ask for." in house.config.read_text("utf-8")
    print(f"\nrollout under load: {answered.total()} requests sent, 0 failed, {dict(answered)}")


async def killed_in_the_middle(house: House) -> None:
    """SIGKILL while a version is waited for: what there is stays right, and the next command puts it in order."""
    before = house.labels()
    process = await asyncio.create_subprocess_exec(
        *house.command("promote", "--version=9"), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(60):
        assert b"Serving versions 1, 2, 9" in await process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert house.labels() == ({1, 2, 9}, before[1])
    await house.run("promote", "--label=stable", "--version=2")
    assert house.labels() == before
