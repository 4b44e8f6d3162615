"""The command line of ``python -m rollout``."""

import argparse
from pathlib import Path

from proto_client import TlsFiles
from rollout.moving import CANARY, PREVIOUS, STABLE


def parser() -> argparse.ArgumentParser:
    """Make the parser; what it reads is in `command` and in the options of that command."""
    made = argparse.ArgumentParser(
        prog="python -m rollout",
        description="Bring a new version of a model in: check it, publish it, move labels, take it back.",
        epilog="docs/rollouts.md walks through it.",
    )
    commands = made.add_subparsers(dest="command", required=True)
    _add_check(
        commands.add_parser(
            "check", help="compare a new version with the running one on a folder of pictures"
        )
    )
    _add_publish(
        commands.add_parser("publish", help="copy a version beside the others, and rename it into place")
    )
    promote = commands.add_parser(
        "promote", help="have a label name a version, once every server has it loaded"
    )
    promote.add_argument("--version", type=_version, required=True, help="the version's number")
    rollback = commands.add_parser(
        "rollback",
        help=f"take a label back: {CANARY} to what {STABLE} names, {STABLE} to what it named before",
    )
    for one in (promote, rollback):
        _add_label(one)
        _add_servers(one, config_required=True)
    status = commands.add_parser(
        "status", help="show versions and labels of every server, and whether they differ"
    )
    _add_servers(status, config_required=False)
    status.add_argument("--json", action="store_true", help="as JSON")
    return made


def _add_check(check: argparse.ArgumentParser) -> None:
    candidate = check.add_mutually_exclusive_group(required=True)
    candidate.add_argument(
        "--version-dir",
        type=Path,
        metavar="DIR",
        help="the new version's folder: an embedded model server of its own loads it for the check",
    )
    candidate.add_argument(
        "--candidate", metavar="HOST:PORT", help="a model server that has the new version already"
    )
    check.add_argument(
        "--candidate-version", type=_version, metavar="N", help="its number there (default: the latest)"
    )
    check.add_argument(
        "--against", required=True, metavar="HOST:PORT", help="the model server that is in use"
    )
    which = check.add_mutually_exclusive_group()
    which.add_argument("--label", help="compare with the version under this label (default: with the latest)")
    which.add_argument("--version", type=_version, metavar="N", help="compare with this version")
    check.add_argument(
        "--model", metavar="NAME", help="default: as the version's card or its folder's place says"
    )
    check.add_argument(
        "--pictures", type=Path, required=True, metavar="DIR", help="pictures as callers send them"
    )
    check.add_argument(
        "--limit", type=_count, metavar="N", help="so many pictures, spread evenly (default: all)"
    )
    check.add_argument("--min-top1", type=_share, default=0.9, metavar="SHARE", help="default: %(default)s")
    check.add_argument("--min-top3", type=_share, default=0.8, metavar="SHARE", help="default: %(default)s")
    check.add_argument("--max-difference", type=_share, default=0.1, metavar="P", help="default: %(default)s")
    check.add_argument(
        "--max-slower", type=_positive, default=1.5, metavar="RATIO", help="default: %(default)s"
    )
    check.add_argument("--max-errors", type=int, default=0, metavar="N", help="default: %(default)s")
    check.add_argument(
        "--seconds", type=_positive, default=10.0, help="deadline of a call (default: %(default)s)"
    )
    check.add_argument(
        "--load-seconds",
        type=_positive,
        default=300.0,
        help="how long loading may take (default: %(default)s)",
    )
    _add_tls(check)
    check.add_argument(
        "--json", metavar="FILE", help="write the outcome there; - writes it in place of the table"
    )


def _add_publish(publish: argparse.ArgumentParser) -> None:
    publish.add_argument(
        "--version-dir", type=Path, required=True, metavar="DIR", help="the version's folder"
    )
    publish.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="default: %(default)s"
    )
    publish.add_argument(
        "--model", metavar="NAME", help="default: as the version's card or its folder's place says"
    )
    publish.add_argument(
        "--version", type=_version, metavar="N", help="default: its own number if free, else the next"
    )


def _add_label(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--label", type=_label, default=STABLE, help=f"{STABLE} (default), {CANARY}, or one of your own"
    )


def _add_servers(command: argparse.ArgumentParser, *, config_required: bool) -> None:
    command.add_argument("--model", required=True, metavar="NAME", help="the model's name")
    command.add_argument(
        "--config",
        type=Path,
        required=config_required,
        metavar="FILE",
        help="the model servers' models.config",
    )
    _add_tls(command)
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="a model server; may be repeated. A name with several addresses stands for all of them",
    )
    if config_required:
        where.add_argument(
            "--file-only",
            action="store_true",
            help="write the file and tell nobody: for servers that are replaced to take it, as in Kubernetes",
        )
        command.add_argument(
            "--seconds",
            type=_positive,
            default=300.0,
            help="how long loading may take (default: %(default)s)",
        )


def _add_tls(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("TLS towards the model servers, with PEM files")
    group.add_argument(
        "--tls", action="store_true", help="speak TLS; the other options of this group imply it"
    )
    group.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="who signed their certificates (default: public)"
    )
    group.add_argument("--tls-certificate", type=Path, metavar="FILE", help="our own, for mutual TLS")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key")
    group.add_argument(
        "--tls-server-name", metavar="NAME", help="the name in theirs, if not the host that is given"
    )


def tls_files(options: argparse.Namespace) -> TlsFiles | None:
    """Read the options of TLS; None where plain text is to be spoken."""
    files = TlsFiles(
        ca=options.tls_ca,
        certificate=options.tls_certificate,
        key=options.tls_key,
        server_name=options.tls_server_name,
    )
    return files if options.tls or files != TlsFiles() else None


def _version(text: str) -> int:
    return _whole(text, "a version is a whole number from 1 up")


def _count(text: str) -> int:
    return _whole(text, "it must be a whole number from 1 up")


def _whole(text: str, what: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"{what}, not {text!r}")
    return int(text)


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"it must be from 0 to 1, not {text!r}")
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"it must be above zero, not {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it must be a number, not {text!r}") from None


def _label(text: str) -> str:
    if text == PREVIOUS:
        raise argparse.ArgumentTypeError(
            f"{PREVIOUS} is kept by the command itself: it is where rollback goes"
        )
    if not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise argparse.ArgumentTypeError(f"a label is made of letters, digits, - and _, not {text!r}")
    return text
