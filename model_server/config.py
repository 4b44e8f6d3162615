"""Reading and checking ``ModelServerConfig``, the file that names the models to serve."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from model_server.errors import failed_precondition, invalid_argument
from model_server.versions import VersionPolicy, policy_from_proto

PLATFORM: Final = "tensorflow"


@dataclass(frozen=True)
class ModelSource:
    """One model of a configuration.

    Attributes:
        name: The name that callers use.
        base_path: Local directory whose numbered children are its versions.
        policy: Which of them to serve.
        labels: Version number of each label.
    """

    name: str
    base_path: Path
    policy: VersionPolicy
    labels: dict[str, int]


def read_config_file(path: Path) -> Any:
    """Reads a text ``ModelServerConfig``.

    Args:
        path: The file.

    Returns:
        The ``tensorflow.serving.ModelServerConfig``.

    Raises:
        ServingError: INVALID_ARGUMENT when the file cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except OSError as error:
        raise invalid_argument(f"Could not read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}': {error}") from error


def single_model_config(name: str, base_path: str) -> Any:
    """Makes the ``ModelServerConfig`` of a server without a config file."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=base_path, model_platform=PLATFORM)
    return config


def model_sources(config: Any, base_path_map: Sequence[tuple[str, str]] = ()) -> list[ModelSource]:
    """Checks a configuration and gives its models.

    Args:
        config: A ``tensorflow.serving.ModelServerConfig``.
        base_path_map: Pairs of (prefix, local directory) that redirect absolute base paths.

    Returns:
        The models, in the order of the configuration.

    Raises:
        ServingError: INVALID_ARGUMENT for a model listed twice, without a platform, of another platform, or with a
            relative base path; FAILED_PRECONDITION for a configuration that is not a list of models.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise failed_precondition(
            "Only a model_config_list can be served; custom_model_config is not supported"
        )
    sources: list[ModelSource] = []
    seen: set[str] = set()
    for model in config.model_config_list.config:
        if model.name in seen:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        seen.add(model.name)
        _check_platform(model)
        sources.append(
            ModelSource(
                name=model.name,
                base_path=_local_path(model, base_path_map),
                policy=policy_from_proto(model.model_version_policy),
                labels=dict(model.version_labels),
            )
        )
    return sources


def _check_platform(model: Any) -> None:
    platform = model.model_platform
    if model.model_type:
        if platform:
            raise invalid_argument("Illegal setting both model_type(deprecated) and model_platform.")
        platform = PLATFORM if model.model_type == model_server_config_pb2.ModelType.TENSORFLOW else "other"
    if not platform:
        raise invalid_argument("Illegal setting neither model_type(deprecated) nor model_platform.")
    if platform != PLATFORM:
        raise invalid_argument(f"Model {model.name} has platform {platform}; only {PLATFORM} can be served")


def _local_path(model: Any, base_path_map: Sequence[tuple[str, str]]) -> Path:
    path: str = model.base_path
    if "://" in path:
        raise invalid_argument(
            f"Model {model.name} has base path {path}; only local directories can be served"
        )
    if not path.startswith("/"):
        raise invalid_argument(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()={path}"
        )
    for prefix, directory in base_path_map:
        if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
            return Path(directory) / path.removeprefix(prefix).lstrip("/")
    return Path(path)
