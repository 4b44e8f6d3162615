"""Sport and product model on one model server, with real parts throughout; the product model comes later."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from catalogue import Products, load_catalogue, load_products
from proto_client import ModelServerClient
from tests.support.gateway import (
    MODEL,
    PREDICT,
    PREDICT_PRODUCT,
    PRODUCT_MODEL,
    gateway_client,
    gateway_settings,
)
from tests.support.pictures import encoded, grey_jpeg, quadrants
from tests.support.processes import free_port, listens, running_module, wait_until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SPORTS = [("74", "Baseball"), ("76", "Cricket"), ("289", "Lacrosse"), ("66", "Skiing")]
CONFIG = """model_config_list {{
{models}
}}
"""
MODEL_LINE = '  config {{ name: "{0}" base_path: "/models/{0}" model_platform: "tensorflow" }}'


@dataclass(frozen=True)
class Serving:
    """A model server's address, its models and its configuration."""

    target: str
    models: Path
    config: Path

    def configure(self, *names: str) -> None:
        """Replace the configuration in one step; the server looks at it once a second."""
        draft = self.config.with_suffix(".new")
        draft.write_text(CONFIG.format(models="\n".join(map(MODEL_LINE.format, names))), "utf-8")
        draft.replace(self.config)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """A model server with the sport model alone."""
    from training.tiny import export_tiny

    port, log = free_port(), tmp_path / "model-server.log"
    made = Serving(f"127.0.0.1:{port}", tmp_path / "models", tmp_path / "models.config")
    export_tiny(made.models / MODEL, version=1, height=32, width=48, classes=SPORTS)
    made.configure(MODEL)
    flags = [
        f"--port={port}",
        f"--model_config_file={made.config}",
        f"--base_path_map=/models={made.models}",
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=1",
        "--enable_batching",
        "--batching_parameters_file=serving_config/batching.config",
    ]
    with running_module("model_server", *flags, log=log) as process:
        wait_until("model server", lambda: listens(port), process, log)
        yield made


async def ready(client: httpx.AsyncClient) -> dict[str, list[str]]:
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    return {key: [model["name"] for model in answer.json()[key]] for key in ("models", "missing")}


async def assert_right(client: httpx.AsyncClient, products: Products, picture: bytes) -> None:
    """The product endpoint names types of the taxonomy, each with all its groups."""
    answer = await client.post(PREDICT_PRODUCT, params={"top_k": 20}, files={"file": picture})
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == (PRODUCT_MODEL, "1")
    data = answer.json()["data"]
    assert len({item["type"] for item in data}) == 20
    probabilities = [item["probability"] for item in data]
    assert probabilities == sorted(probabilities, reverse=True)
    for item in data:
        groups = {group["sports_group"]: group["probability"] for group in item["sports_list"]}
        assert set(groups) == {group.name for group in products.groups_of(item["type"])}
        assert list(groups.values()) == sorted(groups.values(), reverse=True)
        assert sum(groups.values()) == pytest.approx(1, abs=0.00005 * len(groups))


async def assert_contract(target: str, products: Products) -> None:
    """The model's own answer: what the gateway leaves out too, and empty places behind a type's groups."""
    async with ModelServerClient(target) as client:
        images = np.stack([np.zeros((24, 24, 3), np.uint8), np.full((24, 24, 3), 200, np.uint8)])
        outputs = (await client.predict({"images": images}, model=PRODUCT_MODEL, timeout=20)).outputs
    k, g = 20, max(len(one.groups) for one in products.types)
    assert {name: array.shape for name, array in outputs.items()} == {
        **dict.fromkeys(("probabilities", "class_ids", "class_names"), (2, k)),
        **dict.fromkeys(("group_probabilities", "group_names", "group_sports"), (2, k, g)),
    }
    np.testing.assert_allclose(outputs["group_probabilities"].sum(axis=2), 1, rtol=1e-5)
    for place in np.ndindex(2, k):
        one = products.by_id(bytes(outputs["class_ids"][place]).decode())
        assert one is not None
        assert bytes(outputs["class_names"][place]).decode() == one.name
        groups = zip(outputs["group_names"][place], outputs["group_sports"][place], strict=True)
        found = {name.decode(): tuple(sports.decode().split(",")) for name, sports in groups if name}
        assert found == {group.name: group.sport_ids for group in one.groups}
        behind = slice(len(one.groups), None)
        assert not outputs["group_probabilities"][place][behind].any()
        assert not any(outputs["group_sports"][place][behind])


# TensorFlow starts twice, and a model is exported and loaded on the way.
@pytest.mark.timeout(600)
async def test_the_product_model_joins_a_running_house(serving: Serving) -> None:
    from tests.support.tiny_products import export_tiny_products

    products = load_products(load_catalogue())
    settings = gateway_settings(serving.target)
    async with gateway_client(settings) as client:
        sport = await client.post(PREDICT, files={"file": grey_jpeg(90)})
        assert sport.status_code == 200, sport.text
        assert await ready(client) == {"models": [MODEL], "missing": [PRODUCT_MODEL]}
        absent = await client.post(PREDICT_PRODUCT, files={"file": grey_jpeg(90)})
        assert absent.status_code == 503
        assert f"The model {PRODUCT_MODEL} is not loaded" in absent.json()["detail"]

        await asyncio.to_thread(
            export_tiny_products, serving.models / PRODUCT_MODEL, products, version=1, height=24, width=24
        )
        serving.configure(MODEL, PRODUCT_MODEL)
        async with asyncio.timeout(90):
            while await ready(client) != {"models": [MODEL, PRODUCT_MODEL], "missing": []}:
                assert (await client.post(PREDICT, files={"file": grey_jpeg(90)})).json() == sport.json()
                await asyncio.sleep(0.05)

        pictures = [grey_jpeg(level) for level in (0, 90, 255)] + [encoded(quadrants(640, 480), "PNG")]
        await asyncio.gather(*(assert_right(client, products, picture) for picture in pictures * 3))
        again = await client.post(PREDICT, files={"file": grey_jpeg(90)})
        assert (again.json(), again.headers["x-model-name"]) == (sport.json(), MODEL)
    await assert_contract(serving.target, products)
