"""`python -m rollout` by its words: what it prints, what it writes, and its exit status."""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest
import trustme

from rollout.cli import main
from tests.rollout.rolling_backend import MODEL, RollingBackend
from tests.rollout.rollouts import CONFIG, run, write
from tests.rollout.test_publishing import version


def run_sync(arguments: Sequence[str]) -> int:
    return main(arguments)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "--against", "127.0.0.1:1", "--pictures", str(tmp_path), "--model", "m"]
    assert run_sync([*arguments, "--version-dir", str(tmp_path)]) == 2
    assert "is no SavedModel" in capsys.readouterr().err


def test_where_there_is_no_embedded_server_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollout.candidate._ROOT", tmp_path)
    source = version(tmp_path / "models" / "m" / "4")
    arguments = ["check", "--against", "127.0.0.1:1", "--pictures", str(tmp_path)]
    assert run_sync([*arguments, "--version-dir", str(source)]) == 2
    assert "name it: --candidate HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "card", "name"),
    [
        ("models/tennis/4", None, "tennis"),
        ("run/export", {"model": "tennis"}, "tennis"),
        ("run/export", {"model": 7}, None),
        ("run/export", None, None),
    ],
)
def test_the_models_name_is_in_the_card_or_in_the_place(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    card: dict[str, object] | None,
    name: str | None,
) -> None:
    source = version(tmp_path / path)
    if card:
        (source / "card.json").write_text(json.dumps(card))
    status = run_sync(["publish", "--version-dir", str(source), "--models", str(tmp_path / "to")])
    shown = capsys.readouterr()
    if name:
        number = "4" if path.endswith("4") else "1"
        assert (status, shown.out.strip()) == (0, str(tmp_path / "to" / name / number))
    else:
        assert status == 2
        assert "give --model NAME" in shown.err


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RollingBackend]:
    (tmp_path / "models.config").write_text(CONFIG, "utf-8")
    async with RollingBackend() as made:
        made.serve(3, stable=3, canary=3)
        yield made


