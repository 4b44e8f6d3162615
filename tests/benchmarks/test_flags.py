"""Who asks a benchmark what it does is told, and nothing is measured."""

import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.processes import ROOT

PROGRAMS = sorted(
    path
    for path in (ROOT / "benchmarks").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8")
)


def test_there_are_programs() -> None:
    assert {"overload.py", "__main__.py", "export.py"} <= {path.name for path in PROGRAMS}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_help_tells_what_a_benchmark_does(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def begun(*_: object, **__: object) -> None:
        pytest.fail("It began to measure.")

    # None measures without one or the other.
    monkeypatch.setattr(subprocess.Popen, "__init__", begun)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", begun)
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("usage: python -m benchmarks.")
    first = path.read_text("utf-8").partition('"""')[2].partition("\n")[0]
    assert " ".join(first.split()) in told
