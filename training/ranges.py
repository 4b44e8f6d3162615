"""Numbers on a command line that must lie in a range: types for `argparse`, which name what was given."""

import argparse
import math


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return value


def share(text: str) -> float:
    """Read a share: from 0 on, and less than 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: give a number from 0 on, less than 1")
    return value


def weight(text: str) -> float:
    """Read a weight: a number from 0 on."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no weight: give a number from 0 on")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
