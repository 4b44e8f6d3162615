"""Command-line options of heads: added to a parser, read from it, and written for given settings."""

import argparse
import dataclasses
import itertools

from training.head import HeadSettings
from training.optimizers import OPTIMIZERS
from training.ranges import count

#: Options that take several values; every combination is tried.
_LISTS = {
    "hidden": "units of each hidden layer; 0: linear",
    "layers": "hidden layers",
    "optimizer": f"one of {', '.join(OPTIMIZERS)}",
    "learning_rate": "the highest learning rate",
    "weight_decay": "decoupled weight decay; adam has none",
    "balance": "class weights n^-BALANCE",
}
_SINGLE = {
    "input_dropout": "the share of features dropped",
    "dropout": "the share of units dropped after each hidden layer",
    "label_smoothing": "the share of a target spread over all classes",
    "mixup": "alpha of MixUp of feature vectors; 0: none",
    "epochs": "passes over the training pictures, at most",
}


def add_head_options(command: argparse.ArgumentParser) -> None:
    """Add the options to a parser."""
    default = HeadSettings()
    for name, text in _LISTS.items():
        value = getattr(default, name)
        command.add_argument(
            _flag(name),
            type=type(value),
            nargs="+",
            default=[value],
            choices=tuple(OPTIMIZERS) if name == "optimizer" else None,
            metavar=name.upper(),
            help=f"{text} ({value})",
        )
    for name, text in _SINGLE.items():
        value = getattr(default, name)
        of = count if name == "epochs" else type(value)
        command.add_argument(_flag(name), type=of, default=value, help=f"{text} (%(default)s)")


def heads_from(options: argparse.Namespace) -> tuple[HeadSettings, ...]:
    """The heads that the options ask for; lists of values are tried in every combination."""
    single = {name: getattr(options, name) for name in _SINGLE}
    grid = itertools.product(*(getattr(options, name) for name in _LISTS))
    heads = [HeadSettings(**single, **dict(zip(_LISTS, values, strict=True))) for values in grid]
    # A linear head is the same whatever its depth.
    shaped = [dataclasses.replace(head, layers=1) if not head.hidden else head for head in heads]
    return tuple(dict.fromkeys(shaped))


def head_arguments(settings: HeadSettings) -> list[str]:
    """The arguments that make `heads_from` give just these settings."""
    return [part for name in (*_LISTS, *_SINGLE) for part in (_flag(name), f"{getattr(settings, name)}")]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
