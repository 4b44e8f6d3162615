"""Model servers that die under load."""

import time
from pathlib import Path

from tests.support.backend_process import running_backend
from tests.support.gateway_process import gateway_process
from tests.support.load import under_load


async def test_one_of_two_is_killed_and_no_request_fails(tmp_path: Path) -> None:
    with running_backend(tmp_path) as first, running_backend(tmp_path) as second:
        target = f"{first.target},{second.target}"
        async with gateway_process(target, tmp_path) as gateway:
            await gateway.until_ready()
            async with under_load(lambda: gateway.client) as load:
                await load.more(100)
                first.process.kill()
                killed = time.monotonic()
                await load.more(300)
                assert await gateway.ready()
                found = await gateway.metrics()
    assert load.failed == 0, load.by_kind
    assert (
        found.value("http_requests_total", route="/sportclassifier/predict/", method="POST", status="200")
        > 300
    )
    before, after = (load.percentile(99, *times) * 1e3 for times in ((0.0, killed), (killed,)))
    print(
        f"\nSIGKILL of one of two: {len(load.outcomes)} sent, {load.failed} failed, "
        f"p99 {before:.0f} ms before and {after:.0f} ms after"
    )


async def test_the_only_one_is_killed_and_started_again(tmp_path: Path) -> None:
    with running_backend(tmp_path) as first:
        async with gateway_process(first.target, tmp_path, predict_timeout_seconds=2) as gateway:
            await gateway.until_ready()
            async with under_load(lambda: gateway.client) as load:
                await load.more(50)
                first.process.kill()
                first.process.wait()
                await load.more(20, kind=503)
                assert not await gateway.ready()
                assert await gateway.healthy()
                with running_backend(tmp_path, port=first.port):
                    await gateway.until_ready()
                    await load.more(100)
    # Callers were told to come back, in good time, and nothing else happened to them.
    assert set(load.by_kind) == {200, 503}
    assert max(outcome.seconds for outcome in load.outcomes) < 10
