"""More work than the model server, or the gateway, takes on."""

import asyncio
from pathlib import Path

from tests.support.backend_process import running_backend
from tests.support.gateway_process import gateway_process
from tests.support.load import ask
from tests.support.pictures import grey_jpeg


async def test_a_full_queue_of_the_model_server(tmp_path: Path) -> None:
    # Two at a time and two that wait, each for longer than all retries together last.
    with running_backend(tmp_path, "--seconds=1.5", "--places=2", "--queue=2") as backend:
        async with gateway_process(backend.target, tmp_path) as gateway:
            await gateway.until_ready()
            outcomes = await asyncio.gather(*(ask(gateway.client, grey_jpeg(7)) for _ in range(12)))
            assert await gateway.ready()
            found = await gateway.metrics()
    answers = sorted(str(outcome.what) for outcome in outcomes)
    assert answers == ["200"] * 4 + ["503"] * 8
    # Those who were refused learnt it long before the others were answered.
    assert max(outcome.seconds for outcome in outcomes if outcome.what == 503) < 1.4
    assert found.value("grpc_retries_total", model="sport_classifier", method="Predict") > 0


async def test_a_full_gateway_refuses_at_once_and_its_probes_answer(tmp_path: Path) -> None:
    with running_backend(tmp_path, "--seconds=1", "--places=4") as backend:
        async with gateway_process(backend.target, tmp_path, max_in_flight=4) as gateway:
            await gateway.until_ready()
            asking = [asyncio.create_task(ask(gateway.client, grey_jpeg(7))) for _ in range(4)]
            async with asyncio.timeout(20):
                while (await gateway.metrics()).value("work_in_flight") < 4:
                    await asyncio.sleep(0.01)
            refused = await asyncio.gather(*(ask(gateway.client, grey_jpeg(7)) for _ in range(20)))
            assert {outcome.what for outcome in refused} == {503}
            assert not any(task.done() for task in asking)
            assert await gateway.healthy()
            assert await gateway.ready()
            assert {outcome.what for outcome in await asyncio.gather(*asking)} == {200}
            assert (await gateway.metrics()).value("shed_total", reason="in_flight") == 20
