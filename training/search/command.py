"""The commands `search` and `seeds`: their options, and what they do."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.finetune_command import settings_from
from training.head import try_head
from training.head_options import head_arguments
from training.pipeline import Prepared
from training.search.outcome import Repeat
from training.search.run import BEST, PAGE, search
from training.search.space import FINETUNE_PARAMETERS, HEAD_PARAMETERS
from training.search.spread import Spread
from training.search.study import PRUNERS, Plan
from training.search.tasks import FinetuneSource, FinetuneTask, HeadTask, S, Task
from training.settings import TrainSettings, code_version, write_json
from training.views import ORIGINAL, training_views

#: The run, in the search's folder, that the best settings are trained into.
_BEST_RUN = "best"


def add_head_search_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a search of heads to a parser that has those of `train`."""
    _add_options(command, HEAD_PARAMETERS, trials=40, finalists=3)


def add_finetune_search_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a search of fine-tuning to a parser that has those of `finetune`."""
    _add_options(command, FINETUNE_PARAMETERS, trials=20, finalists=0)


def _add_options(
    command: argparse.ArgumentParser, parameters: Sequence[str], *, trials: int, finalists: int
) -> None:
    command.add_argument(
        "--trials", type=int, default=trials, help="how many trials in the end (%(default)s)"
    )
    command.add_argument("--timeout", type=float, help="start no further trial after so many seconds")
    command.add_argument(
        "--pruner", choices=PRUNERS, default=PRUNERS[0], help="how hopeless trials are ended"
    )
    command.add_argument(
        "--keep",
        nargs="+",
        default=[],
        choices=parameters,
        metavar="PARAMETER",
        help=f"do not search these, but keep what the options say: {', '.join(parameters)}",
    )
    command.add_argument(
        "--finalists",
        type=int,
        default=finalists,
        help="how many of the best trials are trained again with other seeds (%(default)s)",
    )
    command.add_argument("--seeds", type=int, default=3, help="with how many seeds each (%(default)s)")


def add_seeds_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `seeds` to a parser that has those of `train`."""
    command.add_argument("--seeds", type=int, default=3, help="how many seeds, from --seed on (%(default)s)")


def run_head_search(options: argparse.Namespace, prepared: Prepared, settings: TrainSettings) -> None:
    """Search heads on prepared pictures.

    Args:
        options: Of `search train`, with `given`, the command's own words.
        prepared: The pictures.
        settings: Their settings.
    """
    task = HeadTask(prepared, settings, options.keep)
    _run(options, task, HEAD_PARAMETERS)


def run_finetune_search(options: argparse.Namespace) -> None:
    """Search settings of fine-tuning.

    Args:
        options: Of `search finetune`, with `given`, the command's own words.

    Raises:
        TrainingError: Nothing would be left to choose by.
    """
    if options.on_validation:
        raise TrainingError(
            "With --on-validation nothing is left to choose by. Search without, then fine-tune with it."
        )
    source = FinetuneSource.of(options)
    task = FinetuneTask(source, settings_from(options), options.run / "trials", options.keep)
    _run(options, task, FINETUNE_PARAMETERS)


def run_seeds(options: argparse.Namespace, prepared: Prepared, settings: TrainSettings) -> None:
    """Train each head with several seeds, and print and write the mean and the spread of its validation figures.

    Args:
        options: Of `seeds`.
        prepared: The pictures; their split is that of `--seed`, whatever the head's seed.
        settings: Their settings.
    """
    options.run.mkdir(parents=True, exist_ok=True)
    trained = prepared.features(prepared.split.train, training_views(settings.crops), settings.pooling)
    held_out = prepared.features(prepared.split.validation, (ORIGINAL,), settings.pooling)
    seeds = range(settings.seed, settings.seed + options.seeds)
    rows: list[dict[str, Any]] = []
    for head in settings.heads:
        found = [
            try_head(trained, held_out, head, len(prepared.classes.ids), seed=seed, progress=False)
            for seed in seeds
        ]
        spreads = {
            name: Spread.of([getattr(one, name) for one in found])
            for name in ("top1", "top3", "loss", "calibrated_error", "epochs")
        }
        print(" ".join(head_arguments(head)))
        print(
            f"  {len(found)} seeds: top-1 {spreads['top1'].share()}, top-3 {spreads['top3'].share()}, "
            f"loss {spreads['loss'].number()}, calibration error {spreads['calibrated_error'].share()}",
            flush=True,
        )
        rows.append(
            {
                "settings": dataclasses.asdict(head),
                "seeds": list(seeds),
                **{name: spread.as_json() for name, spread in spreads.items()},
                "candidates": [dataclasses.asdict(one) for one in found],
            }
        )
        write_json(options.run / "seeds.json", {"code": code_version(), "heads": rows})


def _run(options: argparse.Namespace, task: Task[S], parameters: Sequence[str]) -> None:
    plan = Plan(options.trials, options.timeout, task.seed, options.pruner, task.steps)
    found = search(
        task,
        options.run,
        plan,
        _repeat(options, task.command, parameters),
        finalists=options.finalists,
        seeds=options.seeds,
    )
    counts = found["trials"]
    print(f"{counts['finished']} trials, {counts['pruned']} pruned, {found['seconds']:.0f} s")
    for name, share in found["importance"].items():
        print(f"  {name}: {share:.0%}")
    best = found["best"]
    if best is not None:
        print(f"best, trial {best['trial']}: {json.dumps(best['validation'])}")
        for row in found["finalists"][:1]:
            told = ", ".join(f"{name} {row[name]['spelt']}" for name in ("loss", "top1", "top3"))
            print(f"  with {row['loss']['count']} other seeds: {told}")
        print(best["command"])
    print(f"written: {options.run / BEST}, {options.run / PAGE}")


def _repeat(options: argparse.Namespace, command: str, parameters: Sequence[str]) -> Repeat:
    """What was given, less what belongs to the search and what the found settings say themselves."""
    run = str(Path(options.run) / _BEST_RUN)

    def repeat(arguments: Sequence[str]) -> list[str]:
        own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        _add_options(own, parameters, trials=0, finalists=0)
        for flag in ["--run", *(word for word in arguments if word.startswith("--"))]:
            own.add_argument(flag, nargs="+")
        _, rest = own.parse_known_args(options.given[2:])
        return ["python", "-m", "training", command, *rest, *arguments, "--run", run]

    return repeat