async def test_promote_status_and_rollback(
    server: RollingBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--model", MODEL, "--config", tmp_path / "models.config", "--target", server.target]
    assert await run("promote", "--version", 4, *where) == 0
    assert "Done: canary = 3, previous = 3, stable = 4 on 1 model server(s)." in capsys.readouterr().err
    assert await run("status", *where) == 0
    lines = capsys.readouterr().out.split("\n")
    assert [line.split() for line in lines[1:3]] == [
        ["4", "AVAILABLE", "stable"],
        ["3", "AVAILABLE", "canary,", "previous"],
    ]
    assert await run("rollback", *where) == 0
    assert server.labelled() == {"stable": 3, "canary": 3}
    capsys.readouterr()
    assert await run("status", *where, "--json") == 0
    (standing,) = json.loads(capsys.readouterr().out)["servers"]
    assert standing["labels"] == {"stable": 3, "canary": 3}


async def test_a_step_back_for_the_file_only_keeps_the_bad_version_for_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "models.config"
    path.write_text(CONFIG, "utf-8")
    where = ["--model", MODEL, "--config", path, "--file-only"]
    assert await run("promote", "--label", "canary", "--version", 4, *where) == 0
    assert await run("promote", "--version", 4, *where) == 0
    assert "stays" not in capsys.readouterr().err
    assert await run("rollback", *where) == 0
    shown = capsys.readouterr().err
    assert "canary = 3, stable = 3; roll models.config out now." in shown
    assert "Version 4 stays" in shown
    assert "once all are replaced, promote --label stable --version 3 lets it go." in shown
    assert "versions: 3 versions: 4" in path.read_text("utf-8")
    assert await run("promote", "--label", "stable", "--version", 3, *where) == 0
    assert "stays" not in capsys.readouterr().err
    assert path.read_text("utf-8") == CONFIG


async def test_status_says_where_servers_differ(
    server: RollingBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with RollingBackend() as other:
        other.serve(3, 4, stable=4)
        targets = ["--target", server.target, "--target", other.target, "--target", "127.0.0.1:1"]
        assert await run("status", "--model", MODEL, "--config", tmp_path / "models.config", *targets) == 1
        shown = capsys.readouterr().out
        assert "127.0.0.1:1 does not answer: UNAVAILABLE" in shown
        assert "The servers have different versions" in shown
        assert f"{other.target} has the labels stable = 4, not canary = 3, stable = 3." in shown
        # Without a file, the first server is the measure.
        assert await run("status", "--model", MODEL, *targets[:4]) == 1


async def test_status_compares_with_the_versions_of_the_file(
    server: RollingBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "models.config"
    where = ["--model", MODEL, "--config", path, "--target", server.target]
    write(path, CONFIG.replace("versions: 3", "versions: 3 versions: 4"))
    server.add_version(MODEL, 4, available=False)
    server.broken = {4}
    assert await run("status", *where) == 1
    shown = capsys.readouterr().out
    assert "4  END: Can't parse saved_model.pb" in shown
    assert f"{server.target} has the versions 3 loaded, not 3, 4 as the file says." in shown
    # More than the file names is another thing than it names, too.
    write(path, CONFIG)
    server.set_available(MODEL, 4, available=True)
    assert await run("status", *where) == 1
    assert f"{server.target} has the versions 3, 4 loaded, not 3 as the file says." in capsys.readouterr().out
    # Where the file leaves the choice to the server, whatever it has chosen is right.
    write(path, CONFIG.replace("    model_version_policy { specific { versions: 3 } }\n", ""))
    assert await run("status", *where) == 0


async def test_status_of_a_model_that_no_server_knows(
    server: RollingBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("status", "--model", "other", "--target", server.target, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == [f"{server.target} knows no version of other."]


async def test_what_cannot_be_done_says_why(
    server: RollingBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", tmp_path / "models.config"]
    where = [*config, "--target", server.target]
    assert await run("promote", "--version", 4, "--model", "other", *where) == 2
    assert "names no model 'other'; its models: sport_classifier" in capsys.readouterr().err
    assert await run("promote", "--version", 4, "--model", MODEL, *config, "--file-only") == 2
    assert "First: promote --label canary" in capsys.readouterr().err
    assert await run("rollback", "--model", MODEL, *where) == 2
    assert "has no version to take the label 'stable' back to" in capsys.readouterr().err
    assert await run("status", "--model", MODEL, "--target", "x") == 2
    assert "is no model server's address" in capsys.readouterr().err


async def test_servers_behind_mutual_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = trustme.CA()
    ours, theirs = authority.issue_cert("rollout.test"), authority.issue_cert("model-server")
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "certificate", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    ours.cert_chain_pems[0].write_to_path(paths["certificate"])
    ours.private_key_pem.write_to_path(paths["key"])
    credentials = grpc.ssl_server_credentials(
        [(theirs.private_key_pem.bytes(), theirs.cert_chain_pems[0].bytes())],
        root_certificates=authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    tls = [part for name, path in paths.items() for part in (f"--tls-{name}", path)]
    async with RollingBackend(credentials=credentials) as server:
        server.serve(3, stable=3)
        where = ["--model", MODEL, "--target", server.target]
        assert await run("status", *where, *tls, "--tls-server-name", "model-server") == 0
        assert "AVAILABLE    stable" in capsys.readouterr().out
        # The address that a name stands for is not in the certificate.
        assert await run("status", *where, *tls) == 1
        assert await run("status", *where, *tls[:4]) == 2
        assert "mutual TLS needs both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: command"),
        (["promote", "--model", "m"], "required: --version, --config"),
        (["promote", "--model", "m", "--config", "f", "--version", "1"], "--target --file-only is required"),
        (["promote", "--version", "0"], "a version is a whole number from 1 up"),
        (["promote", "--label", "previous"], "is where rollback goes"),
        (["promote", "--label", 'a"b'], "a label is made of"),
        (["check", "--min-top1", "90"], "from 0 to 1"),
        (["check", "--max-slower", "0"], "above zero"),
        (["check", "--against", "a:1", "--pictures", "p"], "--version-dir --candidate is required"),
    ],
)
def test_a_wrong_command_line_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_sync(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_command_never_imports_tensorflow() -> None:
    import subprocess

    from tests.support.processes import ROOT

    probe = "import sys, rollout.cli; sys.exit('tensorflow' in sys.modules or 'app' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=False).returncode == 0
