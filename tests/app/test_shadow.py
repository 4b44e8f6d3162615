"""A second version sees pictures too, and no caller can tell."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import grpc
import httpx
import pytest

import app.shadow
from agreement import Agreement
from app.settings import Settings
from app.shadow_tally import ShadowTally
from proto_client.messages import PredictRequest, PredictResponse
from tests.app.conftest import CLASSES
from tests.support.fake_backend import FakeBackend, Method
from tests.support.fake_models import Refused
from tests.support.gateway import MODEL, PREDICT, gateway_client, gateway_settings
from tests.support.pictures import encoded, grey_jpeg, quadrants
from tests.support.scrape import Scrape, scrape
from tests.support.spoilt_versions import SPOILT, spoilt

SIZE = (48, 32)


@pytest.fixture
def trial(backend: FakeBackend) -> FakeBackend:
    """Version 2 has the same classes, but the last two have changed places."""
    backend.add_version(
        MODEL, 2, classes=(*CLASSES[:2], CLASSES[3], CLASSES[2]), height=SIZE[0], width=SIZE[1]
    )
    backend.labels |= {(MODEL, "stable"): 1, (MODEL, "canary"): 2}
    return backend


def shadow_settings(backend: FakeBackend, **changes: object) -> Settings:
    values = {"sport_model_label": "stable", "sport_model_shadow_share": 1.0, **changes}
    return gateway_settings(backend.target, **values)


@pytest.fixture
async def client(trial: FakeBackend) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_client(shadow_settings(trial)) as made:
        yield made


async def send(client: httpx.AsyncClient, picture: bytes | None = None) -> httpx.Response:
    answer = await client.post(PREDICT, files={"file": grey_jpeg(0) if picture is None else picture})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model-version"] == "1"
    return answer


async def until(client: httpx.AsyncClient, reached: Callable[[Scrape], bool]) -> Scrape:
    async with asyncio.timeout(20):
        while not reached(found := await scrape(client)):
            await asyncio.sleep(0.01)
    return found


def compared(found: Scrape) -> float:
    return sum(
        found.value("shadow_comparisons_total", model=MODEL, candidate="2", same_first=same)
        for same in ("true", "false")
    )


def skipped(reason: str, count: int = 1) -> Callable[[Scrape], bool]:
    return lambda found: found.value("shadow_skips_total", model=MODEL, reason=reason) >= count


async def test_how_far_both_agree_is_counted(client: httpx.AsyncClient, trial: FakeBackend) -> None:
    await until(client, lambda _: trial.calls[Method.METADATA] > 3)
    # Black is the first class in both, white the last, which is another one in the second version.
    for level in (0, 0, 0, 255):
        await send(client, grey_jpeg(level))
    found = await until(client, lambda found: compared(found) == 4)
    assert found.value("shadow_comparisons_total", model=MODEL, candidate="2", same_first="false") == 1
    assert found.value("shadow_total_variation_count", model=MODEL, candidate="2") == 4
    # Callers' figures know nothing of it.
    assert found.value("grpc_calls_total", model=MODEL, method="Predict", code="OK") == 4
    assert found.value("answers_total", model=MODEL, label="stable") == 4
    assert {labels["version"] for labels in found.labels("predicted_class_total")} == {"1"}


async def test_the_answer_does_not_wait_for_it(client: httpx.AsyncClient, trial: FakeBackend) -> None:
    await until(client, lambda _: trial.calls[Method.METADATA] > 3)
    with trial.hold(Method.PREDICT) as first:
        asking = asyncio.create_task(send(client))
        await trial.wait_calls(Method.PREDICT, 1)
        with trial.hold(Method.PREDICT):
            first.set()
            # The second version is held, and the caller has the answer.
            await asking
            await trial.wait_calls(Method.PREDICT, 2)
            assert compared(await scrape(client)) == 0
    await until(client, lambda found: compared(found) == 1)


async def test_another_input_size_is_decoded_anew(trial: FakeBackend) -> None:
    trial.add_version(MODEL, 2, height=20, width=24, classes=CLASSES)
    async with gateway_client(shadow_settings(trial)) as client:
        await until(client, lambda _: trial.calls[Method.METADATA] > 3)
        await send(client, encoded(quadrants(640, 480)))
        await until(client, lambda found: compared(found) == 1)
    assert sorted(one.images.shape[1:3] for one in trial.received) == [(20, 24), (48, 32)]


async def test_the_same_size_is_the_same_array(client: httpx.AsyncClient, trial: FakeBackend) -> None:
    await until(client, lambda _: trial.calls[Method.METADATA] > 3)
    await send(client, encoded(quadrants(640, 480)))
    await until(client, lambda found: compared(found) == 1)
    first, second = trial.received
    assert (first.version, second.version) == (1, 2)
    assert (first.images == second.images).all()


async def test_a_picture_too_large_to_be_decoded_twice_is_left_out(trial: FakeBackend) -> None:
    trial.add_version(MODEL, 2, height=20, width=24, classes=CLASSES)
    async with gateway_client(shadow_settings(trial, large_picture_pixels=10_000)) as client:
        await until(client, lambda _: trial.calls[Method.METADATA] > 3)
        await send(client, encoded(quadrants(640, 480)))
        await until(client, skipped("too_large"))


@pytest.mark.parametrize(
    ("limit", "value"), [("shadow_queue", 1), ("shadow_memory_bytes", 2 * 48 * 32 * 3 + 2000)]
)
async def test_what_does_not_fit_is_dropped_and_callers_go_on(
    trial: FakeBackend, limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second version hangs; the first answers all the same."""
    entered = asyncio.Event()

    async def hanging(*_: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(app.shadow.Shadow, "_compare", hanging)
    async with gateway_client(shadow_settings(trial, **{limit: value})) as client:
        await send(client)
        async with asyncio.timeout(20):
            await entered.wait()
        for _ in range(5):
            await send(client)
        # One is at work and one waits.
        await until(client, skipped("full", 4))
        assert not skipped("full", 5)(await scrape(client))


async def test_a_failing_second_version_is_asked_once_for_a_picture(
    trial: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await failing(trial, monkeypatch, grpc.StatusCode.UNAVAILABLE)
    async with gateway_client(shadow_settings(trial)) as client:
        await until(client, lambda _: trial.calls[Method.METADATA] > 3)
        for _ in range(3):
            await send(client)
        found = await until(client, skipped("failed", 3))
    assert len(asked) == 3
    assert found.value("grpc_retries_total", model=MODEL, method="Predict") == 0
    assert found.value("grpc_calls_total", model=MODEL, method="Predict", code="UNAVAILABLE") == 0


async def test_answers_that_cannot_be_read_are_failures_and_it_goes_on(
    client: httpx.AsyncClient, trial: FakeBackend
) -> None:
    await until(client, lambda _: trial.calls[Method.METADATA] > 3)
    honest = trial.versions[MODEL, 2]
    for count, how in enumerate(SPOILT, start=1):
        trial.versions[MODEL, 2] = spoilt(honest, how)
        await send(client)
        await until(client, skipped("failed", count))
    trial.versions[MODEL, 2] = honest
    await send(client)
    await until(client, lambda found: compared(found) == 1)


async def test_a_fault_of_ours_is_logged_and_it_goes_on(
    client: httpx.AsyncClient,
    trial: FakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await until(client, lambda _: trial.calls[Method.METADATA] > 3)

    def faulty(*_: object) -> Agreement:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("app.shadow.agreement", faulty)
        await send(client)
        await until(client, skipped("failed"))
    (record,) = [one for one in caplog.records if one.name == "app.shadow"]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert MODEL in record.getMessage()
    await send(client)
    await until(client, lambda found: compared(found) == 1)


async def test_a_late_second_version_is_given_up(trial: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    await failing(trial, monkeypatch, grpc.StatusCode.DEADLINE_EXCEEDED)
    async with gateway_client(shadow_settings(trial)) as client:
        await until(client, lambda _: trial.calls[Method.METADATA] > 3)
        await send(client)
        await until(client, skipped("late"))


async def failing(trial: FakeBackend, monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode) -> list[int]:
    """Has version 2 fail on every picture; gives the list of its calls."""
    asked: list[int] = []
    honest = trial.predict

    def predict(request: PredictRequest) -> PredictResponse:
        if request.model_spec.version.value == 2:
            asked.append(2)
            raise Refused(code, "no")
        return honest(request)

    monkeypatch.setattr(trial, "predict", predict)
    await trial.stop()
    await trial.start()
    return asked


async def test_without_a_second_version_nothing_is_compared(backend: FakeBackend) -> None:
    async with gateway_client(shadow_settings(backend, sport_model_label=None)) as client:
        await send(client)
        await until(client, skipped("absent"))
        backend.labels[MODEL, "canary"] = 1
        async with asyncio.timeout(20):
            while not skipped("same_version")(await scrape(client)):
                await send(client)


async def test_another_label_can_be_the_second_version(trial: FakeBackend) -> None:
    trial.labels = {(MODEL, "stable"): 1, (MODEL, "next"): 2}
    async with gateway_client(shadow_settings(trial, shadow_label="next")) as client:
        await until(client, lambda _: trial.calls[Method.METADATA] > 3)
        await send(client)
        await until(client, lambda found: compared(found) == 1)


async def test_the_end_leaves_a_line(trial: FakeBackend, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.shadow_tally"):
        async with gateway_client(shadow_settings(trial)) as client:
            await until(client, lambda _: trial.calls[Method.METADATA] > 3)
            for level in (0, 0, 0, 255):
                await send(client, grey_jpeg(level))
            await until(client, lambda found: compared(found) == 4)
    (record,) = [one for one in caplog.records if one.name == "app.shadow_tally"]
    line = record.fields  # type: ignore[attr-defined]
    assert (line["model_version"], line["candidate_version"], line["compared"]) == (1, 2, 4)
    assert line["top1_agreement"] == 0.75


def test_a_line_a_minute_while_it_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("app.shadow_tally.time.monotonic", lambda: now)
    tally = ShadowTally("m")
    alike = Agreement(same_first=True, overlap=1.0, difference=0.0, total_variation=0.0)
    with caplog.at_level(logging.INFO, "app.shadow_tally"):
        tally.add(1, 2, alike)
        assert not caplog.records
        now = 61.0
        tally.add(1, 2, alike)
        tally.add(1, 3, alike)
        assert [one.fields["compared"] for one in caplog.records] == [2]  # type: ignore[attr-defined]
        tally.log()
    assert [one.fields["candidate_version"] for one in caplog.records] == [2, 3]  # type: ignore[attr-defined]


async def test_what_is_at_work_is_cancelled_at_the_end(trial: FakeBackend) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(gateway_client(shadow_settings(trial)))
        await until(client, lambda _: trial.calls[Method.METADATA] > 3)
        with trial.hold(Method.PREDICT) as first:
            asking = asyncio.create_task(send(client))
            await trial.wait_calls(Method.PREDICT, 1)
            with trial.hold(Method.PREDICT):
                first.set()
                await asking
                await trial.wait_calls(Method.PREDICT, 2)
                await stack.aclose()
                await trial.wait_cancelled(Method.PREDICT, 1)
