"""A version is published whole or not at all."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rollout import publishing
from rollout.errors import RolloutError
from rollout.publishing import publish
from tests.support.processes import ROOT


def version(folder: Path, content: bytes = b"graph") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(content)
    (folder / "variables" / "variables.index").write_bytes(b"index")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"weights")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return version(tmp_path / "run" / "export")


def test_the_number_is_the_next_free_one_or_the_sources_own(tmp_path: Path, source: Path) -> None:
    models = tmp_path / "models" / "m"
    assert publish(source, models) == models / "1"
    assert publish(source, models, 7) == models / "7"
    assert publish(version(tmp_path / "elsewhere" / "5"), models) == models / "5"
    # 5 is taken now.
    assert publish(tmp_path / "elsewhere" / "5", models) == models / "8"
    assert content(models / "8") == content(source)
    assert sorted(child.name for child in models.iterdir()) == ["1", "5", "7", "8"]


@pytest.mark.parametrize(("number", "words"), [(2, "exists already"), (0, "from 1 up")])
def test_a_number_that_cannot_be_is_refused(tmp_path: Path, source: Path, number: int, words: str) -> None:
    publish(source, tmp_path / "m", 2)
    with pytest.raises(RolloutError, match=words):
        publish(source, tmp_path / "m", number)


def test_what_is_no_version_is_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(RolloutError, match="is no folder"):
        publish(tmp_path / "gone", tmp_path / "m")
    with pytest.raises(RolloutError, match="it has no saved_model"):
        publish(source / "variables", tmp_path / "m")
    (source / "variables" / "variables.data-00000-of-00001").rename(
        source / "variables" / "variables.data-00000-of-00002"
    )
    with pytest.raises(RolloutError, match="files are missing"):
        publish(source, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_full_disk_leaves_nothing(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(original: Path, copy: Path, **_: object) -> None:
        Path(copy).mkdir()
        (Path(copy) / "saved_model.pb").write_bytes(b"gr")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(RolloutError, match="No space left"):
        publish(source, tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []


def test_a_number_that_another_tool_takes_meanwhile_is_not_replaced(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "m"
    flush = publishing._flush

    def other_publishes(folder: Path) -> None:
        flush(folder)
        version(models / "1", b"other")

    monkeypatch.setattr(publishing, "_flush", other_publishes)
    with pytest.raises(RolloutError, match="could not be published"):
        publish(source, models)
    assert [child.name for child in models.iterdir()] == ["1"]
    assert (models / "1" / "saved_model.pb").read_bytes() == b"other"


SLOW = """
import pathlib, shutil, sys, time
import rollout.publishing as publishing
copy = shutil.copy2
def slow(source, target, **more):
    copy(source, target, **more)
    print("copied", flush=True)
    sys.stdin.read()
original = shutil.copytree
shutil.copytree = lambda a, b: original(a, b, copy_function=slow)
publishing.publish(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


def test_one_killed_in_the_middle_shows_no_version_and_the_next_clears_up(
    tmp_path: Path, source: Path
) -> None:
    models = tmp_path / "m"
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(source), str(models)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"copied\n"
        # While it is at work, another one waits.
        handle = os.open(models, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        killed.send_signal(signal.SIGKILL)
    (left,) = models.iterdir()
    assert not left.name.isdecimal()
    assert publish(source, models) == models / "1"
    assert [child.name for child in models.iterdir()] == ["1"]
    assert content(models / "1") == content(source)
