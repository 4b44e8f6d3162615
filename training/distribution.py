"""Data-parallel training: each batch spread over several devices, of one machine or of several.

Every device holds the whole network and takes an equal part of each batch; the compiler adds up the gradients, so a
step is the same as on one device, up to rounding. This is `keras.distribution.DataParallel`, which does it with JAX
alone: Keras' TensorFlow side of it is a prototype that leaves everything on one device, and PyTorch has none.
"""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

# What Keras itself reads, so that a launcher written for Keras starts this too.
_ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
_PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
_PROCESS = "KERAS_DISTRIBUTION_PROCESS_ID"


def add_options(command: argparse.ArgumentParser, *, machines: bool) -> None:
    """Add the options that say which devices to train on.

    Args:
        command: The parser.
        machines: Whether the command can run on several machines.
    """
    command.add_argument(
        "--devices",
        metavar="N",
        help="spread each batch over so many devices, or 'all'; needs KERAS_BACKEND=jax (default: one device)",
    )
    if machines:
        command.add_argument(
            "--coordinator",
            metavar="HOST:PORT",
            help=f"where process 0 listens, for all others (${_ADDRESSES})",
        )
        command.add_argument("--processes", type=int, metavar="N", help=f"how many processes (${_PROCESSES})")
        command.add_argument("--process", type=int, metavar="K", help=f"which of them this is (${_PROCESS})")


@contextlib.contextmanager
def devices_of(options: argparse.Namespace) -> Iterator[None]:
    """Train on the devices that the options ask for.

    Several processes wait here for each other.

    Args:
        options: With what `add_options` added, or without; then nothing is asked for.

    Yields:
        Nothing; while it lasts, every network that is built is on all those devices.

    Raises:
        TrainingError: The backend cannot do it, there are fewer devices, or the processes do not find each other.
    """
    processes, devices = _asked(options, "processes", _PROCESSES), getattr(options, "devices", None)
    if processes in {None, 1} and devices is None:
        yield
        return
    if keras.backend.backend() != "jax":
        raise TrainingError(
            f"Keras trains on several devices with JAX alone, not with {keras.backend.backend()}: "
            "install jax and set the environment variable KERAS_BACKEND=jax, or leave out --devices."
        )
    if processes not in {None, 1}:
        _join(options, processes)
    available = keras.distribution.list_devices()
    chosen = available[: _count(devices, available, several=processes not in {None, 1})]
    # Each process makes its own part of each batch, see `own_part`.
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)
    )
    try:
        yield
    finally:
        keras.distribution.set_distribution(None)


def _asked(options: argparse.Namespace, name: str, variable: str) -> int | None:
    given = getattr(options, name, None)
    if given is not None or not hasattr(options, name):
        return given
    text = os.environ.get(variable)
    try:
        return int(text) if text else None
    except ValueError:
        raise TrainingError(
            f"The environment variable {variable} is {text!r}, and should be a number."
        ) from None


def _join(options: argparse.Namespace, processes: int | None) -> None:
    process = _asked(options, "process", _PROCESS)
    addresses = options.coordinator or os.environ.get(_ADDRESSES)
    if process is None or not addresses:
        raise TrainingError(
            f"For {processes} processes each one needs --coordinator and --process, or {_ADDRESSES} and {_PROCESS}."
        )
    if not 0 <= process < (processes or 0):
        raise TrainingError(f"--process {process}: processes are counted from 0 to {(processes or 0) - 1}.")
    try:
        keras.distribution.initialize(addresses, processes, process)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"Process {process} of {processes} cannot join at {addresses}: {error}"
        ) from error


def _count(asked: str | None, available: list[str], *, several: bool) -> int:
    if asked in {None, "all"}:
        return len(available)
    try:
        count = int(asked or "")
    except ValueError:
        count = 0
    if count < 1:
        raise TrainingError(f"--devices {asked}: give a number from 1, or 'all'.")
    if several and count != len(available):
        raise TrainingError(
            f"--devices {asked}: several processes use all of their devices ({len(available)})."
        )
    if count > len(available):
        raise TrainingError(f"--devices {asked}: there are only {len(available)} ({', '.join(available)}).")
    return count


def replicas() -> int:
    """On how many devices each network is, of all processes together; 1 where nothing is spread."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.num_model_replicas)


def processes() -> int:
    """How many processes train together."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.num_processes)


def is_first() -> bool:
    """Whether this process is the one that writes what is reached; one alone always is."""
    distribution = keras.distribution.distribution()
    return distribution is None or int(distribution.data_shard_id) == 0


def check_batch(batch: int) -> None:
    """See that a batch can be shared by all devices.

    Raises:
        TrainingError: It cannot.
    """
    if batch % replicas():
        raise TrainingError(
            f"A batch of {batch} cannot be shared by {replicas()} devices equally: give --batch as a multiple."
        )


def own_part(count: int) -> slice:
    """Which part of a batch this process has to make.

    Args:
        count: Pictures in the whole batch; those beyond the last multiple of the devices are left out, which happens
            only where all data are less than one batch.

    Returns:
        The places of this process's part in the batch.
    """
    whole = count - count % replicas()
    each = whole // processes()
    first = 0 if is_first() else int(keras.distribution.distribution().data_shard_id) * each
    return slice(first, first + each)


def spread(batch: NDArray[Any]) -> Any:
    """Lay a batch over the devices of a process that is alone; several processes each ask the whole of it.

    Args:
        batch: As many rows as a multiple of the devices.

    Returns:
        The same, for `predict_on_batch`.
    """
    distribution = keras.distribution.distribution()
    if distribution is None or processes() > 1:
        return batch
    return keras.distribution.distribute_tensor(batch, distribution.get_data_layout(batch.shape))


def from_first(data: bytes) -> bytes:
    """What the first process gave; all of them must call this.

    Args:
        data: Of any length; only the first process's matters.

    Returns:
        The first process's.
    """
    if processes() == 1:
        return data
    # Keras has no word for it. JAX is there, as `devices_of` allows several processes with no other backend.
    from jax.experimental.multihost_utils import broadcast_one_to_all

    length = broadcast_one_to_all(np.frombuffer(len(data).to_bytes(8, "little"), np.uint8))
    count = int.from_bytes(bytes(np.asarray(length, np.uint8)), "little")
    own = np.zeros(count, np.uint8)
    own[: len(data)] = np.frombuffer(data, np.uint8)[:count]
    return bytes(np.asarray(broadcast_one_to_all(own), np.uint8))


@contextlib.contextmanager
def folder_of_first(folder: Path) -> Iterator[Path]:
    """Where to write what all processes have alike: the first into the folder, the others where it is thrown away."""
    if is_first():
        yield folder
        return
    with tempfile.TemporaryDirectory() as elsewhere:
        yield Path(elsewhere)


@contextlib.contextmanager
def first_goes_first() -> Iterator[None]:
    """Let the first process do something before the others do it, such as filling a cache that they may share."""
    if not is_first():
        from_first(b"")
    try:
        yield
    finally:
        if is_first():
            from_first(b"")
