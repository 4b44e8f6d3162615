"""The command ``python -m rollout``: check, publish, promote, rollback, status."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from proto_client import ChannelSettings, RetryPolicy
from rollout.arguments import parser, tls_files
from rollout.candidate import served_alone
from rollout.check_report import Thresholds, failures, measured, table
from rollout.checking import compare
from rollout.classifying import find_version
from rollout.config_file import ConfigFile, locked, specific_versions
from rollout.errors import RolloutError
from rollout.moving import Mover
from rollout.publishing import publish
from rollout.status import Configured, differences, standings
from rollout.status import table as status_table
from rollout.targets import open_client, open_targets

# Exit statuses; argparse ends with 2 by itself.
_GOOD, _NOT_GOOD, _FAILED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line without the program's name; None takes that of the process.

    Returns:
        0 when done; 1 when a check found the version not good enough, or servers differ; 2 when it could not be
        done.
    """
    options = parser().parse_args(arguments)
    try:
        return asyncio.run(_until_told_to_stop(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("Stopped.")
        return _FAILED


async def _until_told_to_stop(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine that runs has one)
    # As at Ctrl-C: what was begun is taken back.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await perform(options)


async def perform(options: argparse.Namespace) -> int:
    """Do what the command line asks for.

    Args:
        options: What `arguments.parser` read.

    Returns:
        The exit status, see `main`.
    """
    commands = {"check": _check, "publish": _publish, "status": _status}
    try:
        return await commands.get(options.command, _move)(options)
    except RolloutError as error:
        _say(str(error))
        return _FAILED


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _check(options: argparse.Namespace) -> int:
    model = _model_name(options)
    # Without retries: a fault is one of the things that are looked for.
    settings = ChannelSettings(retry=RetryPolicy(attempts=1))
    async with AsyncExitStack() as stack:
        address = options.candidate
        if address is None:
            _say(f"Loading {options.version_dir} …")
            address = await stack.enter_async_context(
                served_alone(options.version_dir, model, seconds=options.load_seconds)
            )
        tls = tls_files(options)
        # The one that was started here speaks plain text.
        new_tls = tls if options.candidate else None
        new, old = [
            await stack.enter_async_context(open_client(one, files, settings))
            for one, files in ((address, new_tls), (options.against, tls))
        ]
        candidate = await find_version(new, model, version=options.candidate_version)
        running = await find_version(old, model, version=options.version, label=options.label)
        comparison = await compare(
            running, candidate, options.pictures, limit=options.limit, seconds=options.seconds, say=_say
        )
    found = measured(comparison, options.version_dir)
    thresholds = Thresholds(
        options.min_top1, options.min_top3, options.max_difference, options.max_slower, options.max_errors
    )
    wrong = failures(found, thresholds, running.outputs - candidate.outputs)
    found["failures"] = wrong
    if options.json != "-":
        print(table(found, wrong))
    if options.json:
        document = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        if options.json == "-":
            sys.stdout.write(document)
        else:
            _write(Path(options.json), document)
    return _NOT_GOOD if wrong else _GOOD


async def _publish(options: argparse.Namespace) -> int:
    directory = options.models / _model_name(options)
    # Here and now: nothing else waits, and a first Ctrl-C or SIGTERM lets it come to its end.
    print(publish(options.version_dir, directory, options.version))
    return _GOOD


async def _move(options: argparse.Namespace) -> int:
    with locked(options.config):
        file = ConfigFile(options.config)
        file.model(options.model)
        async with open_targets(options.target, tls_files(options)) as targets:
            mover = Mover(file, targets, options.model, seconds=options.seconds, say=_say)
            if options.command == "promote":
                await mover.promote(options.label, options.version)
            else:
                await mover.rollback(options.label)
    if file.comments_lost:
        _say(
            f"Comments in {file.path} are gone: those inside of what has changed, or all, where the file's form is "
            "one that can only be written anew. Look at the difference before you keep it."
        )
    return _GOOD


async def _status(options: argparse.Namespace) -> int:
    configured = None
    if options.config is not None:
        model = ConfigFile(options.config).model(options.model)
        configured = Configured(specific_versions(model), dict(model.version_labels))
    async with open_targets(options.target, tls_files(options)) as targets:
        found = await standings(targets, options.model, configured)
    problems = differences(found, options.model, configured)
    if options.json:
        print(json.dumps({"servers": [one.as_json() for one in found], "problems": problems}, indent=1))
    else:
        print("\n".join([status_table(found), *problems]))
    return _NOT_GOOD if problems else _GOOD


def _model_name(options: argparse.Namespace) -> str:
    """The model's name: as given, else that of the version's card, else that of the folder around it."""
    if options.model:
        return str(options.model)
    folder: Path | None = options.version_dir
    if folder is None:
        raise RolloutError("Name the model: --model NAME.")
    try:
        card = json.loads((folder / "card.json").read_text("utf-8"))
    except (OSError, ValueError):
        card = {}
    named = card.get("model") if isinstance(card, dict) else None
    if isinstance(named, str) and named:
        return named
    if folder.resolve().name.isdecimal():
        return folder.resolve().parent.name
    raise RolloutError(
        f"Neither {folder}/card.json nor the folder's place tells the model's name: give --model NAME."
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise RolloutError(f"{path} cannot be written: {error}.") from error
