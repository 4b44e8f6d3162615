"""The file as it was, to the byte, and what a write says of its comments."""

from pathlib import Path

import pytest

from rollout.config_file import ConfigFile
from tests.rollout.rolling_backend import MODEL
from tests.rollout.rollouts import CONFIG, run, text_of, write


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_is_taken_back_is_the_same_to_the_byte(path: Path, end: str) -> None:
    before = CONFIG.replace("\n", end).encode()
    path.write_bytes(before)
    file = ConfigFile(path)
    text = file.text
    file.change(MODEL, {3, 4}, {"stable": 3, "canary": 4})
    assert path.read_bytes() == before.replace(b"versions: 3", b"versions: 3 versions: 4").replace(
        b'"canary" value: 3', b'"canary" value: 4'
    )
    file.restore(text)
    assert path.read_bytes() == before


async def test_a_lost_comment_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(path, CONFIG.replace('"canary" value: 3', '"canary" # on trial\n value: 3'))
    where = ["--model", MODEL, "--config", path, "--file-only"]
    assert await run("promote", "--label", "mine", "--version", 3, *where) == 0
    assert "omments" not in capsys.readouterr().err
    assert await run("promote", "--label", "canary", "--version", 4, *where) == 0
    assert f"Comments in {path} are gone" in capsys.readouterr().err
    text = text_of(path)
    assert ("# Exact versions." in text, "# on trial" in text) == (True, False)
