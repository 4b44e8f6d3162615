"""One server process: boot, serve until told to stop, stop.

The port is opened only once every configured model has loaded, as TF Serving does it, so a client that can connect
can also predict.
"""

import asyncio
import logging
import signal
import threading
from pathlib import Path
from typing import Any, Final

import grpc.aio

from model_server.batching_config import BatchingOptions, read_batching_file
from model_server.config import read_config_file, single_model_config
from model_server.core import ServerCore
from model_server.errors import ServingError
from model_server.flags import Flags
from model_server.lifecycle import LifecycleManager
from model_server.runner import Runner
from model_server.servable import Servable, session_config
from model_server.services import Services
from model_server.warmup import warm_up

_LOG: Final = logging.getLogger(__name__)

# What the real server exits with when it cannot start (it returns -1 from main).
EXIT_FAILED: Final = 255


async def serve(flags: Flags) -> int:
    """Runs a server until SIGTERM or SIGINT.

    The real server dies at once on SIGTERM. This one refuses new calls and lets running ones finish for
    ``--drain_seconds``, which is kinder to whoever restarts it.

    Args:
        flags: The settings.

    Returns:
        The exit status of the process: 0, or 255 when the server could not start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if flags.ignored:
        _LOG.info("flags that make no difference here: %s", ", ".join(flags.ignored))
    try:
        batching = _batching_options(flags)
        config = _model_config(flags)
    except ServingError as error:
        return _failed(error)
    manager = LifecycleManager(
        _Loader(flags),
        poll_seconds=flags.file_system_poll_wait_seconds,
        max_retries=flags.max_num_load_retries,
        retry_seconds=flags.load_retry_interval_micros / 1e6,
    )
    core = ServerCore(
        manager,
        base_path_map=flags.base_path_map,
        allow_labels_for_unavailable=flags.allow_version_labels_for_unavailable_models,
    )
    runner = Runner(
        threads=flags.grpc_max_threads,
        as_content=flags.enable_serialization_as_tensor_content,
        batching=batching,
    )
    manager.start()
    try:
        if not await _boot(core, config, stop):
            return 0
        await _answer(flags, core, runner, config, stop)
    except ServingError as error:
        return _failed(error)
    finally:
        runner.stop()
        manager.stop(timeout=1.0)
    return 0


async def _boot(core: ServerCore[Servable], config: Any, stop: asyncio.Event) -> bool:
    """Loads the models. Returns False when told to stop meanwhile."""
    cancelled = threading.Event()
    loading = asyncio.create_task(asyncio.to_thread(core.reload, config, cancelled))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        cancelled.set()
        await asyncio.wait((loading,))
        return False
    stopping.cancel()
    await loading
    return True


async def _answer(
    flags: Flags, core: ServerCore[Servable], runner: Runner, config: Any, stop: asyncio.Event
) -> None:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # Without this a second server could bind the same port and take half of the calls.
            ("grpc.so_reuseport", 0),
            *flags.grpc_channel_arguments,
        ]
    )
    Services(core, runner, flags.grpc_max_threads).register(server)
    try:
        port = server.add_insecure_port(f"{flags.host}:{flags.port}")
    except RuntimeError as error:
        raise ServingError(
            grpc.StatusCode.UNAVAILABLE, f"cannot listen on {flags.host}:{flags.port}"
        ) from error
    await server.start()
    _LOG.info("Running gRPC ModelServer at %s:%d", flags.host, port)
    polling = asyncio.create_task(_poll_config(flags, core, config))
    await stop.wait()
    _LOG.info("stopping")
    polling.cancel()
    await server.stop(flags.drain_seconds)


async def _poll_config(flags: Flags, core: ServerCore[Servable], applied: Any) -> None:
    """Applies the config file whenever it is not the one in force, so a refused one at each look until it fits.

    Args:
        flags: The settings.
        core: Where to apply it.
        applied: The configuration that the server booted with.
    """
    path, seconds = flags.model_config_file, flags.model_config_file_poll_wait_seconds
    if path is None or seconds <= 0:
        return
    refusal = ""
    while True:
        await asyncio.sleep(seconds)
        try:
            config = await asyncio.to_thread(read_config_file, path)
            if config != applied:
                # A reload may fail before it has changed anything, or after: until it ends well nothing is certain.
                applied = None
                await asyncio.to_thread(core.reload, config)
                applied = config
                _LOG.info("applied the changed %s", path)
            refusal = ""
        except ServingError as error:
            # Once, not at every look.
            if error.message != refusal:
                refusal = error.message
                _LOG.error("%s not applied: %s", path, refusal)


def _failed(error: ServingError) -> int:
    _LOG.error("Failed to start server. Error: %s: %s", error.code.name, error.message)
    return EXIT_FAILED


def _model_config(flags: Flags) -> Any:
    if flags.model_config_file is not None:
        return read_config_file(flags.model_config_file)
    return single_model_config(flags.model_name, flags.model_base_path)


def _batching_options(flags: Flags) -> BatchingOptions | None:
    if not flags.enable_batching:
        return None
    return (
        read_batching_file(flags.batching_parameters_file)
        if flags.batching_parameters_file
        else BatchingOptions()
    )


class _Loader:
    """Loads a version and warms it up."""

    def __init__(self, flags: Flags) -> None:
        self._session_config = session_config(
            intra_op=flags.tensorflow_intra_op_parallelism,
            inter_op=flags.tensorflow_inter_op_parallelism,
            mixed_precision=flags.mixed_precision,
        )
        self._warm_up = flags.enable_model_warmup

    def __call__(self, _name: str, _version: int, path: Path) -> Servable:
        servable = Servable(path, self._session_config)
        if self._warm_up:
            try:
                warm_up(servable, path)
            except Exception:
                servable.close()
                raise
        return servable
