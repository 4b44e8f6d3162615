"""`python -m rollout check`: what it compares, what it holds against a version, and what cannot be compared."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from app.rankings import TYPES_WITH_GROUPS
from proto_client import InvalidReply
from tests.rollout.rolling_backend import MODEL
from tests.rollout.rollouts import run
from tests.support.fake_backend import FakeBackend, Method
from tests.support.fake_versions import FakeProductVersion
from tests.support.pictures import encoded, grey_jpeg, quadrants
from tests.support.spoilt_versions import SPOILT, Outputs, numbered, spoilt

TYPES = {"skates": (("Ice hockey", "1"), ("Speed skating", "2")), "boots": (("Skiing", "3"),)}
CLASSES = (("74", "Baseball"), ("76", "Cricket"), ("289", "Lacrosse"), ("66", "Skiing"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for level in range(0, 256, 16):
        (folder / f"{level:03}.jpg").write_bytes(grey_jpeg(level))
    (folder / "quadrants.png").write_bytes(encoded(quadrants(), "PNG"))
    (folder / ".hidden").write_bytes(b"left out")
    return folder


@pytest.fixture
async def running() -> AsyncIterator[FakeBackend]:
    async with FakeBackend() as fake:
        fake.add_version(MODEL, 3, height=48, width=32, classes=CLASSES)
        fake.labels[MODEL, "stable"] = 3
        yield fake


@pytest.fixture
async def candidate() -> AsyncIterator[FakeBackend]:
    async with FakeBackend() as fake:
        fake.add_version(MODEL, 4, height=24, width=24, classes=CLASSES)
        yield fake


def checking(running: FakeBackend, candidate: FakeBackend, pictures: Path) -> list[object]:
    # Two fakes in one busy loop: their times say nothing.
    where = ["--candidate", candidate.target, "--against", running.target, "--max-slower", 1000]
    return ["check", *where, "--model", MODEL, "--pictures", pictures]


async def test_alike_is_good_enough(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(*checking(running, candidate, pictures), "--label", "stable") == 0
    shown = capsys.readouterr().out
    assert f"{MODEL}: version 4 against version 3, 17 pictures" in shown
    assert "100.00%" in shown
    assert shown.rstrip().endswith("Good enough.")
    # Three are shown beforehand, and each version sees them at its own size.
    assert len(running.received) == len(candidate.received) == 20
    assert {one.images.shape for one in candidate.received} == {(1, 24, 24, 3)}


async def test_json_in_place_of_the_table_and_as_a_file(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(*checking(running, candidate, pictures), "--json", "-", "--limit", 5) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pictures"], found["top1_agreement"], found["failures"]) == (5, 1.0, [])
    assert found["candidate"]["p95_ms"] > 0
    assert found["slower"]["p50_ms"] == pytest.approx(
        found["candidate"]["p50_ms"] / found["running"]["p50_ms"], abs=0.001
    )
    report = pictures.parent / "report.json"
    assert await run(*checking(running, candidate, pictures), "--json", report) == 0
    assert json.loads(report.read_text("utf-8"))["pictures"] == 17
    assert await run(*checking(running, candidate, pictures), "--json", pictures / "no" / "where") == 2


async def test_another_first_answer_is_counted_and_named(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate.add_version(MODEL, 4, classes=(*CLASSES[:2], CLASSES[3], CLASSES[2]))
    assert await run(*checking(running, candidate, pictures)) == 1
    shown = capsys.readouterr().out
    # The lighter half of sixteen greys is another class.
    assert f"{9 / 17:.2%}" in shown
    assert "NOT GOOD ENOUGH: top-1 agreement 0.5294 is below 0.9 (--min-top1)" in shown
    assert "Another first answer, for instance: 128.jpg, 144.jpg" in shown
    lenient = ["--min-top1", 0.4, "--min-top3", 0.1, "--max-difference", 1]
    assert await run(*checking(running, candidate, pictures), *lenient) == 0


async def test_pictures_that_it_cannot_answer_are_errors(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate.fail(Method.PREDICT, grpc.StatusCode.INTERNAL, "the graph is broken")
    assert await run(*checking(running, candidate, pictures)) == 1
    assert "no picture was answered by both" in capsys.readouterr().out
    candidate.fail(Method.PREDICT, grpc.StatusCode.INTERNAL, "the graph is broken", times=4)
    assert await run(*checking(running, candidate, pictures)) == 1
    shown = capsys.readouterr().out
    assert "it failed on 1 pictures (--max-errors): 000.jpg: INTERNAL: the graph is broken" in shown
    candidate.fail(Method.PREDICT, grpc.StatusCode.INTERNAL, "the graph is broken", times=4)
    assert await run(*checking(running, candidate, pictures), "--max-errors", 1) == 0


@pytest.mark.parametrize("how", SPOILT)
async def test_answers_that_no_gateway_could_read_are_errors(
    running: FakeBackend,
    candidate: FakeBackend,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    candidate.versions[MODEL, 4] = spoilt(candidate.versions[MODEL, 4], how)
    report = pictures.parent / "report.json"
    assert await run(*checking(running, candidate, pictures), "--json", report) == 1
    assert "NOT GOOD ENOUGH: no picture was answered by both" in capsys.readouterr().out
    found = json.loads(report.read_text("utf-8"))
    assert found["candidate"]["errors"] == 17
    assert "cannot be read" in found["errors"][0]


def _more_names(outputs: Outputs) -> Outputs:
    names = outputs["group_names"]
    return outputs | {"group_names": np.concatenate([names, names[..., :1]], axis=2)}


def _no_group_dimension(outputs: Outputs) -> Outputs:
    return outputs | {name: outputs[name][..., 0] for name in ("group_names", "group_probabilities")}


def _padding_that_is_no_number(outputs: Outputs) -> Outputs:
    padded = np.where(outputs["group_names"] == "", np.float32("nan"), outputs["group_probabilities"])
    assert np.isnan(padded).any()
    return outputs | {"group_probabilities": padded}


def _groups_that_are_no_numbers(outputs: Outputs) -> Outputs:
    return outputs | {"group_probabilities": np.full_like(outputs["group_probabilities"], np.nan)}


GROUPS = {
    "more names than probabilities of groups": (_more_names, False),
    "one group in place of a list": (_no_group_dimension, False),
    "groups with probabilities that are no numbers": (_groups_that_are_no_numbers, False),
    "no number where there is no group": (_padding_that_is_no_number, True),
}


@pytest.mark.parametrize("how", GROUPS)
async def test_groups_are_read_as_the_gateway_reads_them(
    running: FakeBackend,
    candidate: FakeBackend,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    spoil, readable = GROUPS[how]
    running.add_product_version(MODEL, 3, types=TYPES)
    candidate.add_product_version(MODEL, 4, types=TYPES)
    right = candidate.versions[MODEL, 4]
    outputs = spoil(right.outputs(np.zeros((1, right.height, right.width, 3), np.uint8)))
    by_the_gateway = contextlib.nullcontext() if readable else pytest.raises(InvalidReply)
    with by_the_gateway:
        TYPES_WITH_GROUPS.ranking(as_sent(outputs), 0)
    answered = FakeProductVersion.outputs
    monkeypatch.setattr(
        FakeProductVersion,
        "outputs",
        lambda version, images: (spoil if version.version == 4 else dict)(answered(version, images)),
    )
    report = pictures.parent / "report.json"
    assert await run(*checking(running, candidate, pictures), "--json", report) == (0 if readable else 1)
    found = json.loads(report.read_text("utf-8"))
    assert found["candidate"]["errors"] == (0 if readable else 17)
    assert all("cannot be read" in error for error in found["errors"])


def as_sent(outputs: Outputs) -> Outputs:
    """What a client gets: texts as bytes."""
    return {
        name: np.array([text.encode() for text in array.ravel()], object).reshape(array.shape)
        if array.dtype == object
        else array
        for name, array in outputs.items()
    }


async def test_a_version_with_outputs_of_another_type_cannot_be_compared(
    running: FakeBackend,
    candidate: FakeBackend,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    candidate.versions[MODEL, 4] = numbered(candidate.versions[MODEL, 4])
    assert await run(*checking(running, candidate, pictures)) == 2
    assert "the output class_ids must be string, not int64" in capsys.readouterr().err


async def test_a_slower_version_is_not_good_enough(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [one if one != 1000 else 0.000001 for one in checking(running, candidate, pictures)]
    assert await run(*arguments) == 1
    assert "its 95th percentile is" in capsys.readouterr().out


async def test_files_that_are_no_pictures_are_passed_over(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "readme.txt").write_text("words")
    assert await run(*checking(running, candidate, pictures)) == 0
    shown = capsys.readouterr().out
    assert "17 pictures, 1 unreadable" in shown
    assert "Not read: readme.txt: The file is not a picture" in shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("empty", "holds no files"),
        ("nothing", "is no folder"),
        ("unreadable", "None of the 1 files"),
        ("label", "has no label nope"),
        ("model", "has no latest version of other"),
        ("away", "has no latest version"),
        ("address", "No client for 'nowhere:'"),
    ],
)
async def test_what_cannot_be_compared_is_said(
    running: FakeBackend,
    candidate: FakeBackend,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
    words: str,
) -> None:
    arguments = checking(running, candidate, pictures)
    other = pictures.parent / "other"
    if change in {"empty", "unreadable"}:
        other.mkdir()
    match change:
        case "empty" | "nothing":
            arguments[-1] = other
        case "unreadable":
            (other / "x.jpg").write_bytes(b"\xff\xd8 no picture")
            arguments[-1] = other
        case "label":
            arguments += ["--label", "nope"]
        case "model":
            arguments[arguments.index(MODEL)] = "other"
        case "address":
            arguments[arguments.index("--against") + 1] = "nowhere:"
        case "away":
            await candidate.stop()
    assert await run(*arguments) == 2
    assert words in capsys.readouterr().err


async def test_nothing_is_held_against_a_version_where_the_running_one_answers_nothing(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running.fail(Method.PREDICT, grpc.StatusCode.UNAVAILABLE, "gone")
    assert await run(*checking(running, candidate, pictures)) == 2
    shown = capsys.readouterr()
    assert "The running version 3 answered none of the 17 pictures" in shown.err
    assert "000.jpg: UNAVAILABLE: gone" in shown.err
    assert not shown.out
    # One that falls silent too is no better for it.
    candidate.fail(Method.PREDICT, grpc.StatusCode.UNAVAILABLE, "gone")
    assert await run(*checking(running, candidate, pictures)) == 2


async def test_a_version_that_lacks_outputs_is_refused(
    running: FakeBackend, candidate: FakeBackend, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types = {"skates": (("Ice hockey", "1"),), "boots": (("Skiing", "2"),)}
    running.add_product_version(MODEL, 3, types=types)
    candidate.add_version(MODEL, 4, classes=[("skates", "skates"), ("boots", "boots")])
    assert await run(*checking(running, candidate, pictures)) == 1
    assert "it lacks the outputs group_names, group_probabilities, group_sports" in capsys.readouterr().out
