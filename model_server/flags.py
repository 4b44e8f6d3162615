"""The command line: the flags of ``tensorflow_model_server`` that matter here, and two of our own.

Both spellings work, ``--flag=value`` (the only one that the real server knows) and ``--flag value``. Flags of the
real server that make no difference here are accepted and named in the log, so that one command line serves both.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Real flags without a counterpart here: REST, sockets, monitoring, GPU and load-thread settings.
IGNORED_FLAGS: Final = (
    "rest_api_port",
    "rest_api_num_threads",
    "rest_api_timeout_in_ms",
    "rest_api_enable_cors_support",
    "monitoring_config_file",
    "flush_filesystem_caches",
    "num_load_threads",
    "num_unload_threads",
    "num_request_iterations_for_warmup",
    "per_process_gpu_memory_fraction",
    "enforce_session_run_timeout",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "enable_signature_method_name_check",
    "enable_profiler",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
)


@dataclass(frozen=True)
class Flags:
    """The settings of one server process.

    Attributes:
        host: Address to listen on. The real server listens on all; a laptop should not, so it is loopback here.
        port: Port to listen on; 0 takes a free one, which the log names.
        model_config_file: A text ``ModelServerConfig``, or None to serve `model_name` from `model_base_path`.
        model_config_file_poll_wait_seconds: Seconds between looks at that file; 0 reads it once.
        model_name: Name of the only model when there is no config file.
        model_base_path: Its absolute base path.
        base_path_map: Pairs of (prefix in the config, absolute local directory), first match wins.
        file_system_poll_wait_seconds: Seconds between looks for versions; 0 looks once, negative never.
        enable_batching: Merge concurrent requests into batches.
        batching_parameters_file: A text ``BatchingParameters``, or None for the defaults.
        grpc_max_threads: Calls handled at once; more are answered RESOURCE_EXHAUSTED.
        grpc_channel_arguments: Pairs of gRPC channel arguments.
        allow_version_labels_for_unavailable_models: A new label may name a version that is not loaded.
        max_num_load_retries: Further tries after a failed load.
        load_retry_interval_micros: Microseconds between them.
        enable_serialization_as_tensor_content: Answer numbers as ``tensor_content``.
        enable_model_warmup: Run a version's warm-up records before it is available.
        tensorflow_intra_op_parallelism: Threads inside one operation; 0 lets TensorFlow choose.
        tensorflow_inter_op_parallelism: Operations at once; 0 lets TensorFlow choose.
        mixed_precision: ``bfloat16`` computes convolutions and products in it where the CPU can; empty: as exported.
        drain_seconds: On SIGTERM, how long running calls may still finish. The real server drops them at once.
        ignored: Names of real flags that were given and make no difference here.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0
    model_name: str = "default"
    model_base_path: str = ""
    base_path_map: tuple[tuple[str, str], ...] = ()
    file_system_poll_wait_seconds: float = 1
    enable_batching: bool = False
    batching_parameters_file: Path | None = None
    grpc_max_threads: int = 4 * (os.cpu_count() or 1)
    grpc_channel_arguments: tuple[tuple[str, str | int], ...] = ()
    allow_version_labels_for_unavailable_models: bool = False
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    enable_serialization_as_tensor_content: bool = False
    enable_model_warmup: bool = True
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    mixed_precision: str = ""
    drain_seconds: float = 2.0
    ignored: tuple[str, ...] = ()


def _boolean(text: str) -> bool:
    if text.lower() in {"true", "1"}:
        return True
    if text.lower() in {"false", "0"}:
        return False
    raise argparse.ArgumentTypeError(f"must be true or false, not {text!r}")


def _base_path_map(text: str) -> tuple[str, str]:
    prefix, separator, directory = text.partition("=")
    if not separator or not prefix.startswith("/") or not directory:
        raise argparse.ArgumentTypeError(f"must be /prefix=directory, not {text!r}")
    return prefix.rstrip("/") or "/", str(Path(directory).resolve())


def _channel_arguments(text: str) -> tuple[tuple[str, str | int], ...]:
    pairs: list[tuple[str, str | int]] = []
    for part in filter(None, text.split(",")):
        key, separator, value = part.partition("=")
        if not separator:
            raise argparse.ArgumentTypeError(f"must be key=value,key=value, not {text!r}")
        pairs.append((key, int(value) if value.lstrip("-").isdigit() else value))
    return tuple(pairs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model_server",
        description="Serves SavedModels over the TensorFlow Serving gRPC API.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--host", help="address to listen on (default 127.0.0.1)")
    add("--port", type=int, help="port to listen on (default 8500; 0 takes a free one)")
    add("--model_config_file", type=Path, help="text ModelServerConfig")
    add("--model_config_file_poll_wait_seconds", type=float, help="how often to read it again (0: once)")
    add("--model_name", help="name of the only model, without a config file")
    add("--model_base_path", help="its absolute base path")
    add(
        "--base_path_map",
        type=_base_path_map,
        action="append",
        metavar="/PREFIX=DIRECTORY",
        help="serve base paths under /PREFIX from DIRECTORY (may be repeated)",
    )
    add("--file_system_poll_wait_seconds", type=float, help="how often to look for versions (default 1)")
    add("--batching_parameters_file", type=Path, help="text BatchingParameters")
    add("--grpc_max_threads", type=int, help="calls handled at once (default 4 x cores)")
    add("--grpc_channel_arguments", type=_channel_arguments, help="key=value,key=value")
    add("--max_num_load_retries", type=int, help="further tries after a failed load (default 5)")
    add("--load_retry_interval_micros", type=int, help="microseconds between them (default 60000000)")
    add("--tensorflow_intra_op_parallelism", type=int, help="threads inside one operation (0: automatic)")
    add("--tensorflow_inter_op_parallelism", type=int, help="operations at once (0: automatic)")
    add(
        "--mixed_precision",
        choices=("", "bfloat16"),
        help="bfloat16 where the CPU computes in it (default: none)",
    )
    add("--drain_seconds", type=float, help="time for running calls to finish on SIGTERM (default 2)")
    for name in (
        "enable_batching",
        "allow_version_labels_for_unavailable_models",
        "enable_serialization_as_tensor_content",
        "enable_model_warmup",
    ):
        add(f"--{name}", type=_boolean, nargs="?", const=True, metavar="true|false")
    for name in IGNORED_FLAGS:
        add(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    return parser


def parse_flags(arguments: Sequence[str] | None = None) -> Flags:
    """Reads a command line.

    Args:
        arguments: The arguments without the program's name; None takes those of the process.

    Returns:
        The settings. An unknown flag or a bad value ends the process with usage and status 2.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    ignored = tuple(name for name in IGNORED_FLAGS if name in given)
    for name in ignored:
        del given[name]
    if "base_path_map" in given:
        given["base_path_map"] = tuple(given["base_path_map"])
    if given.get("grpc_max_threads", 1) < 1:
        parser.error("--grpc_max_threads must be at least 1")
    if given.get("max_num_load_retries", 0) < 0:
        parser.error("--max_num_load_retries must not be negative")
    if "model_config_file" not in given and "model_base_path" not in given:
        parser.error("give --model_config_file, or --model_name with --model_base_path")
    return Flags(**given, ignored=ignored)
